"""The embedded Kafka as clients see it."""

import asyncio
import time
from collections.abc import AsyncIterator
from typing import Any

import pytest
import pytest_asyncio
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer
from aiokafka.client import AIOKafkaClient
from aiokafka.errors import KafkaError
from aiokafka.structs import TopicPartition

from deploy.topics import ensure_topics
from schemas.topics import PANICS
from tests.deploy.embedded.parts import Running, running

pytestmark = [pytest.mark.broker, pytest.mark.asyncio(loop_scope="module")]

ANSWER_WITHIN_S = 90
LONG_AGO_MS = 1_000_000_000_000  # 2001


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def broker(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Running]:
    async with running(tmp_path_factory.mktemp("kafka"), {"kafka"}) as broker:
        await asyncio.to_thread(ensure_topics, broker.settings)
        yield broker


async def produce(broker: Running, value: bytes, timestamp_ms: int | None = None) -> Any:
    producer = AIOKafkaProducer(**broker.settings.kafka.aiokafka_kwargs(), acks="all")
    async with asyncio.timeout(ANSWER_WITHIN_S):
        await producer.start()
        try:
            return await producer.send_and_wait(
                PANICS.name, value, partition=0, timestamp_ms=timestamp_ms
            )
        finally:
            await producer.stop()


async def record(broker: Running, offset: int) -> Any:
    consumer = AIOKafkaConsumer(**broker.settings.kafka.aiokafka_kwargs())
    async with asyncio.timeout(ANSWER_WITHIN_S):
        await consumer.start()
        try:
            partition = TopicPartition(PANICS.name, 0)
            consumer.assign([partition])
            consumer.seek(partition, offset)
            return await consumer.getone()
        finally:
            await consumer.stop()


@pytest.mark.parametrize(
    "changed",
    [
        {"security_protocol": "PLAINTEXT"},
        {"sasl_plain_password": "wrong"},
        {"sasl_plain_username": "nobody"},
        {"sasl_mechanism": "PLAIN"},
    ],
    ids=["no login", "wrong password", "unknown user", "password in the clear"],
)
async def test_it_lets_nobody_in_without_the_login(
    broker: Running, changed: dict[str, str]
) -> None:
    client = AIOKafkaClient(
        **(broker.settings.kafka.aiokafka_kwargs() | changed), request_timeout_ms=3000
    )
    try:
        with pytest.raises(KafkaError):
            async with asyncio.timeout(ANSWER_WITHIN_S):
                await client.bootstrap()
    finally:
        await client.close()


async def test_it_stamps_records_with_its_own_clock(broker: Running) -> None:
    before_ms = int(time.time() * 1000)
    sent = await produce(broker, b"old", timestamp_ms=LONG_AGO_MS)
    after_ms = int(time.time() * 1000)
    kept = await record(broker, sent.offset)
    assert kept.value == b"old"
    assert before_ms <= kept.timestamp <= after_ms


async def test_it_makes_no_topic_that_somebody_only_named(broker: Running) -> None:
    client = AIOKafkaClient(**broker.settings.kafka.aiokafka_kwargs())
    await client.bootstrap()
    try:
        await client.add_topic("nobody-made-this")
        metadata = await client.fetch_all_metadata()
        assert PANICS.name in metadata.topics()
        assert "nobody-made-this" not in metadata.topics()
    finally:
        await client.close()


async def test_it_comes_back_with_its_records_after_it_was_killed(broker: Running) -> None:
    sent = await produce(broker, b"kept")
    await broker.kill("kafka")
    assert (await record(broker, sent.offset)).value == b"kept"
    assert (await produce(broker, b"next")).offset == sent.offset + 1
