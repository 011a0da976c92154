"""``python -m loadtest queries``: what each query of the dashboards costs on the whole country."""

import json
import re
import shutil
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Annotated, Any, Final
from zlib import crc32

import typer
from rich.console import Console
from rich.table import Table

from dashboards.grafana.generate import dashboards
from dashboards.queries.ask import text_of
from dashboards.queries.macros import Range
from dashboards.queries.query import Column, Query, Shape, queries, wrong_shape
from loadtest.queries.rollups import DAYS, steps, tables
from loadtest.result import save
from schemas.private import keep_private
from schemas.settings import Settings, configured_var

LIMIT_MS: Final = 1_000
FRESH_H: Final = 12
WIDTH_PX: Final = 1_000  # of a panel: Grafana asks for about one bucket a pixel

_AGO: Final = re.compile(r"now-(\d+)([hdy])")
_HOURS: Final = {"h": 1, "d": 24, "y": 8760}
_RAW: Final = ("passes", "heartbeats", "panics", "incidents", "facilities", "registry",
               "status_history", "alert_transitions", "alert_steps", "dead_letters")  # fmt: skip


@dataclass(frozen=True, slots=True)
class Cost:
    """Of one query over its dashboard's own time range, the second time it is asked; and over all
    30 days. ``wrong`` says what is wrong with the answer."""

    name: str
    shape: Shape
    rows: int
    first_ms: float
    again_ms: float
    days_30_ms: float
    rows_read: int
    wrong: str | None
    error: str | None


def main(
    schools: Annotated[int, typer.Option(min=200, help="of the country")] = 8_000,
    seed: Annotated[int, typer.Option(min=0)] = 1,
    fresh: Annotated[bool, typer.Option(help="make the data anew, whatever is cached")] = False,
) -> None:
    """Make 30 days of the country inside the engine, ask every query of Grafana, print the costs.

    The data is kept in var/queries and made anew after 12 hours, for the queries ask about now.

    \b
    Examples:
      python -m loadtest queries
      python -m loadtest queries --schools 500 --fresh
    """
    screen = Console(stderr=True, highlight=False)
    folder = Settings().var / "queries"
    connection, made_in_s = _opened(folder, schools, seed, fresh, screen)
    costs = list(_measured(connection))
    sizes = _sizes(connection)
    connection.close()
    _print(Console(width=None if sys.stdout.isatty() else 140), costs)
    figures = {
        "queries": len(costs),
        "failed": sum(cost.error is not None for cost in costs),
        "wrong_shape": sum(cost.wrong is not None for cost in costs),
        "slowest_ms": round(max(cost.again_ms for cost in costs), 1),
        "slowest_first_ms": round(max(cost.first_ms for cost in costs), 1),
        "slowest_30_days_ms": round(max(cost.days_30_ms for cost in costs), 1),
        "over_1_s": sorted(cost.name for cost in costs if cost.again_ms > LIMIT_MS),
        "raw_rows": sum(rows for table, rows in sizes.items() if table in _RAW),
        "rollup_rows": sum(rows for table, rows in sizes.items() if table not in _RAW),
        "made_in_s": made_in_s,
        "schools": schools,
        "days": DAYS,
    }
    save(Settings().var, "queries", seed, {**figures, "rows_by_table": sizes})
    sys.stdout.write(json.dumps(figures) + "\n")
    if figures["failed"] or figures["wrong_shape"] or figures["over_1_s"]:
        raise typer.Exit(1)


def _opened(
    folder: Path, schools: int, seed: int, fresh: bool, screen: Console
) -> tuple[Any, float]:
    """A connection to the engine on the data, and how long making it took (0: it was there)."""
    import chdb  # half a gigabyte, and an extra: only this command needs it

    wanted = {"schools": schools, "seed": seed, "version": _version()}
    mark = folder / "made.json"
    if mark.exists() and not fresh:
        made = json.loads(mark.read_text())
        age = datetime.now(UTC) - datetime.fromisoformat(made.pop("at"))
        if made == wanted and age < timedelta(hours=FRESH_H):
            return chdb.connect(str(folder / "data")), 0.0
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    connection = chdb.connect(str(folder / "data"))
    began = time.monotonic()
    tables(connection.query)
    for step in steps(schools, seed):
        at = time.monotonic()
        connection.query(step.sql)
        screen.print(f"• {step.name}: {time.monotonic() - at:.1f} s")
    mark.write_text(json.dumps({**wanted, "at": datetime.now(UTC).isoformat()}))
    return connection, round(time.monotonic() - began, 1)


def _version() -> int:
    """Changes when the tables or what fills them change."""
    sources = [*sorted((Path(__file__).parents[2] / "schemas/clickhouse").glob("*.sql"))]
    sources += [Path(__file__).parent / name for name in ("rollups.py", "rollups.sql")]
    return crc32(b"".join(path.read_bytes() for path in sources))


def _measured(connection: Any) -> Iterator[Cost]:
    now = datetime.now(UTC)
    school = "KZ-75-00001"
    for query, span in ranges(now).items():
        month = _range(now, timedelta(days=DAYS))
        try:
            first_ms, _ = _ask(connection, query, span, school)
            again_ms, answer = _ask(connection, query, span, school)
            days_30_ms, _ = _ask(connection, query, month, school)
        except RuntimeError as error:
            yield Cost(query.name, query.shape, 0, 0, 0, 0, 0, None, str(error)[:200])
            continue
        body = json.loads(answer.bytes())
        columns = [Column(meta["name"], meta["type"]) for meta in body["meta"]]
        wrong = wrong_shape(query, columns, body["data"])
        read = answer.storage_rows_read()
        yield Cost(
            query.name, query.shape, len(body["data"]), first_ms, again_ms, days_30_ms, read, wrong,
            None,
        )  # fmt: skip


def _ask(connection: Any, query: Query, span: Range, school: str) -> tuple[float, Any]:
    text = text_of(query, span, {"school": [school]})
    began = time.perf_counter()
    answer = connection.query(text, "JSONCompact")
    return (time.perf_counter() - began) * 1000, answer


def ranges(now: datetime) -> dict[Query, Range]:
    """Every query with the time range of the dashboard that shows it; rules look at now."""
    shown: dict[str, timedelta] = {}
    for dashboard in dashboards().values():
        match = _AGO.fullmatch(dashboard["time"]["from"])
        if match is None:
            raise ValueError(f"unreadable range {dashboard['time']['from']}")
        back = timedelta(hours=int(match[1]) * _HOURS[match[2]])
        for panel in dashboard["panels"]:
            for target in panel["targets"]:
                shown[target["rawSql"]] = back
    return {
        query: _range(now, shown.get(query.sql, timedelta(hours=24)))
        for query in queries().values()
    }


def _range(now: datetime, back: timedelta) -> Range:
    bucket_ms = max(round(back.total_seconds() * 1000 / WIDTH_PX), 10_000)
    return Range(now - back, now, bucket_ms)


def _sizes(connection: Any) -> dict[str, int]:
    answer = connection.query(
        "SELECT table, sum(rows) AS rows FROM system.parts "
        "WHERE active AND database = currentDatabase() GROUP BY table ORDER BY rows DESC "
        "SETTINGS output_format_json_quote_64bit_integers = 0",
        "JSONCompact",
    )
    return dict(json.loads(answer.bytes())["data"])


def _print(screen: Console, costs: list[Cost]) -> None:
    table = Table(title="Cost of each query, whole country", box=None, pad_edge=False)
    for column in ("query", "shape", "rows", "first ms", "again ms", "30 days ms", "rows read", ""):
        table.add_column(column, justify="left" if column in ("query", "shape", "") else "right")
    for cost in sorted(costs, key=lambda cost: -cost.again_ms):
        table.add_row(
            cost.name,
            cost.shape,
            f"{cost.rows:,}",
            f"{cost.first_ms:.0f}",
            f"{cost.again_ms:.0f}",
            f"{cost.days_30_ms:.0f}",
            f"{cost.rows_read:,}",
            cost.error or cost.wrong or ("over 1 s" if cost.again_ms > LIMIT_MS else ""),
            style="red" if cost.error or cost.wrong or cost.again_ms > LIMIT_MS else "",
        )
    screen.print(table)


if __name__ == "__main__":
    keep_private(configured_var())
    typer.run(main)
