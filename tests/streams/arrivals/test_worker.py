"""An arrivals worker against a real broker.

The course of two school days, for which the test says when its passes came, is on a log in memory in
test_shell.py, and here among the faults.
"""

import asyncio
import itertools
import time
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest
from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient, NewTopic
from aiokafka.structs import OffsetAndMetadata

from deploy.replay import Span, compare
from schemas.topics import ALERTS, PASSES, REGISTRY, STATUS
from streams.arrivals.turnstile import RUN
from tests.streams.arrivals.world import (
    DAY,
    JUDGED,
    MINUTE,
    RUSH,
    alive,
    days_passes,
    passed,
    registered,
    two_school_days,
)
from tests.streams.transport.broker import Broker, started
from tests.streams.transport.cluster import eventually
from tests.streams.workers import PARTITIONS, Lane, partition_of, settings_for

pytestmark = pytest.mark.broker

SCHOOLS = tuple(f"KZ-75-{number:05}" for number in (4, 8, 12, 16))
"""All of one partition."""
QUIET, OTHERS = SCHOOLS[0], SCHOOLS[1:]
WITHIN_S = 90.0


@pytest.fixture(scope="module")
def own_broker(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Broker]:
    yield from started(tmp_path_factory)


@pytest.fixture
async def days(own_broker: Broker, tmp_path: Path) -> AsyncIterator[Lane]:
    settings = settings_for(own_broker, tmp_path)
    admin = AIOKafkaAdminClient(**settings.kafka.aiokafka_kwargs())
    await admin.start()
    by_sender = {"message.timestamp.type": "CreateTime"}
    for topic in (PASSES, REGISTRY, STATUS):
        await admin.create_topics([NewTopic(topic.name, PARTITIONS, 1, topic_configs=by_sender)])
    await admin.close()
    async with Lane(settings) as lane:
        yield lane


async def handled_to(lane: Lane, at_ms: int) -> None:
    """As if the group had spoken up to then."""
    consumer = AIOKafkaConsumer(
        **lane.kafka.aiokafka_kwargs(), group_id="saqshy-arrivals", enable_auto_commit=False
    )
    await consumer.start()
    tps = [TopicPartition(PASSES.name, number) for number in range(PARTITIONS)]
    consumer.assign(tps)
    await consumer.commit(dict.fromkeys(tps, OffsetAndMetadata(0, str(at_ms))))
    await consumer.stop()


async def put(lane: Lane, topic: str, school: str, value: bytes, at_ms: int) -> None:
    await lane.producer.send_and_wait(
        topic, value, school.encode(), partition_of(school), timestamp_ms=at_ms
    )


async def live(lane: Lane, school: str, seq: int, **more: object) -> None:
    now_ms = int(time.time() * 1000)
    await lane.send(PASSES.name, school, passed(school, now_ms, seq, **more))  # type: ignore[arg-type]


async def test_a_turnstile_that_runs_is_said_once_though_the_worker_is_killed(lane: Lane) -> None:
    school = "KZ-76-00004"
    await lane.send(REGISTRY.name, school, registered(school))
    for device in ("", "turnstile-1"):
        at_ms = int(time.time() * 1000) - 60 * MINUTE
        await lane.send(STATUS.name, school, alive(school, device, at_ms))
    async with lane.heard(ALERTS.name) as heard:
        worker = await lane.start("arrivals")
        seq = itertools.count(1)

        async def runs() -> None:
            while not heard.of(kind="stuck_open", school=school):
                await live(lane, school, next(seq), card=7)
                await asyncio.sleep(0.2)

        await asyncio.wait_for(runs(), WITHIN_S)
        worker.kill()
        await lane.start("arrivals")

        async def is_mended() -> None:
            while not heard.of(action="resolved", school=school):
                await live(lane, school, next(seq), outcome="unknown_card")
                await asyncio.sleep(0.2)

        await asyncio.wait_for(is_mended(), WITHIN_S)
    said = {(a["kind"], a["action"], a["number"], a["id"]) for a in heard.of(school=school)}
    assert {one[:3] for one in said} == {
        ("stuck_open", "opened", 0),
        ("stuck_open", "resolved", 1),
    }
    assert len({one[3] for one in said}) == 1


@pytest.mark.faults
async def test_what_is_useless_is_said_once_though_the_worker_is_killed(days: Lane) -> None:
    lane = days
    before, last = two_school_days(int(time.time() * 1000))
    for school in SCHOOLS:
        since_ms = RUSH + before * DAY - 60 * MINUTE
        await put(lane, REGISTRY.name, school, registered(school), since_ms)
        for device in ("", "turnstile-1"):
            await put(lane, STATUS.name, school, alive(school, device, since_ms), since_ms)
    for record in [*days_passes(SCHOOLS, before, OTHERS[0]), *days_passes(OTHERS, last, OTHERS[0])]:
        assert record.key is not None
        await lane.producer.send(
            *(PASSES.name, record.value, record.key, partition_of(record.key.decode())),
            timestamp_ms=record.timestamp,
        )
    await lane.producer.flush()
    await handled_to(lane, RUSH + before * DAY)

    async with lane.heard(ALERTS.name) as heard:
        worker = await lane.start("arrivals")
        await eventually(lambda: bool(heard.notices), WITHIN_S)
        (missed,) = heard.of()
        assert (missed["kind"], missed["action"]) == ("no_passes", "opened")
        assert (missed["school"], missed["decided_ms"]) == (QUIET, JUDGED + last * DAY)

        worker.kill()
        await worker.wait()
        await live(lane, QUIET, 10**10)
        await lane.start("arrivals")
        await eventually(lambda: bool(heard.of(action="resolved")), WITHIN_S)
        for n in range(RUN + 3):
            await live(lane, OTHERS[1], 10**10 + n, card=7)
        await eventually(lambda: bool(heard.of(kind="stuck_open")), WITHIN_S)
        await live(lane, OTHERS[1], 10**11, outcome="unknown_card")
        await eventually(lambda: len(heard.of(action="resolved")) == 2, WITHIN_S)
    said = [(a["kind"], a["school"], a["action"], a["number"]) for a in heard.of()]
    assert said == [
        ("no_passes", QUIET, "opened", 0),
        ("no_passes", QUIET, "resolved", 1),
        ("stuck_open", OTHERS[1], "opened", 0),
        ("stuck_open", OTHERS[1], "resolved", 1),
    ]
    assert heard.of(kind="no_passes")[1]["id"] == missed["id"]

    span = Span(RUSH + before * DAY, int(time.time() * 1000))
    compared = await compare(lane.settings, "arrivals", span)
    assert compared.identical, compared.differences
    assert compared.stand == compared.replayed == 4
