"""A reader of one topic from some time before now on, in no group."""

from collections.abc import Callable

from aiokafka import ConsumerRecord, TopicPartition

from schemas.settings import KafkaSettings
from streams.runtime.kafka.reader import Followed, Reader


async def keep_reading(
    settings: KafkaSettings,
    topic: str,
    back_ms: int,
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
    ).run()
