"""The same promises of everything that reads Kafka outside of a lane's batches, against a real broker.

All readers run beside each other, so that a growth, a freeze and a topic that is made anew are paid once.
"""

import asyncio
import signal
from collections.abc import Awaitable, Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest
from aiokafka import ConsumerRecord, TopicPartition
from aiokafka.errors import KafkaTimeoutError
from kafka.admin import NewPartitions, NewTopic

from dashboards.console.feeds import Feeds
from dashboards.console.picture import Picture
from deploy.topics import admin_client, ensure_topics
from schemas.events import EVENT, PanicPressed
from schemas.settings import Settings
from schemas.steps import StepTaken, Took
from schemas.topics import ALERTS, PANICS, REGISTRY, STEPS
from streams.beside import Following, KafkaTopics
from streams.dispatch.kafka import NoticeReader
from streams.gateway.closes import follow_closes
from streams.gateway.heard import Heard, follow_alerts
from streams.gateway.known import Known, follow
from streams.notify.process import Notifier
from streams.runtime.kafka.bounded import everything, in_order, partitions_of
from streams.runtime.kafka.clock import KafkaClock
from streams.runtime.kafka.reader import Followed, Reader
from streams.runtime.kafka.writer import Message, Writer
from streams.store.registry import Registry
from tests.streams.dispatch.stories import pressed, registered
from tests.streams.transport.broker import Broker
from tests.streams.workers import uuid7

pytestmark = pytest.mark.broker
WITHIN_S = 100.0
STOPS_WITHIN_S = 25.0
READ = (STEPS.name, ALERTS.name, PANICS.name, REGISTRY.name)


@pytest.fixture(scope="module")
def broker(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Broker]:
    broker = Broker(tmp_path_factory.mktemp("kafka"))
    broker.start()
    yield broker
    broker.kill()


def school(number: int) -> str:
    return f"KZ-00-9{number:04}"


def event(number: int) -> str:
    return f"event-{number}"


def thing(number: int, partition: int) -> list[Message]:
    """What each topic says of it, and before it what nobody can read."""
    of = school(number)
    step = StepTaken(
        id=uuid7(),
        alert=event(number),
        school=of,
        took=Took.CLOSED,
        actor="somebody",
        time_ms=1,
    )
    fields: dict[str, Any] = {"id": uuid7(), "device": "button-1", "time_ms": 1, "boot": 1}
    press = PanicPressed(**fields, school=of, seq=number)
    said = {
        STEPS.name: step.model_dump_json(),
        ALERTS.name: pressed(of, event=event(number)).model_dump_json(),
        PANICS.name: press.model_dump_json(),
        REGISTRY.name: EVENT.dump_json(registered(of)).decode(),
    }
    return [
        Message(topic, of.encode(), value.encode(), partition)
        for topic in READ
        for value in ("no json", said[topic])
    ]


@dataclass
class Subject:
    """``heard``: whether the reader took what ``thing(number)`` says."""

    run: Callable[[], Awaitable[Any]]
    heard: Callable[[int], bool]


@dataclass
class Noted:
    """Takes what a reader hands over, under whichever name it does, and finds it again."""

    said: list[str] = field(default_factory=list)

    def note(self, *what: Any, **_: Any) -> bool:
        self.said.append(" ".join(map(str, what)))
        return False

    def has(self, *words: str) -> bool:
        return any(all(word in one for word in words) for one in self.said)


def subjects(settings: Settings) -> dict[str, Subject]:
    kafka = settings.kafka
    step, alert, raw, closed, spoken, past, lane = (Noted() for _ in range(7))
    dispatch = SimpleNamespace(changed=alert.note, took=step.note, registered=raw.note)
    journal = SimpleNamespace(is_open=False)
    reader = NoticeReader(kafka, cast(Any, dispatch), cast(Any, journal), KafkaClock(0.0, 0.0))
    seen = Noted()
    feeds = Feeds(Picture(), kafka, settings.clickhouse, lambda: None, seen.note)
    known = SimpleNamespace(record=past.note, forget=lambda: None, rebuilt=lambda: None)
    registry = Registry(kafka)
    following = Following(KafkaTopics(kafka))
    notifier = Notifier(settings)

    async def registering() -> None:
        await registry.start()
        try:
            await asyncio.Event().wait()
        finally:
            await registry.stop()

    async def following_on() -> None:
        following.begin(STEPS.name, {}, lambda record: lane.note(record.value))
        try:
            await asyncio.Event().wait()
        finally:
            await following.stop()

    def canaries(number: int) -> bool:
        return notifier._pager.canaries > number and notifier._caught_up

    return {
        "dispatch": Subject(
            reader.run,
            lambda n: (
                step.has(event(n)) and alert.has(f"event='{event(n)}'") and raw.has(school(n))
            ),
        ),
        "console": Subject(feeds.follow_kafka, lambda n: seen.has(event(n))),
        "gateway, closes": Subject(
            lambda: follow_closes(kafka, closed.note), lambda n: closed.has(event(n))
        ),
        "gateway, alerts": Subject(
            lambda: follow_alerts(kafka, cast(Heard, SimpleNamespace(say=spoken.note))),
            lambda n: spoken.has(event(n)),
        ),
        "gateway, presses": Subject(
            lambda: follow(kafka, cast(Known, known)), lambda n: past.has(school(n), "panic")
        ),
        "store": Subject(registering, lambda n: registry.knows(school(n))),
        "lanes": Subject(following_on, lambda n: lane.has(event(n))),
        "notify": Subject(notifier.run, canaries),
    }


async def unheard(readers: dict[str, Subject], number: int) -> list[str]:
    """Those that have not heard it within WITHIN_S."""
    left = dict(readers)
    try:
        async with asyncio.timeout(WITHIN_S):
            while left:
                left = {name: it for name, it in left.items() if not it.heard(number)}
                await asyncio.sleep(0.05)
    except TimeoutError:
        pass
    return list(left)


def grown(settings: Settings, to: int) -> None:
    with admin_client(settings.kafka) as admin:
        admin.create_partitions({topic: NewPartitions(to) for topic in READ})


async def test_what_is_said_is_heard_whatever_happens_to_the_broker(
    broker: Broker, tmp_path: Path
) -> None:
    kafka = broker.settings.model_copy(update={"partitions": 2})
    settings = Settings(var=tmp_path, kafka=kafka)
    await asyncio.to_thread(ensure_topics, settings)
    writer = Writer(kafka, client_id="a-test")
    deaf: dict[str, list[str]] = {}
    await writer.send_all(thing(0, 0))
    readers = subjects(settings)
    running = {name: asyncio.ensure_future(it.run()) for name, it in readers.items()}

    async def hear(phase: str, number: int, partition: int) -> None:
        await writer.partitions(STEPS.name, with_=partition)
        for message in thing(number, partition):
            await writer.insist(message)
        if late := await unheard(readers, number):
            deaf[phase] = late

    try:
        if late := await unheard(readers, 0):
            deaf["at the start"] = late
        await hear("what follows", 1, 1)
        await asyncio.to_thread(grown, settings, 4)
        await hear("in a partition that was added", 2, 3)
        broker.signal(signal.SIGSTOP)
        await asyncio.sleep(3)  # the freeze itself
        broker.signal(signal.SIGCONT)
        await hear("after a freeze", 3, 0)
        broker.kill()
        await asyncio.to_thread(broker.start)
        await hear("after a restart", 4, 3)
        assert deaf == {}
        assert {name: task for name, task in running.items() if task.done()} == {}
    finally:
        broker.signal(signal.SIGSTOP)
        for task in running.values():
            task.cancel()
        _, left = await asyncio.wait(running.values(), timeout=STOPS_WITHIN_S)
        broker.signal(signal.SIGCONT)
        await writer.stop()
    assert [name for name, task in running.items() if task in left] == []


async def test_a_bounded_read_begins_where_it_was_told(broker: Broker, tmp_path: Path) -> None:
    """Whole, and by stamps from a time on; also after a growth, and where nothing is to be read."""
    kafka = broker.settings.model_copy(update={"partitions": 2})
    await asyncio.to_thread(ensure_topics, Settings(var=tmp_path, kafka=kafka))
    topic = "saqshy.facilities"
    writer = Writer(kafka, client_id="a-test")
    placed = [
        await writer.send(Message(topic, b"key", str(number).encode(), number % 2))
        for number in range(6)
    ]
    await writer.stop()

    async def values(records: Any) -> list[int]:
        return [int(record.value) async for record in records]

    numbers = (await partitions_of(kafka, [topic]))[topic]
    ends: dict[int, int] = {}
    assert sorted(await values(everything(kafka, topic, numbers, ends))) == list(range(6))
    assert ends == {0: 3, 1: 3}
    assert await values(in_order(kafka, topic, 0, None)) == list(range(6))
    later = [n for n, at in enumerate(placed) if at.timestamp >= placed[4].timestamp]
    assert await values(in_order(kafka, topic, placed[4].timestamp, None)) == later
    assert await values(in_order(kafka, topic, placed[5].timestamp + 1_000, None)) == []
    assert await values(in_order(kafka, topic, 0, None, {0: 1, 1: 0})) == [0]


async def test_a_bounded_read_that_a_frozen_broker_leaves_alone_ends(
    broker: Broker, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As an empty poll looks the same with and without a broker."""
    monkeypatch.setattr("streams.runtime.kafka.bounded.STUCK_AFTER_S", 2.0)
    kafka = broker.settings.model_copy(update={"partitions": 2})
    await asyncio.to_thread(ensure_topics, Settings(var=tmp_path, kafka=kafka))
    writer = Writer(kafka, client_id="a-test")
    for part in range(3):  # more than one fetch brings
        values = [b"x" * 900_000 for _ in range(2)]
        await writer.send_all([Message("saqshy.facilities", b"key", v, part % 2) for v in values])
    await writer.stop()
    read = everything(kafka, "saqshy.facilities", range(2), {})
    await anext(read)
    broker.signal(signal.SIGSTOP)
    try:
        with pytest.raises(KafkaTimeoutError, match=r"nothing comes|does not answer"):
            async with asyncio.timeout(60):
                async for _ in read:
                    pass
    finally:
        broker.signal(signal.SIGCONT)


class Once:
    """Notes each value that a reader takes."""

    def __init__(self) -> None:
        self.values: list[bytes] = []

    async def take(self, _: TopicPartition, records: Sequence[ConsumerRecord]) -> None:
        self.values += [record.value for record in records]


async def test_a_topic_that_is_made_anew_is_read_whole(broker: Broker) -> None:
    kafka = broker.settings.model_copy(update={"partitions": 1})
    topic, once = "made.anew", Once()

    def make() -> None:

        with admin_client(kafka) as admin:
            admin.create_topics([NewTopic(topic, 1, 1)])

    def unmake() -> None:
        with admin_client(kafka) as admin:
            admin.delete_topics([topic])

    await asyncio.to_thread(make)
    writer = Writer(kafka, client_id="a-test")
    await writer.send_all([Message(topic, b"key", str(n).encode(), 0) for n in range(3)])
    reader = Reader(kafka, [Followed(topic)], once.take, client_id="a-test")
    running = asyncio.create_task(reader.run())
    try:
        async with asyncio.timeout(WITHIN_S):
            while len(once.values) < 3:
                await asyncio.sleep(0.05)
            await asyncio.to_thread(unmake)
            while not reader.refused:
                await asyncio.sleep(0.05)
            await asyncio.to_thread(make)
            await writer.insist(Message(topic, b"key", b"of the new one", 0))
            while b"of the new one" not in once.values:
                await asyncio.sleep(0.05)
    finally:
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)
        await writer.stop()
