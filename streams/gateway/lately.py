"""A reader of one topic from some time before now on, in no group."""

import time
from collections.abc import Callable

from aiokafka import AIOKafkaConsumer, ConsumerRecord, TopicPartition
from aiokafka.errors import KafkaError

from schemas.settings import KafkaSettings
from streams.runtime.kafka.reader import Followed, Reader


async def read_since(
    settings: KafkaSettings, topic: str, back_ms: int, fetch_max_wait_ms: int
) -> tuple[AIOKafkaConsumer, dict[TopicPartition, int]]:
    """A started consumer that begins ``back_ms`` before now, and where the partitions ended then.

    Raises KafkaError, also when the topic is not there yet.
    """
    consumer = AIOKafkaConsumer(
        **settings.aiokafka_kwargs(),
        fetch_max_wait_ms=fetch_max_wait_ms,
        request_timeout_ms=10_000,
    )
    try:
        await consumer.start()
        tps = [TopicPartition(topic, number) for number in await _partitions(consumer, topic)]
        consumer.assign(tps)
        since_ms = int(time.time() * 1000) - back_ms
        found = await consumer.offsets_for_times(dict.fromkeys(tps, since_ms))
        ends: dict[TopicPartition, int] = await consumer.end_offsets(tps)
        for tp, at in found.items():
            consumer.seek(tp, ends[tp] if at is None else at.offset)
    except BaseException:
        await consumer.stop()
        raise
    return consumer, ends


async def keep_reading(
    settings: KafkaSettings,
    topic: str,
    back_ms: int,
    fetch_max_wait_ms: int,
    apply: Callable[[bytes], None],
) -> None:
    """Apply each record's value, from ``back_ms`` before now on, until cancelled."""

    async def take(_: TopicPartition, records: list[ConsumerRecord]) -> None:
        for record in records:
            apply(record.value or b"")

    await Reader(
        settings,
        [Followed(topic, back_ms)],
        take,
        client_id="saqshy-gateway",
        fetch_wait_ms=fetch_max_wait_ms,
    ).run()


async def _partitions(consumer: AIOKafkaConsumer, topic: str) -> set[int]:
    metadata = await consumer._client.fetch_all_metadata()
    found: set[int] | None = metadata.partitions_for_topic(topic)
    if not found:
        raise KafkaError(f"the topic {topic} is not there yet")
    return found
