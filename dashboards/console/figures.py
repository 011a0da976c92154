"""What ClickHouse knows, asked with the named queries of Grafana's dashboards: both show one number."""

from collections.abc import Callable, Mapping
from datetime import UTC, date, datetime, timedelta
from typing import Any, Final
from zoneinfo import ZoneInfo

from clickhouse_driver import Client

from dashboards.queries.ask import text_of
from dashboards.queries.macros import Range
from dashboards.queries.query import queries

Ask = Callable[..., list[tuple[Any, ...]]]
"""Rows of a named query, with variables like ``school`` by keyword; moments are ms, dates are texts."""

COUNTRY: Final = ("passes_now", "inside_now", "console_reports_today")
FLOW_H: Final = 12
NOTHING_KNOWN: Final[Mapping[str, Any]] = {
    "flow": [],
    "expected": [],
    "inside": None,
    "history": [],
    "reports": [],
    "equipment": None,
}


def asking(client: Client) -> Ask:
    """Asks ``client``. Raises what clickhouse-driver raises, and ValueError for a value with quotes."""

    def ask(name: str, **chosen: str) -> list[tuple[Any, ...]]:
        now = datetime.now(UTC)
        span = Range(now - timedelta(hours=FLOW_H), now)
        text = text_of(queries()[name], span, {key: [value] for key, value in chosen.items()})
        rows = client.execute(text)
        zone = ZoneInfo(client.connection.server_info.get_timezone() or "UTC")
        return [tuple(_plain(value, zone) for value in row) for row in rows]

    return ask


def of_country(ask: Ask) -> dict[str, int]:
    """Passes of the last minute, who is inside, reports of today, by the names of their columns."""
    figures: dict[str, int] = {}
    for name in COUNTRY:
        [row] = ask(name)
        figures |= dict(zip(queries()[name].columns, row, strict=True))
    return figures


def of_school(ask: Ask, school: str, *, reports: bool) -> dict[str, Any]:
    """``flow`` (ms, came in, went out), ``expected`` (ms, how many come in then by the four weeks before),
    ``inside`` (ms of the last pass, how many since its midnight) or
    None, ``history`` (device, status, since ms, decided ms), ``reports`` with their texts if wanted,
    ``equipment`` with its contract or None.
    """
    presence = ask("school_presence", school=school)
    return {
        "flow": [row[:3] for row in ask("school_flow", school=school)],
        "expected": ask("school_flow_expected", school=school),
        "inside": presence[-1] if presence else None,
        "history": ask("school_history", school=school),
        "reports": ask("console_reports", school=school) if reports else [],
        "equipment": _equipment(ask, school),
    }


def _equipment(ask: Ask, school: str) -> dict[str, Any] | None:
    installed = ask("school_equipment", school=school)
    if not installed:
        return None
    named = dict(zip(queries()["school_equipment"].columns, installed[0], strict=True))
    numbers = ask("console_contract", school=school)
    return {
        **named,
        "police_link": named["police_link"] == "yes",
        "contract_number": numbers[0][0] if numbers else "",
    }


def _plain(value: Any, zone: ZoneInfo) -> Any:
    """A moment without a zone is in the server's."""
    if isinstance(value, datetime):
        aware = value if value.tzinfo else value.replace(tzinfo=zone)
        return round(aware.timestamp() * 1000)
    return value.isoformat() if isinstance(value, date) else value
