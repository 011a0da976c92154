"""What ClickHouse knows of dead letters."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from clickhouse_driver import Client

from deploy.dead_letters import stored
from deploy.origins import Origin, Selection
from schemas.alerts import Reason
from schemas.migrations import migrate
from schemas.settings import ClickHouseSettings
from schemas.topics import INCIDENTS, PASSES
from streams.store.rows import DEAD_LETTER_COLUMNS

pytestmark = pytest.mark.broker

# Of today: older rows would fall to the table's TTL.
BEGAN = datetime.now(UTC).replace(microsecond=0) - timedelta(hours=1)

ROWS = [
    (PASSES.name, 0, 10, "invalid", "/card"),
    (PASSES.name, 1, 11, "not_json", ""),
    (INCIDENTS.name, 0, 12, "invalid", "/place"),
]


@pytest.fixture
def clickhouse(
    clickhouse_server: ClickHouseSettings, tmp_path: Path
) -> Iterator[ClickHouseSettings]:
    """A database with the dead letters of ROWS, one a minute, the first one twice."""
    settings = clickhouse_server.model_copy(update={"database": f"test_{tmp_path.name[:40]}"})
    migrate(settings)
    client = Client(**settings.driver_kwargs())
    rows = [
        (topic, partition, offset, _time(minute), reason, path, "why", f"{minute}" * 64, 7)
        for minute, (topic, partition, offset, reason, path) in enumerate(ROWS)
    ]
    names = ", ".join(DEAD_LETTER_COLUMNS)
    client.execute(f"INSERT INTO dead_letters ({names}) VALUES", [*rows, rows[0]])
    yield settings
    client.execute(f"DROP DATABASE {settings.database}")
    client.disconnect()


def _time(minute: int) -> datetime:
    return BEGAN + timedelta(minutes=minute)


def _offsets(settings: ClickHouseSettings, limit: int = 10, **narrowed: Any) -> list[int]:
    return [letter.offset for letter in stored(settings, Selection(**narrowed), limit)]


def test_it_lists_the_newest_first_and_each_once(clickhouse: ClickHouseSettings) -> None:
    assert _offsets(clickhouse) == [12, 11, 10]
    assert _offsets(clickhouse, limit=2) == [12, 11]


def test_it_tells_all_of_a_letter(clickhouse: ClickHouseSettings) -> None:
    letter = stored(clickhouse, Selection(), 1)[0]
    assert Origin.of(letter).place == Origin(INCIDENTS.name, 0, 12)
    assert letter.kafka_time_ms == int(_time(2).timestamp() * 1000)
    assert (letter.reason, letter.path, letter.detail) == (Reason.INVALID, "/place", "why")
    assert (letter.sha256, letter.size_bytes) == ("2" * 64, 7)


def test_it_narrows(clickhouse: ClickHouseSettings) -> None:
    assert _offsets(clickhouse, reasons=frozenset({Reason.INVALID})) == [12, 10]
    assert _offsets(clickhouse, topic=PASSES.name) == [11, 10]
    assert _offsets(clickhouse, since_ms=int(_time(1).timestamp() * 1000)) == [12, 11]
    assert _offsets(clickhouse, origins=frozenset({Origin(PASSES.name, 1, 11)})) == [11]
    at_ms = int(_time(1).timestamp() * 1000)
    for ms, found in ((at_ms, [11]), (at_ms + 1, [])):
        origins = frozenset({Origin(PASSES.name, 1, 11, ms)})
        assert _offsets(clickhouse, origins=origins) == found
    assert _offsets(clickhouse, topic=PASSES.name, reasons=frozenset({Reason.TOO_OLD})) == []
