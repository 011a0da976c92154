"""What a reader promises, over outages of a real broker."""

import asyncio
import signal
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import pytest
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, ConsumerRecord, TopicPartition
from aiokafka.errors import KafkaConnectionError
from kafka.admin import NewPartitions, NewTopic

from deploy.topics import admin_client
from schemas.settings import KafkaSettings
from streams.runtime.kafka import reader as reader_module
from streams.runtime.kafka.reader import Followed, Reader
from tests.streams.transport.broker import Broker

pytestmark = pytest.mark.broker
HOUR_MS = 3_600_000


@pytest.fixture
def topic(broker: Broker, request: pytest.FixtureRequest) -> str:
    name = request.node.name.replace("[", "-").rstrip("]")
    make(broker.settings, name)
    return name


def make(kafka: KafkaSettings, name: str) -> None:
    with admin_client(kafka) as admin:
        admin.create_topics([NewTopic(name, num_partitions=2, replication_factor=1)])


async def say(kafka: KafkaSettings, topic: str, *values: str, partition: int = 0) -> None:
    producer = AIOKafkaProducer(**kafka.aiokafka_kwargs(), acks="all")
    await producer.start()
    try:
        for value in values:
            await producer.send_and_wait(topic, value.encode(), partition=partition)
    finally:
        await producer.stop()


class Taken:
    """Notes what is taken; raises ``trouble`` once when it is set."""

    def __init__(self) -> None:
        self.values: list[str] = []
        self.trouble: Exception | None = None

    async def take(self, _: TopicPartition, records: list[ConsumerRecord]) -> None:
        trouble, self.trouble = self.trouble, None
        if trouble is not None:
            raise trouble
        self.values += [record.value.decode() for record in records]


@asynccontextmanager
async def reading(
    broker: Broker, taken: Taken, *topics: Followed, **options: Any
) -> AsyncIterator[Reader]:
    reader = Reader(broker.settings, topics, taken.take, client_id="a-test", **options)
    running = asyncio.create_task(reader.run())
    yield reader
    running.cancel()
    await asyncio.gather(running, return_exceptions=True)


async def until(condition: Callable[[], object]) -> None:
    async with asyncio.timeout(120):
        while not condition():
            await asyncio.sleep(0.02)


async def test_all_is_read_then_what_follows(broker: Broker, topic: str) -> None:
    taken = Taken()
    await say(broker.settings, topic, "a", "b")
    async with reading(broker, taken, Followed(topic)) as reader:
        await until(lambda: reader.caught_up)
        assert taken.values == ["a", "b"]
        await say(broker.settings, topic, "c", partition=1)
        await until(lambda: taken.values == ["a", "b", "c"])


async def test_looking_back_leaves_out_what_is_older(broker: Broker, topic: str) -> None:
    taken = Taken()
    await say(broker.settings, topic, "now")
    async with reading(broker, taken, Followed(topic, -HOUR_MS)) as reader:
        await until(lambda: reader.caught_up)
    async with reading(broker, taken, Followed(topic, HOUR_MS)) as reader:
        await until(lambda: reader.caught_up)
    assert taken.values == ["now"]


async def test_a_topic_that_is_not_there_is_waited_for(broker: Broker) -> None:
    taken = Taken()
    async with reading(broker, taken, Followed("late-topic")) as reader:
        await until(lambda: reader.refused)
        await asyncio.to_thread(make, broker.settings, "late-topic")
        await say(broker.settings, "late-topic", "a")
        await until(lambda: taken.values == ["a"])


async def test_partitions_that_are_added_are_read_from_their_start(
    broker: Broker, topic: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(reader_module, "LOOK_FOR_PARTITIONS_EVERY_S", 0.0)
    taken = Taken()
    await say(broker.settings, topic, "a")
    async with reading(broker, taken, Followed(topic, HOUR_MS)) as reader:
        await until(lambda: reader.caught_up)

        def grow() -> None:
            with admin_client(broker.settings) as admin:
                admin.create_partitions({topic: NewPartitions(4)})

        await asyncio.to_thread(grow)
        await say(broker.settings, topic, "b", partition=3)
        await until(lambda: taken.values == ["a", "b"])
        assert not reader.refused


async def test_what_could_not_be_taken_is_taken_later(broker: Broker, topic: str) -> None:
    taken = Taken()
    taken.trouble = KafkaConnectionError()
    await say(broker.settings, topic, "a", "b")
    async with reading(broker, taken, Followed(topic)) as reader:
        await until(lambda: taken.values == ["a", "b"])
        assert reader.refused


@pytest.mark.parametrize("home", [0, 1])
async def test_the_last_word_on_a_key_counts_whichever_partition_has_it(
    broker: Broker, topic: str, home: int
) -> None:
    taken = Taken()
    await say(broker.settings, topic, "old", partition=1 - home)
    await say(broker.settings, topic, "new", partition=home)
    async with reading(broker, taken, Followed(topic, newest=True)) as reader:
        await until(lambda: reader.caught_up)
        assert taken.values[-1] == "new"


async def test_a_group_is_told_what_was_taken_and_read_from_there(
    broker: Broker, topic: str
) -> None:
    """``back_ms`` 0 alone would leave out what nobody has handled yet."""
    first, second, third = Taken(), Taken(), Taken()
    await say(broker.settings, topic, "a")
    async with reading(broker, first, Followed(topic), group="g") as reader:
        await until(lambda: reader.caught_up)
        await reader.commit()
    await say(broker.settings, topic, "b", "c")
    async with reading(broker, second, Followed(topic, 0), group="g") as reader:
        await until(lambda: reader.caught_up)
        assert reader.lag == {TopicPartition(topic, 0): 0, TopicPartition(topic, 1): 0}
    async with reading(broker, third, Followed(topic, 0)) as reader:
        await until(lambda: reader.caught_up)
    assert (first.values, second.values, third.values) == (["a"], ["b", "c"], [])


async def test_trouble_of_our_own_ends_it(broker: Broker, topic: str) -> None:
    taken = Taken()
    taken.trouble = RuntimeError("ours")
    await say(broker.settings, topic, "a")
    with pytest.raises(RuntimeError, match="ours"):
        await Reader(broker.settings, [Followed(topic)], taken.take, client_id="a-test").run()


@pytest.mark.parametrize("hangs", ["getmany", "position", "end_offsets"])
async def test_a_consumer_that_hangs_is_left_behind(
    broker: Broker, topic: str, hangs: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As its broker goes or comes a consumer may hang in any of its calls; the broker answers others."""
    monkeypatch.setattr(reader_module, "STUCK_AFTER_S", 3.0)
    taken = Taken()
    await say(broker.settings, topic, "a")
    async with reading(broker, taken, Followed(topic)) as reader:
        await until(lambda: reader.caught_up)
        works = getattr(AIOKafkaConsumer, hangs)

        hanging = asyncio.Event()

        async def hang(*_: Any, **__: Any) -> None:
            hanging.set()
            await asyncio.Event().wait()

        monkeypatch.setattr(AIOKafkaConsumer, hangs, hang)
        await hanging.wait()
        await say(broker.settings, topic, "b")
        runs = reader.runs
        await until(lambda: reader.runs > runs)
        monkeypatch.setattr(AIOKafkaConsumer, hangs, works)
        await until(lambda: taken.values == ["a", "b"])


async def test_a_frozen_broker_shows(
    broker: Broker, topic: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(reader_module, "ANSWERS_WITHIN_S", 2.0)
    taken = Taken()
    async with reading(broker, taken, Followed(topic)) as reader:
        await until(lambda: reader.connected)
        broker.signal(signal.SIGSTOP)
        try:
            await until(lambda: not reader.connected)
            assert reader.age_s is not None
            assert reader.age_s > 2.0
        finally:
            broker.signal(signal.SIGCONT)
        await until(lambda: reader.connected)


async def test_each_record_is_taken_once_over_outages(broker: Broker, topic: str) -> None:
    taken = Taken()
    await say(broker.settings, topic, "before")
    async with reading(broker, taken, Followed(topic)) as reader:
        await until(lambda: reader.caught_up)
        for name in ("once", "again"):
            broker.kill()
            await until(lambda: not reader.connected)
            broker.start()
            await say(broker.settings, topic, name)
            await until(lambda: taken.values[-1] == name)  # noqa: B023
    assert taken.values == ["before", "once", "again"]
