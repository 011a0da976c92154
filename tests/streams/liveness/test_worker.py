"""A liveness worker against a real broker: who is silent is found, and nobody else."""

import asyncio
import json
import signal
import time
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager, suppress
from typing import Any

import pytest
from aiokafka.errors import KafkaError

from schemas.settings import KafkaSettings
from schemas.topics import ALERTS, HEARTBEATS
from streams.runtime.kafka.bounded import everything, partitions_of
from tests.silences import was_silent
from tests.streams.transport.broker import Broker
from tests.streams.transport.cluster import eventually
from tests.streams.workers import Heard, Lane, uuid7

pytestmark = pytest.mark.broker

TIMEOUT_S = 4.0


class Country:
    """Schools whose gateways beat once a second, but for the silent ones.

    Too few for a mass fall when a test ends and they all fall silent, unless ``schools`` says more.
    """

    def __init__(self, lane: Lane, region: str, schools: list[str] | None = None) -> None:
        self.lane = lane
        self.schools = schools or [f"KZ-{region}-{number:05}" for number in range(1, 9)]
        self.silent: set[str] = set()

    async def beat(self) -> None:
        seq = 0
        while True:
            seq += 1
            await asyncio.gather(*(self.say(s, seq) for s in self.schools if s not in self.silent))
            await asyncio.sleep(1.0)

    async def say(self, school: str, seq: int) -> None:
        with suppress(KafkaError):  # a gateway's own trouble while the broker is away
            await self.lane.send(HEARTBEATS.name, school, heartbeat(school, seq))


def heartbeat(school: str, seq: int) -> bytes:
    fields: dict[str, object] = {
        "id": uuid7(),
        "type": "heartbeat",
        "school": school,
        "device": "gateway-1",
    }
    fields |= {"time_ms": int(time.time() * 1000), "boot": 1, "seq": seq, "v": 1}
    fields |= {"kind": "gateway", "period_s": 1, "link_pct": 90, "provider": "kt", "buffered": 0}
    return json.dumps(fields | {"clock_offset_ms": 0}).encode()


@asynccontextmanager
async def country(
    lane: Lane, region: str, schools: list[str] | None = None
) -> AsyncIterator[Country]:
    there = Country(lane, region, schools)
    task = asyncio.create_task(there.beat())
    try:
        yield there
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


def accused(heard: Heard, there: Country) -> set[str]:
    offline = heard.of(kind="school_offline", action="opened")
    return {alert["school"] for alert in offline} & set(there.schools)


async def wrongly_accused(
    kafka: KafkaSettings, schools: Iterable[str], alerts: list[dict[str, Any]]
) -> set[str]:
    """Those of the schools that were called silent and, by Kafka's times, were not."""
    heard_ms: dict[str, list[int]] = {school: [] for school in schools}
    numbers = (await partitions_of(kafka, [HEARTBEATS.name]))[HEARTBEATS.name]
    async for record in everything(kafka, HEARTBEATS.name, numbers, {}):
        if record.key is not None and record.key.decode() in heard_ms:
            heard_ms[record.key.decode()].append(record.timestamp)
    return {
        alert["school"]
        for alert in alerts
        if alert["school"] in heard_ms
        and (alert["kind"], alert["action"]) == ("school_offline", "opened")
        and not was_silent(heard_ms[alert["school"]], TIMEOUT_S * 1000, alert["decided_ms"])
    }


async def found(lane: Lane, heard: Heard, there: Country, school: str) -> None:
    """Silence a school; return when it was found, and nobody else who was not silent."""
    there.silent.add(school)
    await eventually(lambda: school in accused(heard, there))
    assert await wrongly_accused(lane.kafka, there.schools, heard.of()) == set()


@pytest.mark.faults  # on a log in memory in test_shell.py
async def test_a_worker_that_is_killed_or_paused_invents_nothing(lane: Lane) -> None:
    async with lane.heard(ALERTS.name) as heard, country(lane, "21") as there:
        worker = await lane.start("liveness")
        await found(lane, heard, there, there.schools[0])

        worker.send_signal(signal.SIGSTOP)
        await asyncio.sleep(TIMEOUT_S + 2)
        worker.send_signal(signal.SIGCONT)
        await found(lane, heard, there, there.schools[1])

        worker.kill()
        worker = await lane.start("liveness")
        # It waits for its predecessor's session to end, for longer than the timeout.
        await found(lane, heard, there, there.schools[2])
        said = heard.of(kind="school_offline", action="opened")
        ids = {alert["id"] for alert in said if alert["school"] in there.schools}
        assert len(ids) == 3  # a repeated opening is the same one


async def test_a_killed_worker_with_a_static_name_goes_on(lane: Lane) -> None:
    member = lane.settings.worker.model_copy(update={"member": "liveness-a"})
    lane.settings = lane.settings.model_copy(update={"worker": member})
    async with lane.heard(ALERTS.name) as heard, country(lane, "23") as there:
        worker = await lane.start("liveness")
        gone = there.schools[0]
        await found(lane, heard, there, gone)
        worker.kill()
        await lane.start("liveness")
        there.silent.discard(gone)
        await eventually(lambda: bool(heard.of(action="resolved", school=gone)))
        await found(lane, heard, there, there.schools[1])


@pytest.mark.faults  # on a log in memory in test_shell.py
async def test_a_broker_that_was_away_for_longer_than_the_timeout_accuses_nobody(
    lane: Lane, lane_broker: Broker
) -> None:
    async with lane.heard(ALERTS.name) as heard, country(lane, "22") as there:
        await lane.start("liveness")
        await found(lane, heard, there, there.schools[0])
        lane_broker.kill()
        await asyncio.sleep(3 * TIMEOUT_S)
        await asyncio.to_thread(lane_broker.start)
        await found(lane, heard, there, there.schools[1])
        # By the log all were silent, since it was away itself.
        assert accused(heard, there) == {*there.schools[:2]}
