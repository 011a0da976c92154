"""Ways to make the real engine fail an insert, for the tests of whoever writes to it.

Each is named by what an operator would see, and holds for one table until it is cured:

    with trouble(client, "passes", "no room on the disk"):
        ...  # nothing of an insert is stored
    with trouble(client, "flow_1h", "too many parts"):
        ...  # the raw table may have its rows, this rollup has not

A table may be a raw table or the target of a view, so every stage of an insert can be made to fail;
the client needs the owner's rights. TROUBLES is what to draw from.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Final

from clickhouse_driver import Client


@dataclass(frozen=True)
class Trouble:
    """Statements with {table} to fill in, and ClickHouse's code of the error."""

    cause: str
    cure: str
    code: int


def _setting(name: str, value: int, code: int) -> Trouble:
    return Trouble(
        f"ALTER TABLE {{table}} MODIFY SETTING {name} = {value}",
        f"ALTER TABLE {{table}} RESET SETTING {name}",
        code,
    )


TROUBLES: Final = {
    "no room on the disk": _setting("min_free_disk_bytes_to_perform_insert", 10**18, 243),
    "too many parts": _setting("max_parts_in_total", 0, 252),
    "read only": _setting("table_readonly", 1, 774),
    "a constraint": Trouble(
        "ALTER TABLE {table} ADD CONSTRAINT trouble CHECK 0",
        "ALTER TABLE {table} DROP CONSTRAINT trouble",
        469,
    ),
    "a view that throws": Trouble(
        "CREATE MATERIALIZED VIEW {table}_trouble ENGINE = Null AS"
        " SELECT throwIf(1) AS x FROM {table}",
        "DROP TABLE {table}_trouble SYNC",
        395,
    ),
}


@contextmanager
def trouble(client: Client, table: str, name: str) -> Iterator[None]:
    """TROUBLES[name] for `table`, cured at the end."""
    client.execute(TROUBLES[name].cause.format(table=table))
    try:
        yield
    finally:
        client.execute(TROUBLES[name].cure.format(table=table))


@contextmanager
def slow_view(client: Client, table: str, seconds_a_row: float) -> Iterator[str]:
    """A view that takes its time for every row inserted to `table`, in which to kill or time out."""
    name = f"{table}_slow"
    client.execute(
        f"CREATE MATERIALIZED VIEW {name} ENGINE = Null AS"
        f" SELECT sleepEachRow({seconds_a_row}) AS x FROM {table}"
    )
    try:
        yield name
    finally:
        client.execute(f"DROP TABLE {name} SYNC")
