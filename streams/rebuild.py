"""What a deciding worker reads before it may judge: small topics whole or from some time on, and where its
own records of a time begin."""

from collections import deque
from collections.abc import AsyncIterator, Iterable, Mapping, Sequence
from contextlib import asynccontextmanager
from typing import Any, Final

from aiokafka import AIOKafkaConsumer, ConsumerRecord, TopicPartition
from aiokafka.client import AIOKafkaClient
from faust.types import TP
from pydantic import ValidationError

from schemas.alerts import NOTICE, StatusChanged
from schemas.settings import KafkaSettings

AHEAD_RECORDS: Final = 20_000
METADATA_MAX_AGE_MS: Final = 2_000
"""How soon an added partition of a topic that is followed is found."""


async def everything(
    kafka: KafkaSettings,
    topic: str,
    partitions: Iterable[int],
    ends: dict[int, int],
    starts: Mapping[TP, int] | None = None,
) -> AsyncIterator[ConsumerRecord]:
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


async def by_stamp(
    kafka: KafkaSettings, topic: str, ends: dict[int, int]
) -> AsyncIterator[ConsumerRecord]:
    """All records of a compacted topic in the order of their stamps, so that the last word on each key
    comes last, whichever partition has it. ``ends`` is filled as by ``everything``."""
    ends.update(await ends_of(kafka, topic))
    async for record in in_order(kafka, topic, 0, None, ends):
        yield record


async def ends_of(kafka: KafkaSettings, topic: str) -> dict[int, int]:
    """The offset after the last record, by partition. Raises KafkaError."""
    partitions = (await partitions_of(kafka, [topic]))[topic]
    async with _reader(kafka, [TopicPartition(topic, n) for n in partitions]) as consumer:
        ends = await consumer.end_offsets(consumer.assignment())
    return {tp.partition: end for tp, end in ends.items()}


async def what_follows(
    kafka: KafkaSettings, topic: str, starts: Mapping[int, int], wait_ms: int = 500
) -> AsyncIterator[ConsumerRecord]:
    """The records from these offsets on, as they come, until the topic has partitions beside these.

    A fetch waits ``wait_ms`` for them. Raises KafkaError."""
    tps = {TopicPartition(topic, number): offset for number, offset in starts.items()}
    async with _reader(kafka, list(tps), wait_ms) as consumer:
        for tp, offset in tps.items():
            consumer.seek(tp, offset)
        while len(consumer.partitions_for_topic(topic) or ()) <= len(tps):
            for records in (await consumer.getmany(timeout_ms=500)).values():
                for record in records:
                    yield record


async def in_order(
    kafka: KafkaSettings,
    topic: str,
    from_ms: int,
    before_ms: int | None,
    until: Mapping[int, int] | None = None,
) -> AsyncIterator[ConsumerRecord]:
    """Records stamped in [from_ms, before_ms), of all partitions by their stamps; up to what is
    there now when ``before_ms`` is None, and below the offsets ``until`` of the partitions named there.
    A partition waits for the others, so memory is bounded. Raises KafkaError."""
    partitions = (await partitions_of(kafka, [topic]))[topic]
    tps = [TopicPartition(topic, number) for number in partitions]
    async with _reader(kafka, tps) as consumer:
        ends = await consumer.end_offsets(tps)
        ends |= {tp: until[tp.partition] for tp in tps if until and tp.partition in until}
        starts = await consumer.offsets_for_times(dict.fromkeys(tps, max(0, from_ms)))
        for tp in tps:
            at = starts.get(tp)
            consumer.seek(tp, ends[tp] if at is None else at.offset)
        waiting: dict[TopicPartition, deque[ConsumerRecord]] = {tp: deque() for tp in tps}
        reading = {tp for tp in tps if await consumer.position(tp) < ends[tp]}
        while True:
            while any(not waiting[tp] for tp in reading):
                polled = await consumer.getmany(*reading, timeout_ms=500)
                for tp, records in polled.items():
                    waiting[tp].extend(r for r in records if r.offset < ends[tp])
                for tp in list(reading):
                    if await consumer.position(tp) >= ends[tp]:
                        reading.discard(tp)
                    is_ahead = len(waiting[tp]) > AHEAD_RECORDS
                    (consumer.pause if is_ahead else consumer.resume)(tp)
                consumer.pause(*(tp for tp in tps if tp not in reading))
            there = [tp for tp in tps if waiting[tp]]
            if not there:
                return
            tp = min(there, key=lambda one: (waiting[one][0].timestamp, one.partition))
            record = waiting[tp].popleft()
            if before_ms is not None and record.timestamp >= before_ms:
                return
            yield record


async def partitions_of(kafka: KafkaSettings, topics: Sequence[str]) -> dict[str, range]:
    """The partitions that each topic has now. Raises KafkaError."""
    client = AIOKafkaClient(**kafka.aiokafka_kwargs())
    try:
        await client.bootstrap()
        counts = await partition_counts(client, topics)
    finally:
        await client.close()
    return {topic: range(count) for topic, count in counts.items()}


async def partition_counts(client: Any, topics: Iterable[str]) -> dict[str, int]:
    """How many partitions each topic has now; 0 for one that is not there. Raises KafkaError."""
    # aiokafka has no public call that asks for topics which nobody is subscribed to (0.14).
    metadata = await client.fetch_all_metadata()
    return {topic: len(metadata.partitions_for_topic(topic) or ()) for topic in topics}


class Newest:
    """Which record is the last word on its key, when a key's records lie in several partitions.

    That is so after a topic got more partitions. Within one partition the offset decides, between two
    the broker's stamp. Of partitions that are read one after the other, what is older may come later.
    """

    def __init__(self) -> None:
        self._at: dict[bytes | None, tuple[int, int]] = {}

    def takes(self, record: ConsumerRecord) -> bool:
        """Whether this record is news; those of one partition come in their order."""
        partition, stamp_ms = self._at.get(record.key, (record.partition, 0))
        if partition != record.partition and record.timestamp < stamp_ms:
            return False
        self._at[record.key] = record.partition, record.timestamp
        return True


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
    kafka: KafkaSettings, tps: list[TopicPartition], wait_ms: int = 500
) -> AsyncIterator[AIOKafkaConsumer]:
    consumer = AIOKafkaConsumer(
        **kafka.aiokafka_kwargs(),
        auto_offset_reset="earliest",
        fetch_max_wait_ms=wait_ms,
        metadata_max_age_ms=METADATA_MAX_AGE_MS,
    )
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
