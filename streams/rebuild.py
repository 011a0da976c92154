"""What a deciding worker reads before it may judge: small topics whole or from some time on, and where its
own records of a time begin."""

from collections.abc import AsyncIterator, Iterable, Mapping
from contextlib import asynccontextmanager
from typing import Any

from aiokafka import AIOKafkaConsumer, TopicPartition
from faust.types import TP
from pydantic import ValidationError

from schemas.alerts import NOTICE, StatusChanged
from schemas.settings import KafkaSettings


async def everything(
    kafka: KafkaSettings,
    topic: str,
    partitions: Iterable[int],
    ends: dict[int, int],
    starts: Mapping[TP, int] | None = None,
) -> AsyncIterator[Any]:
    """The records that are now in these partitions of a small topic, from the starts if given.

    ``ends`` is filled with the offset after them, by partition.
    """
    tps = [TopicPartition(topic, number) for number in partitions]
    async with _reader(kafka, tps) as consumer:
        await consumer.seek_to_beginning(*tps)
        ends.update({tp.partition: end for tp, end in (await consumer.end_offsets(tps)).items()})
        for tp, offset in (starts or {}).items():
            consumer.seek(TopicPartition(tp.topic, tp.partition), offset)
        left = [tp for tp in tps if await consumer.position(tp) < ends[tp.partition]]
        while left:
            for records in (await consumer.getmany(*left, timeout_ms=200)).values():
                for record in records:
                    yield record
            left = [tp for tp in left if await consumer.position(tp) < ends[tp.partition]]


async def what_follows(
    kafka: KafkaSettings, topic: str, starts: Mapping[int, int]
) -> AsyncIterator[Any]:
    """The records from these offsets on, as they come, for ever."""
    tps = {TopicPartition(topic, number): offset for number, offset in starts.items()}
    async with _reader(kafka, list(tps)) as consumer:
        for tp, offset in tps.items():
            consumer.seek(tp, offset)
        async for record in consumer:
            yield record


async def offsets_at(kafka: KafkaSettings, since_ms: Mapping[TP, int]) -> dict[TP, int]:
    """The first offset with that Kafka time or a later one; the end where there is none."""
    wanted = {TopicPartition(tp.topic, tp.partition): at_ms for tp, at_ms in since_ms.items()}
    async with _reader(kafka, list(wanted)) as consumer:
        found = await consumer.offsets_for_times(wanted)
        ends = await consumer.end_offsets(list(wanted))
    return {
        TP(tp.topic, tp.partition): ends[tp] if at is None else at.offset
        for tp, at in found.items()
    }


@asynccontextmanager
async def _reader(
    kafka: KafkaSettings, tps: list[TopicPartition]
) -> AsyncIterator[AIOKafkaConsumer]:
    consumer = AIOKafkaConsumer(**kafka.aiokafka_kwargs(), auto_offset_reset="earliest")
    try:
        await consumer.start()
        consumer.assign(tps)
        yield consumer
    finally:
        await consumer.stop()


def status_of(value: bytes | None) -> StatusChanged | None:
    try:
        said = NOTICE.validate_json(value or b"")
    except ValidationError:
        return None
    return said if isinstance(said, StatusChanged) else None
