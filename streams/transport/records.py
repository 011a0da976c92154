"""Records out of aiokafka's fetch buffers, and an exact range read again.

The only file that knows the inside of aiokafka's fetcher. `Fetcher.fetched_records` makes a
Python object per record through two generators (2 us); a `RecordBatch` yields its compiled
records at 0.3 us, and has all that we need of them.
"""

import asyncio
from collections.abc import Iterator
from itertools import chain, islice
from operator import attrgetter
from typing import Any

from aiokafka import AIOKafkaConsumer
from aiokafka.consumer.fetcher import READ_COMMITTED, Fetcher, FetchError, FetchResult
from aiokafka.errors import CorruptRecordException, KafkaError, OffsetOutOfRangeError
from aiokafka.structs import TopicPartition

from streams.runtime.kafka import clients
from streams.transport.batch import Record

# Sizes are looked at after so many records; a batch overshoots its bytes by no more.
CHUNK_RECORDS = 256

_value = attrgetter("value")


class RangeUnavailable(Exception):
    """The asked offsets can't be read (any more)."""


class Unread:
    """What isn't consumed yet of one fetch response of one partition."""

    def __init__(self, result: FetchResult) -> None:
        self.result = result
        self._batch: Any = None
        self._rest: Iterator[Record] = iter(())

    def take(self, max_records: int, max_bytes: int) -> tuple[list[Record], int]:
        """The next records and the bytes of their values; moves the partition's position.

        Keeps to what aiokafka's own iteration does: checksums, aborted transactions and control
        batches, records before the position. Raises CorruptRecordException.
        """
        result = self.result
        if not result.has_more() or not result.check_assignment(result._topic_partition):
            return [], 0
        source = result._partition_records
        records: list[Record] = []
        size = 0
        while len(records) < max_records and size < max_bytes:
            if self._batch is None:
                if not source._records.has_next():
                    break
                self._batch = _next_batch(source)
                if self._batch is not None:
                    self._rest = chain(self._batch)  # a batch can be asked for iter() only once
                continue
            chunk = list(islice(self._rest, min(CHUNK_RECORDS, max_records - len(records))))
            if not chunk:
                source.next_fetch_offset = self._batch.next_offset
                self._batch = None
                continue
            if chunk[0].offset < source.next_fetch_offset:
                chunk = [record for record in chunk if record.offset >= source.next_fetch_offset]
                if not chunk:
                    continue
            source.next_fetch_offset = chunk[-1].offset + 1
            size += _size(chunk)
            records += chunk
        result._update_position()
        if self._batch is None and not source._records.has_next():
            result._partition_records = None
        return records, size


def _next_batch(source: Any) -> Any:
    """The next batch with records to deliver, or None after one without."""
    batch = source._records.next_batch()
    if source._check_crcs and not batch.validate_crc():
        raise CorruptRecordException(f"Invalid CRC in {source._tp} at {source.next_fetch_offset}")
    if source._isolation_level == READ_COMMITTED and batch.producer_id is not None:
        source._consume_aborted_up_to(batch.base_offset)
        if batch.is_control_batch and source._contains_abort_marker(batch):
            source._aborted_producers.discard(batch.producer_id)
        if batch.is_transactional and batch.producer_id in source._aborted_producers:
            source.next_fetch_offset = batch.next_offset
            return None
    if batch.is_control_batch:
        source.next_fetch_offset = batch.next_offset
        return None
    return batch


def _size(records: list[Record]) -> int:
    try:
        return sum(map(len, map(_value, records)))
    except TypeError:  # a tombstone has no value
        return sum(len(record.value or b"") for record in records)


class FetchBuffers:
    """The responses that aiokafka has fetched, at most one per partition."""

    def __init__(self, fetcher: Fetcher) -> None:
        self._fetcher = fetcher
        self._unread: dict[TopicPartition, Unread] = {}

    def take(
        self, tp: TopicPartition, max_records: int, max_bytes: int
    ) -> tuple[list[Record], int]:
        """Records of the partition that are already here, and their bytes; none is no error.

        Raises what the fetch raised (TopicAuthorizationFailedError and such).
        """
        fetcher = self._fetcher
        result = fetcher._records.get(tp)
        if result is None:
            return [], 0
        if isinstance(result, FetchError):
            self._drop(tp)
            result.check_raise()
        unread = self._unread.get(tp)
        if unread is None or unread.result is not result:
            unread = self._unread[tp] = Unread(result)
        try:
            records, size = unread.take(max_records, max_bytes)
        except CorruptRecordException:
            self._drop(tp)  # the position hasn't moved: it is fetched again
            raise
        if not result.has_more():
            self._drop(tp)
        return records, size

    def _drop(self, tp: TopicPartition) -> None:
        """Forget the response, so that the fetcher asks for the next one."""
        self._unread.pop(tp, None)
        self._fetcher._records.pop(tp, None)
        self._fetcher._notify(self._fetcher._wait_consume_future)

    def forget(self, tp: TopicPartition) -> None:
        """Drop what is fetched of the partition and not handed out."""
        self._drop(tp)

    def clear(self) -> None:
        self._unread.clear()


async def read_range(
    consumer: AIOKafkaConsumer, tp: TopicPartition, first: int, last: int, timeout_s: float
) -> list[Record]:
    """All records with `first` <= offset <= `last`, read by a consumer of its own.

    `consumer` is started, belongs to no group and has `auto_offset_reset="none"`. It is done
    when the position has passed `last`: gaps of compaction and transaction markers are no
    records. Raises RangeUnavailable when offsets were deleted, or aren't there after `timeout_s`.
    """
    consumer.assign([tp])
    consumer.seek(tp, first)
    fetcher = clients.fetcher_of(consumer)
    buffers = FetchBuffers(fetcher)
    state = clients.assignment_of(consumer).state_value(tp)
    found: list[Record] = []
    try:
        async with asyncio.timeout(timeout_s):
            while state.position <= last:
                records, _ = buffers.take(tp, 10_000, 1 << 24)
                found += (record for record in records if record.offset <= last)
                if not records and state.position <= last and tp not in fetcher._records:
                    await fetcher._create_fetch_waiter()
    except TimeoutError as exc:
        raise RangeUnavailable(
            f"{tp.topic}-{tp.partition}: offsets {first} to {last} weren't read in {timeout_s} s; "
            f"the position is {state.position}. Is the broker up, and the range really written?"
        ) from exc
    except OffsetOutOfRangeError as exc:
        raise RangeUnavailable(
            f"{tp.topic}-{tp.partition}: offset {first} doesn't exist (any more). "
            "Was the topic's retention shorter than the outage?"
        ) from exc
    except KafkaError as exc:
        raise RangeUnavailable(f"{tp.topic}-{tp.partition}: {first} to {last}: {exc}") from exc
    return found
