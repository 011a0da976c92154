"""The watchdog against a real broker, a real panic worker and a real receiver of pages and pings."""

import asyncio
import json
import signal
from collections.abc import AsyncIterator
from pathlib import Path

import aiohttp
import pytest

from deploy.embedded.ports import free_port
from schemas.events import EVENT, Heartbeat, is_canary
from schemas.settings import Settings, WatchdogSettings, WorkerSettings
from schemas.topics import ALERTS, HEARTBEATS, PANICS
from streams.watchdog.canary import beat, press
from streams.watchdog.decide import HOLDS_S
from streams.watchdog.process import Watchdog
from tests.streams.notify.test_process import until
from tests.streams.paging.receiver import Receiver, private, receiver
from tests.streams.transport.broker import Broker
from tests.streams.workers import PARTITIONS, Lane, settings_for


class Watching:
    def __init__(self, lane: Lane, taken: Receiver) -> None:
        self.lane, self.taken = lane, taken

    async def asked(self, path: str) -> str:
        url = f"http://127.0.0.1:{self.lane.settings.worker.health_port}{path}"
        try:
            async with aiohttp.ClientSession() as web, web.get(url) as answer:
                return await answer.text() if answer.status == 200 else ""
        except aiohttp.ClientError:
            return ""

    def paged(self) -> set[tuple[str, str]]:
        return {(a["kind"], a["why"]) for page in self.taken.pages.values() for a in page["alerts"]}


@pytest.fixture
async def watching(lane_broker: Broker, tmp_path: Path) -> AsyncIterator[Watching]:
    async with receiver(tmp_path) as taken:
        ping = (
            f'url = "{taken.url}/ping"\nallow_private = ["127.0.0.0/8"]\n'
            f'ca_file = "{taken.ca_file}"\n'
        )
        watchdog = WatchdogSettings(
            channels_file=private(tmp_path / "channels.toml", taken.channel()),
            ping_file=private(tmp_path / "ping.toml", ping),
            every_s=0.5,
            press_every_s=1.0,
        )
        base = settings_for(lane_broker, tmp_path)
        settings = Settings.model_validate(
            base.model_dump()
            | {
                "kafka": base.kafka,
                "worker": WorkerSettings(health_port=free_port()),
                "watchdog": watchdog,
            }
        )
        async with Lane(settings) as lane:
            yield Watching(lane, taken)


@pytest.mark.broker
async def test_a_press_of_its_own_must_become_an_alert_and_it_pages_by_itself_when_not(
    watching: Watching,
) -> None:
    lane = watching.lane
    port = lane.settings.worker.health_port
    async with lane.heard(ALERTS.name) as alerts, lane.heard(HEARTBEATS.name) as beats:
        # The panic worker has no listener here: the port is the watchdog's.
        environment = lane.settings.worker.model_copy(update={"health_port": 0})
        lane.settings = lane.settings.model_copy(update={"worker": environment})
        worker = await lane.start("panic")
        lane.settings = lane.settings.model_copy(
            update={"worker": WorkerSettings(health_port=port)}
        )
        await lane.start("watchdog")
        # Presses that other tests left for a worker become alerts, too.
        await until(lambda: any(is_canary(a["school"]) for a in alerts.of(kind="panic")))
        await until(lambda: len({one["school"] for one in beats.of()}) >= PARTITIONS)

        async def measured() -> bool:
            return "saqshy_watchdog_press_to_alert_seconds" in await watching.asked("/metrics")

        await until(measured)
        await until(lambda: "/ping" in watching.taken.paths)
        assert "saqshy_watchdog_checked_at_seconds" in await watching.asked("/metrics")
        worker.send_signal(signal.SIGKILL)
        await worker.wait()
        await until(lambda: ("pipeline_silent: panic canary", "opened") in watching.paged())
        assert "panic canary" in json.loads(await watching.asked("/health"))["findings"]


async def test_without_kafka_it_pages_all_the_same(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(HOLDS_S, "kafka", 0.5)  # type: ignore[arg-type]
    async with receiver(tmp_path) as taken:
        settings = Settings(
            var=tmp_path,
            watchdog=WatchdogSettings(
                channels_file=private(tmp_path / "channels.toml", taken.channel()), every_s=0.5
            ),
        )
        nobody = {"bootstrap": f"127.0.0.1:{free_port()}"}
        settings = settings.model_copy(
            update={
                "kafka": settings.kafka.model_copy(update=nobody),
                "clickhouse": settings.clickhouse.model_copy(update={"port": free_port()}),
            }
        )
        running = asyncio.create_task(Watchdog(settings).run())
        try:
            await until(lambda: any(b"kafka" in body for _, body in taken.requests))
        finally:
            running.cancel()
            await asyncio.gather(running, return_exceptions=True)


@pytest.mark.parametrize("partition", [0, 7, 9_999])
def test_canaries_are_events_like_any_other_and_told_apart(partition: int) -> None:
    for event in (
        beat(partition, 1, 1_764_000_000, 1_764_000_000_000),
        press(partition, 2, 1_764_000_000, 1_764_000_000_000),
    ):
        assert EVENT.validate_json(event.model_dump_json()) == event
        assert is_canary(event.school)
        topic = HEARTBEATS if isinstance(event, Heartbeat) else PANICS
        assert event.type in topic.types
