"""What a writer promises, over refusals and outages of a real broker."""

import asyncio
import signal
from collections.abc import AsyncIterator, Iterator

import pytest
from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.errors import KafkaConnectionError, KafkaError, MessageSizeTooLargeError
from kafka.admin import NewTopic

from deploy.embedded.ports import free_port
from deploy.topics import admin_client
from schemas.settings import KafkaSettings
from streams.runtime.kafka.writer import STOP_WITHIN_S, Message, Writer
from tests.streams.transport.broker import Broker

pytestmark = pytest.mark.broker
LIMIT_BYTES = 2_000


@pytest.fixture(scope="module")
def broker(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Broker]:
    broker = Broker(tmp_path_factory.mktemp("kafka"))
    broker.start()
    yield broker
    broker.kill()


@pytest.fixture
def topic(broker: Broker, request: pytest.FixtureRequest) -> str:
    """One partition, that takes no record over LIMIT_BYTES."""
    name: str = request.node.name
    with admin_client(broker.settings) as admin:
        limit = {"max.message.bytes": str(LIMIT_BYTES)}
        admin.create_topics([NewTopic(name, 1, 1, topic_configs=limit)])
    return name


@pytest.fixture
async def writer(broker: Broker) -> AsyncIterator[Writer]:
    writer = Writer(broker.settings, client_id="a-test")
    yield writer
    await writer.stop()


def message(topic: str, value: str) -> Message:
    return Message(topic, b"key", value.encode())


async def written(kafka: KafkaSettings, topic: str) -> list[str]:
    consumer = AIOKafkaConsumer(**kafka.aiokafka_kwargs())
    await consumer.start()
    try:
        tp = TopicPartition(topic, 0)
        end = (await consumer.end_offsets([tp]))[tp]
        consumer.assign([tp])
        consumer.seek(tp, 0)
        found: list[str] = []
        while await consumer.position(tp) < end:
            for records in (await consumer.getmany(timeout_ms=500)).values():
                found += [record.value.decode() for record in records]
        return found
    finally:
        await consumer.stop()


async def test_after_a_refused_record_the_next_ones_are_written(
    broker: Broker, topic: str, writer: Writer
) -> None:
    await writer.send(message(topic, "before"))
    with pytest.raises(MessageSizeTooLargeError):
        await writer.send(message(topic, "x" * 2 * LIMIT_BYTES))
    await writer.send(message(topic, "after"))
    assert await written(broker.settings, topic) == ["before", "after"]
    assert (writer.acknowledged, writer.renewals) == (2, 1)


async def test_what_stands_behind_a_refused_record_has_a_fate_of_its_own(
    broker: Broker, topic: str, writer: Writer
) -> None:
    large = "x" * 2 * LIMIT_BYTES
    outcomes = await writer.attempt([message(topic, value) for value in ("a", large, "b")])
    failed = [isinstance(outcome, KafkaError) for outcome in outcomes]
    assert failed[1]
    taken = [value for value, no in zip(("a", large, "b"), failed, strict=True) if not no]
    assert await written(broker.settings, topic) == taken
    await writer.send(message(topic, "after"))
    assert await written(broker.settings, topic) == [*taken, "after"]


async def test_what_our_own_limit_refuses_spends_nothing(
    broker: Broker, topic: str, writer: Writer
) -> None:
    writer.max_request_bytes = LIMIT_BYTES
    with pytest.raises(MessageSizeTooLargeError):
        await writer.send(message(topic, "x" * 2 * LIMIT_BYTES))
    await writer.send_all([message(topic, str(number)) for number in range(50)])
    assert await written(broker.settings, topic) == [str(number) for number in range(50)]
    assert writer.renewals == 0


async def test_each_is_written_once_and_in_order_over_a_freeze_and_a_kill(
    broker: Broker, topic: str, writer: Writer
) -> None:
    await writer.send(message(topic, "before"))
    broker.signal(signal.SIGSTOP)
    frozen = asyncio.create_task(writer.send_all([message(topic, v) for v in ("a", "b")]))
    # Longer than a request may take, so that it is sent anew.
    await asyncio.wait({frozen}, timeout=writer.request_timeout_ms / 1000 + 1)
    broker.signal(signal.SIGCONT)
    await frozen
    broker.kill()
    dead = asyncio.create_task(writer.send(message(topic, "c")))
    await asyncio.sleep(0)
    broker.start()
    await dead
    assert await written(broker.settings, topic) == ["before", "a", "b", "c"]


async def test_it_stops_in_time_though_the_broker_is_gone(
    broker: Broker, topic: str, writer: Writer
) -> None:
    await writer.send(message(topic, "before"))
    broker.signal(signal.SIGSTOP)
    try:
        sending = asyncio.create_task(writer.send(message(topic, "never")))
        while (await asyncio.wait({sending}, timeout=0.5))[0]:  # threads stop one after the other
            sending = asyncio.create_task(writer.send(message(topic, "never")))
        async with asyncio.timeout(STOP_WITHIN_S + 20):
            await writer.stop()
            # Who waits for an acknowledgement is not left waiting.
            with pytest.raises(KafkaError):
                await sending
    finally:
        broker.signal(signal.SIGCONT)


async def test_who_stops_waiting_does_not_end_the_start(broker: Broker, topic: str) -> None:
    writer = Writer(broker.settings, client_id="a-test")
    broker.signal(signal.SIGSTOP)
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.2):
            await writer.send(message(topic, "late"))
    starting = asyncio.create_task(writer.start())
    broker.signal(signal.SIGCONT)
    await starting
    assert writer.connected
    await writer.stop()
    assert not writer.connected


async def test_without_a_broker_it_says_so_and_is_there_when_it_is_called_again() -> None:
    kafka = KafkaSettings(bootstrap=f"127.0.0.1:{free_port()}")
    writer = Writer(kafka, client_id="a-test")
    for _ in range(2):
        with pytest.raises(KafkaConnectionError):
            await writer.send(message("any", "value"))
    await writer.stop()
