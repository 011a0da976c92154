"""``saqshy availability``: how much of the time devices and schools were there, against a promise."""

import re
from calendar import monthrange
from datetime import UTC, date, datetime, timedelta
from enum import StrEnum
from typing import Annotated, Any, Final

import typer
from clickhouse_driver import Client

from deploy.cli.output import AsJson, Code, explained, load_settings, print_json, print_table, say
from schemas.settings import ClickHouseSettings

LOCAL: Final = timedelta(hours=5)
"""The country's time, all year."""


class By(StrEnum):
    DEVICE = "device"
    KIND = "kind"
    SCHOOL = "school"
    DISTRICT = "district"
    REGION = "region"
    PROVIDER = "provider"
    VENDOR = "vendor"
    COUNTRY = "country"


_NAMES: Final = {
    By.DEVICE: "concat(school, '/', device)",
    By.KIND: "kind",
    By.SCHOOL: "school",
    By.DISTRICT: "concat(region, '/', district)",
    By.REGION: "region",
    By.PROVIDER: "provider",
    By.VENDOR: "device_vendors[indexOf(devices, device)]",
    By.COUNTRY: "'country'",
}
_QUERY: Final = """
SELECT name, span, count() AS members, sum(up) AS up_ms, sum(down) AS down_ms,
    sum(planned) AS planned_ms, sum(falls) AS outages,
    countIf(up < (up + down) * %(level)s / 100) AS below
FROM
(
    SELECT {name} AS name, {span} AS span, school, device, sum(up_ms) AS up,
        sum(down_ms) AS down, sum(planned_ms) AS planned, sum(outages) AS falls
    FROM availability_days(first = %(first)s, last = %(last)s) AS days
    LEFT JOIN (
        SELECT school, region, district, provider, devices, device_vendors FROM schools FINAL
    ) AS places USING (school)
    WHERE {which}
    GROUP BY name, span, school, device
    HAVING up + down > 0
)
GROUP BY name, span
ORDER BY span, up_ms / (up_ms + down_ms), name
"""


def availability(
    by: Annotated[By, typer.Option("--by", help="What is told apart.")] = By.PROVIDER,
    month: Annotated[str, typer.Option("--month", help="2026-11; this month when not given.")] = "",
    daily: Annotated[bool, typer.Option("--daily", help="Each day of it by itself.")] = False,
    level: Annotated[
        float, typer.Option("--level", min=0, max=100, help="The promise, in percent.")
    ] = 99.5,
    as_json: AsJson = False,
) -> None:
    """Availability of schools (or devices) by day or month, against a service level.

    A school is there while a gateway of it is heard. Silence counts from the last sign of life on;
    planned work counts neither way. `below` is how many schools (devices) miss the level by
    themselves. Exit code 1: some row misses it.

    \b
    Examples:
      saqshy availability --by provider --month 2026-11
      saqshy availability --by school --level 99.9 --json
      saqshy availability --by vendor
      saqshy availability --by device --month 2026-11 --daily
    """
    first, last = _span(month)
    settings = load_settings()
    with explained(settings):
        rows = report(settings.clickhouse, by, first, last, level, daily=daily)
    if as_json:
        print_json({"by": by, "first": first, "last": last, "level_pct": level, "rows": rows})
    elif rows:
        print_table(
            (by.value, "span", "available %", "down h", "planned h", "outages", "of", "below"),
            [_cells(row) for row in rows],
            ["" if row["met"] else "bold red" for row in rows],
        )
    else:
        say(f"Nothing is known of {first} to {last}.")
    raise typer.Exit(Code.WELL if all(row["met"] for row in rows) else Code.WRONG)


def report(
    clickhouse: ClickHouseSettings, by: By, first: date, last: date, level: float, *, daily: bool
) -> list[dict[str, Any]]:
    """The least available first. Raises clickhouse_driver's Error."""
    query = _QUERY.format(
        name=_NAMES[by],
        span="toString(day)" if daily else "formatDateTime(day, '%%Y-%%m')",
        which="device != ''" if by in (By.DEVICE, By.KIND, By.VENDOR) else "device = ''",
    )
    with Client(**clickhouse.driver_kwargs()) as client:
        found = client.execute(query, {"first": first, "last": last, "level": level})
    return [
        {
            "name": name,
            "span": span,
            "availability_pct": round(100 * up / (up + down), 4),
            "down_s": round(down / 1000),
            "planned_s": round(planned / 1000),
            "outages": outages,
            "members": members,
            "below": below,
            "met": 100 * up >= level * (up + down),
        }
        for name, span, members, up, down, planned, outages, below in found
    ]


def _cells(row: dict[str, Any]) -> tuple[object, ...]:
    return (
        row["name"] or "(unknown)",
        row["span"],
        f"{row['availability_pct']:.3f}",
        f"{row['down_s'] / 3600:.1f}",
        f"{row['planned_s'] / 3600:.1f}",
        row["outages"],
        row["members"],
        row["below"],
    )


def _span(month: str) -> tuple[date, date]:
    """The first and the last local day of it."""
    if not month:
        month = (datetime.now(UTC) + LOCAL).strftime("%Y-%m")
    found = re.fullmatch(r"(20\d{2})-(0[1-9]|1[0-2])", month)
    if found is None:
        raise typer.BadParameter(f"{month!r} is no month; write it like 2026-11")
    year, number = int(found[1]), int(found[2])
    return date(year, number, 1), date(year, number, monthrange(year, number)[1])
