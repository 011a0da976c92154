"""Reads of a topic from here to there: whole, from some time on, from offsets on, in the order of stamps.

Each opens a consumer of its own, in no group, and raises KafkaError when nothing comes of what is there.
Then the caller begins again.
"""

import asyncio
import time
from collections import deque
from collections.abc import AsyncIterator, Iterable, Mapping, Sequence
from contextlib import asynccontextmanager
from typing import Any, Final, Protocol, TypeVar

from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.errors import KafkaTimeoutError

from schemas.settings import KafkaSettings
from streams.runtime.kafka import clients

AHEAD_RECORDS: Final = 20_000
PROVE_EVERY_S: Final = 1.0
STUCK_AFTER_S: Final = 15.0
METADATA_MAX_AGE_MS: Final = 2_000
"""How soon an added partition of a topic that is followed is found."""


class Partition(Protocol):
    """aiokafka's TopicPartition, or Faust's TP: services read here too, and need no Faust."""

    @property
    def topic(self) -> str: ...

    @property
    def partition(self) -> int: ...


P = TypeVar("P", bound=Partition)
Polled = Mapping[TopicPartition, list[Any]]


async def everything(
    kafka: KafkaSettings,
    topic: str,
    partitions: Iterable[int],
    ends: dict[int, int],
    starts: Mapping[P, int] | None = None,
) -> AsyncIterator[Any]:
    """The records that are now in these partitions of a small topic, from the starts if given.

    ``ends`` is filled with the offset after them, by partition.
    """
    wanted = {TopicPartition(topic, number): 0 for number in partitions}
    wanted |= {TopicPartition(tp.topic, tp.partition): at for tp, at in (starts or {}).items()}
    async with _reading(kafka) as consumer:
        until = await _begin(consumer, wanted)
        ends.update({tp.partition: end for tp, end in until.items()})
        polling = _Polling(consumer)
        while left := [tp for tp, end in until.items() if await consumer.position(tp) < end]:
            for records in (await polling.poll(left)).values():
                for record in records:
                    yield record


async def by_stamp(kafka: KafkaSettings, topic: str, ends: dict[int, int]) -> AsyncIterator[Any]:
    """All records of a compacted topic in the order of their stamps, so that the last word on each key
    comes last, whichever partition has it. ``ends`` is filled as by ``everything``."""
    ends.update(await ends_of(kafka, topic))
    async for record in in_order(kafka, topic, 0, None, ends):
        yield record


async def ends_of(kafka: KafkaSettings, topic: str) -> dict[int, int]:
    """The offset after the last record, by partition. Raises KafkaError."""
    async with _reading(kafka) as consumer:
        ends = await consumer.end_offsets(await clients.partitions_of(consumer, [topic]))
    return {tp.partition: end for tp, end in ends.items()}


async def what_follows(
    kafka: KafkaSettings, topic: str, starts: Mapping[int, int], wait_ms: int = 500
) -> AsyncIterator[Any]:
    """The records from these offsets on, as they come, until the topic has partitions beside these.

    A fetch waits ``wait_ms`` for them. Raises KafkaError."""
    wanted = {TopicPartition(topic, number): offset for number, offset in starts.items()}
    async with _reading(kafka, wait_ms) as consumer:
        await _begin(consumer, wanted)
        polling = _Polling(consumer)
        while len(consumer.partitions_for_topic(topic) or ()) <= len(wanted):
            for records in (await polling.poll(list(wanted))).values():
                for record in records:
                    yield record


async def in_order(
    kafka: KafkaSettings,
    topic: str,
    from_ms: int,
    before_ms: int | None,
    until: Mapping[int, int] | None = None,
) -> AsyncIterator[Any]:
    """Records stamped in [from_ms, before_ms), of all partitions by their stamps; up to what is
    there now when ``before_ms`` is None, and below the offsets ``until`` of the partitions named there.
    A partition waits for the others, so memory is bounded. Raises KafkaError."""
    async with _reading(kafka) as consumer:
        tps = await clients.partitions_of(consumer, [topic])
        ends = await consumer.end_offsets(tps)
        ends |= {tp: until[tp.partition] for tp in tps if until and tp.partition in until}
        found = await consumer.offsets_for_times(dict.fromkeys(tps, max(0, from_ms)))
        starts = {tp: ends[tp] if (at := found.get(tp)) is None else at.offset for tp in tps}
        await _begin(consumer, starts)
        polling = _Polling(consumer)
        waiting: dict[TopicPartition, deque[Any]] = {tp: deque() for tp in tps}
        reading = {tp for tp in tps if await consumer.position(tp) < ends[tp]}
        while True:
            while any(not waiting[tp] for tp in reading):
                for tp, records in (await polling.poll(list(reading))).items():
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
    client = clients.client(kafka)
    try:
        await client.bootstrap()
        counts = await clients.counts_of(client, topics)
    finally:
        await client.close()
    return {topic: range(count) for topic, count in counts.items()}


async def offsets_at(kafka: KafkaSettings, since_ms: Mapping[P, int]) -> dict[P, int]:
    """The first offset with that Kafka time or a later one; the end where there is none."""
    given = {TopicPartition(tp.topic, tp.partition): tp for tp in since_ms}
    wanted = {tp: since_ms[it] for tp, it in given.items()}
    async with _reading(kafka) as consumer:
        # The end first: it may not be behind a record that comes meanwhile.
        ends = await consumer.end_offsets(list(wanted))
        found = await consumer.offsets_for_times(wanted)
    return {given[tp]: ends[tp] if at is None else at.offset for tp, at in found.items()}


class _Polling:
    """Polls, and proves that there is still somebody to poll: an empty poll looks the same without."""

    def __init__(self, consumer: AIOKafkaConsumer) -> None:
        self._consumer = consumer
        self._came_s = self._asked_s = time.monotonic()

    async def poll(self, tps: list[TopicPartition]) -> Polled:
        """Raises KafkaTimeoutError when nothing comes for STUCK_AFTER_S of what is there."""
        polled: Polled = await self._consumer.getmany(*tps, timeout_ms=200)
        now_s = time.monotonic()
        if polled:
            self._came_s = self._asked_s = now_s
        elif now_s - self._asked_s >= PROVE_EVERY_S:
            if await self._is_all_read(tps):
                self._came_s = time.monotonic()
            elif now_s - self._came_s > STUCK_AFTER_S:
                raise KafkaTimeoutError("nothing comes of what is there")
            self._asked_s = time.monotonic()
        return polled

    async def _is_all_read(self, tps: list[TopicPartition]) -> bool:
        try:
            async with asyncio.timeout(STUCK_AFTER_S):
                ends = await self._consumer.end_offsets(tps)
                return all([await self._consumer.position(tp) >= end for tp, end in ends.items()])
        except TimeoutError as silence:
            raise KafkaTimeoutError("the broker does not answer") from silence


@asynccontextmanager
async def _reading(kafka: KafkaSettings, wait_ms: int = 500) -> AsyncIterator[AIOKafkaConsumer]:
    consumer = clients.consumer(
        kafka, fetch_max_wait_ms=wait_ms, metadata_max_age_ms=METADATA_MAX_AGE_MS
    )
    try:
        await consumer.start()
        yield consumer
    finally:
        clients.leave(consumer)


async def _begin(
    consumer: AIOKafkaConsumer, starts: Mapping[TopicPartition, int]
) -> dict[TopicPartition, int]:
    """Read from these offsets on, from the first record where there is none such; where each ends now."""
    tps = list(starts)
    firsts = await consumer.beginning_offsets(tps)
    ends: dict[TopicPartition, int] = await consumer.end_offsets(tps)
    # At once: what is awaited between lets a reset of aiokafka's run against the seek.
    consumer.assign(tps)
    for tp, offset in starts.items():
        consumer.seek(tp, offset if firsts[tp] <= offset <= ends[tp] else firsts[tp])
    return ends
