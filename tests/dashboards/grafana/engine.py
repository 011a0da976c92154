"""The embedded engine in this process, with the tables of schemas/clickhouse and nothing else."""

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import count
from pathlib import Path
from typing import Any

import chdb

from dashboards.queries.ask import text_of
from dashboards.queries.macros import Range
from dashboards.queries.query import Column, Query, queries, wrong_shape

MIGRATIONS = Path("schemas/clickhouse")


@dataclass(frozen=True)
class Answer:
    query: Query
    columns: Sequence[Column]
    rows: Sequence[Sequence[Any]]

    @property
    def wrong(self) -> str | None:
        return wrong_shape(self.query, self.columns, self.rows)

    def dicts(self) -> list[dict[str, Any]]:
        return [dict(zip(self.query.columns, row, strict=True)) for row in self.rows]

    def one(self) -> dict[str, Any]:
        (row,) = self.dicts()
        return row


class Engine:
    """A database of its own: all connections of one process share one memory."""

    numbers = count(1)

    def __init__(self) -> None:
        self.connection = chdb.connect(":memory:")
        self.database = f"saqshy_{next(self.numbers)}"
        self.connection.query(f"CREATE DATABASE {self.database}")
        self.connection.query(f"USE {self.database}")
        for path in sorted(MIGRATIONS.glob("*.sql")):
            for statement in path.read_text().split(";\n"):
                if statement.strip():
                    self.connection.query(statement)

    def insert(self, table: str, rows: Iterable[Mapping[str, Any]]) -> None:
        lines = "\n".join(json.dumps(row) for row in rows)
        if lines:
            self.connection.query(
                f"INSERT INTO {table} SETTINGS date_time_input_format='best_effort', "
                f"async_insert=0, max_partitions_per_insert_block=0 FORMAT JSONEachRow {lines}"
            )

    def rows(self, sql: str) -> dict[str, Any]:
        settings = (
            " SETTINGS output_format_json_quote_64bit_integers=0, "
            "output_format_json_quote_decimals=0"
        )
        answer: dict[str, Any] = json.loads(
            self.connection.query(sql + settings, "JSONCompact").bytes()
        )
        return answer

    def ask(self, name: str, span: Range, variables: Mapping[str, Sequence[str]]) -> Answer:
        """At the end of the span: the clock stands there, however long ago the rows were made."""
        query = queries()[name]
        then = f"toDateTime('{span.end:%Y-%m-%d %H:%M:%S}', 'UTC')"
        answer = self.rows(text_of(query, span, variables).replace("now()", then))
        columns = [Column(meta["name"], meta["type"]) for meta in answer["meta"]]
        return Answer(query, columns, answer["data"])

    def close(self) -> None:
        self.connection.query(f"DROP DATABASE {self.database}")
        self.connection.close()
