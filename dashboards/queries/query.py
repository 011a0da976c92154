"""Every question that is put to ClickHouse, by name: the SQL stands in queries/*.sql as data.

A panel, a variable, an annotation, an alert rule and the console name a query; nobody else writes
SQL. A query says what shape its answer has, and that is checked on the engine in the tests.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from functools import cache
from pathlib import Path
from typing import Final

FOLDER: Final = Path(__file__).parent / "sql"

_HEADER: Final = re.compile(r"^-- (query|only|shape|asked|columns): (.+)$")
_NUMBER: Final = re.compile(r"^(U?Int\d+|Float\d+|Decimal.*)$")
_TIME: Final = re.compile(r"^(DateTime.*|Date|Date32)$")
_WRAPPED: Final = re.compile(r"^(?:Nullable|LowCardinality)\((.*)\)$")


class Shape(StrEnum):
    NUMBERS = "numbers"
    """One row; every column a number. A stat panel shows each."""
    SERIES = "series"
    """``time`` ascending, then numbers, one line each; or one text column that names the line."""
    STATES = "states"
    """``time`` ascending, texts that name the band, and ``state``, a text. A state timeline."""
    BARS = "bars"
    """One text, then numbers: one group of bars a row."""
    TABLE = "table"
    MAP = "map"
    """``latitude`` and ``longitude``, a ``school``, and ``level``, the number that colours it."""
    ANNOTATION = "annotation"
    """``time``, ``timeEnd``, ``text``, ``tags``."""
    VARIABLE = "variable"
    """One text column, or two: ``__text`` and ``__value``."""
    ALERT = "alert"
    """Exactly one number; every other column a text, and becomes a label of the alert."""


@dataclass(frozen=True, slots=True)
class Query:
    """``asked`` is the question in words; ``columns`` are the names of the answer's columns.

    ``console_only``: Grafana's user may not ask it (``-- only: console``).
    """

    name: str
    shape: Shape
    asked: str
    columns: tuple[str, ...]
    sql: str
    console_only: bool = False


@dataclass(frozen=True, slots=True)
class Column:
    name: str
    type: str

    @property
    def plain(self) -> str:
        inner = self.type
        while match := _WRAPPED.match(inner):
            inner = match[1]
        return inner

    @property
    def number(self) -> bool:
        return bool(_NUMBER.match(self.plain))

    @property
    def text(self) -> bool:
        return self.plain == "String" or self.plain.startswith(("Enum", "FixedString"))

    @property
    def moment(self) -> bool:
        return bool(_TIME.match(self.plain))


@cache
def queries() -> Mapping[str, Query]:
    """All of them, by name. Raises ValueError for a header that is missing or a name used twice."""
    found: dict[str, Query] = {}
    for path in sorted(FOLDER.glob("*.sql")):
        for query in parse(path.read_text(), path.name):
            if query.name in found:
                raise ValueError(f"{path.name}: the query {query.name} is there twice")
            found[query.name] = query
    return found


def parse(text: str, where: str = "") -> Iterator[Query]:
    for block in re.split(r"^(?=-- query: )", text, flags=re.MULTILINE):
        lines = block.strip().splitlines()
        headers = {m[1]: m[2] for line in lines if (m := _HEADER.match(line))}
        if not headers:
            continue
        try:
            yield Query(
                name=headers["query"],
                shape=Shape(headers["shape"]),
                asked=headers["asked"],
                columns=tuple(headers["columns"].split(", ")),
                sql="\n".join(line for line in lines if not _HEADER.match(line)).strip(),
                console_only=headers.get("only") == "console",
            )
        except KeyError as missing:
            raise ValueError(f"{where}: {headers.get('query')} has no {missing}") from None


def wrong_shape(
    query: Query, columns: Sequence[Column], rows: Sequence[Sequence[object]]
) -> str | None:
    """What is wrong with an answer, in a sentence, or None when its panel or rule can use it."""
    names = tuple(column.name for column in columns)
    if names != query.columns:
        return f"columns are {', '.join(names)}, not {', '.join(query.columns)}"
    numbers = [column for column in columns if column.number]
    texts = [column for column in columns if column.text]
    match query.shape:
        case Shape.NUMBERS:
            if len(rows) != 1:
                return f"{len(rows)} rows, not one"
            return None if len(numbers) == len(columns) else "a column is not a number"
        case Shape.SERIES:
            if not columns[0].moment or names[0] != "time":
                return "the first column is not a time called time"
            if len(numbers) + len(texts) + 1 != len(columns) or not numbers:
                return "beside time there may be numbers and names of lines only"
            if texts and len(numbers) != 1:
                return "lines named by a text need exactly one number"
            return _unsorted(rows)
        case Shape.STATES:
            if not columns[0].moment or names[0] != "time" or names[-1] != "state":
                return "it must begin with time and end with state"
            if not all(column.text for column in columns[1:]):
                return "beside time there may be texts only"
            return _unsorted(rows)
        case Shape.BARS:
            if not columns[0].text or len(numbers) != len(columns) - 1 or not numbers:
                return "it must be one text, then numbers"
            return None
        case Shape.TABLE:
            return None
        case Shape.MAP:
            wanted = {"latitude", "longitude", "level"}
            if not wanted <= {column.name for column in numbers} or "school" not in names:
                return "a map needs latitude, longitude, level and school"
            return None
        case Shape.ANNOTATION:
            if names != ("time", "timeEnd", "text", "tags"):
                return "an annotation is time, timeEnd, text, tags"
            return None if columns[0].moment and columns[1].moment else "time is no time"
        case Shape.VARIABLE:
            if not all(column.text for column in columns) or len(columns) > 2:
                return "a variable is one text, or __text and __value"
            return None
        case Shape.ALERT:
            if len(numbers) != 1:
                return f"{len(numbers)} numbers, not exactly one"
            if len(texts) != len(columns) - 1:
                return "a label is not a text"
            if any("Nullable" in column.type for column in texts):
                return "a label may be NULL"
            labels = [tuple(v for v, c in zip(row, columns, strict=True) if c.text) for row in rows]
            return None if len(set(labels)) == len(labels) else "two rows have the same labels"


def _unsorted(rows: Sequence[Sequence[object]]) -> str | None:
    times = [str(row[0]) for row in rows]
    return None if times == sorted(times) else "time is not ascending"
