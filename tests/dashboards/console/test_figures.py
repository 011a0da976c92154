"""Numbers through the driver: moments in any zone, and a ClickHouse that comes, goes and comes again."""

import asyncio
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from clickhouse_driver import Client

from dashboards.console import feeds as feeds_module
from dashboards.console.feeds import Feeds
from dashboards.console.figures import asking, of_country, of_school
from dashboards.console.picture import Picture
from schemas.migrations import migrate
from schemas.settings import ClickHouseSettings, KafkaSettings

pytestmark = pytest.mark.broker

SCHOOL = "KZ-75-00001"


@pytest.fixture(scope="module")
def settings(clickhouse_server: ClickHouseSettings) -> ClickHouseSettings:
    made = clickhouse_server.model_copy(update={"database": "figures"})
    migrate(made)
    return made


@pytest.fixture
def in_almaty(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setenv("TZ", "Asia/Almaty")
    time.tzset()
    yield
    monkeypatch.undo()
    time.tzset()


@pytest.mark.usefixtures("in_almaty")
def test_moments_are_told_alike_wherever_the_console_stands(settings: ClickHouseSettings) -> None:
    client = Client(**settings.driver_kwargs())
    bucket = datetime.now(UTC).replace(minute=5, second=0, microsecond=0) - timedelta(hours=2)
    at_ms = round(bucket.timestamp() * 1000)
    client.execute(
        "INSERT INTO flow_5m (school, bucket, came_in, went_out, denied) VALUES",
        [(SCHOOL, bucket, 7, 2, 1)],
    )
    client.execute(
        "INSERT INTO status_history (school, device, status, since, decided, kafka_time) VALUES",
        [(SCHOOL, "", "offline", bucket, bucket + timedelta(seconds=66), bucket)],
    )
    known = of_school(asking(client), SCHOOL, reports=True)
    assert known["flow"] == [(at_ms, 7, 2)]
    assert known["inside"] == (at_ms, 5)
    assert known["history"] == [("", "offline", at_ms, at_ms + 66_000)]
    assert (known["equipment"], known["reports"]) == (None, [])
    assert of_country(asking(client)) == {
        "passes_last_minute": 0,
        "denied_5m": 0,
        "inside": 0,
        "reports_today": 0,
    }
    client.disconnect()


async def test_numbers_come_as_soon_as_clickhouse_and_its_password_are_there(
    settings: ClickHouseSettings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(feeds_module, "ASK_EVERY_S", 0.05)
    password = settings.password_file
    assert password is not None
    later = tmp_path / "password"
    theirs = settings.model_copy(update={"password_file": later})
    counted = asyncio.Event()
    feeds = Feeds(Picture(), KafkaSettings(), theirs, counted.set, lambda _: None)
    following = asyncio.create_task(feeds.follow_clickhouse())
    await asyncio.sleep(0.3)  # some attempts without a password: that it goes on is what is tested
    assert not following.done() and feeds.fresh_ms["clickhouse"] == 0
    later.write_text(password.read_text())
    async with asyncio.timeout(60):
        await counted.wait()
    following.cancel()
    assert feeds.fresh_ms["clickhouse"] > 0


async def test_a_school_s_page_without_clickhouse_says_that_it_is_stale() -> None:
    nowhere = ClickHouseSettings(port=1, password_file=Path("/nowhere/password"))
    feeds = Feeds(Picture(), KafkaSettings(), nowhere, lambda: None, lambda _: None)
    assert (await feeds.school(SCHOOL, reports=True))["stale"] is True
