from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import pytest

from dashboards.queries.macros import Range
from dashboards.queries.query import queries
from tests.dashboards.grafana.day import make_day
from tests.dashboards.grafana.engine import Answer, Engine
from tests.dashboards.grafana.truth import Day


@dataclass(frozen=True)
class Asked:
    """The simulated day in the engine: what is true, and how to ask."""

    day: Day
    engine: Engine
    ask: Callable[..., Answer]


@pytest.fixture(scope="session")
def asked() -> Iterator[Asked]:
    engine = Engine()
    day = make_day(7, datetime.now(UTC))
    for table, rows in day.rows.items():
        engine.insert(table, rows)
    last_day = Range(day.start, day.now, interval_ms=300_000)
    two_years = Range(day.now - timedelta(days=730), day.now, interval_ms=86_400_000)

    def ask(name: str, **variables: list[str]) -> Answer:
        chosen = {"school": [day.schools[0].id], **variables}
        closed_months = "published_incidents" in queries()[name].sql
        return engine.ask(name, two_years if closed_months else last_day, chosen)

    yield Asked(day, engine, ask)
    engine.close()
