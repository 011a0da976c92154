"""What is taken from fetch responses is what aiokafka itself would deliver."""

import struct
from collections.abc import Iterable
from types import SimpleNamespace

import pytest
from aiokafka.consumer.fetcher import (
    READ_COMMITTED,
    READ_UNCOMMITTED,
    FetchResult,
    PartitionRecords,
)
from aiokafka.consumer.subscription_state import Assignment
from aiokafka.errors import CorruptRecordException
from aiokafka.record.default_records import DefaultRecordBatchBuilder
from aiokafka.record.memory_records import MemoryRecords
from aiokafka.structs import TopicPartition
from hypothesis import given, settings
from hypothesis import strategies as st

from streams.transport.records import FetchBuffers, Unread

TP = TopicPartition("t", 0)
EVERYTHING = 1 << 30
LOG_APPEND_TIME = 1 << 3

Block = tuple[int, list[bytes | None], int]
"""Records missing before it (removed by compaction), values, records missing at its end."""

blocks = st.lists(
    st.tuples(
        st.integers(0, 3),
        st.lists(st.one_of(st.none(), st.binary(max_size=5)), min_size=1, max_size=9),
        st.integers(0, 3),
    ),
    max_size=6,
)


def log_of(blocks: Iterable[Block], codec: int = 0) -> bytes:
    """Record batches of Kafka's format v2, as the broker would send them."""
    log = bytearray()
    offset = 0
    for before, values, after in blocks:
        offset += before
        builder = DefaultRecordBatchBuilder(
            magic=2,
            compression_type=codec,
            is_transactional=0,
            producer_id=-1,
            producer_epoch=-1,
            base_sequence=-1,
            batch_size=1 << 20,
        )
        for n, value in enumerate(values):
            builder.append(n, 1000 + n, b"key", value, [("h", b"v")])
        batch = bytearray(builder.build())
        struct.pack_into(">q", batch, 0, offset)
        struct.pack_into(">i", batch, 23, len(values) - 1 + after)  # last offset delta
        _sign(batch)
        log += batch
        offset += len(values) + after
    return bytes(log)


def _sign(batch: bytearray) -> None:
    from aiokafka.record._crc32c import crc as crc32c

    struct.pack_into(">I", batch, 17, crc32c(memoryview(batch)[21:]))


def fetched(log: bytes, position: int = 0, isolation: int = READ_UNCOMMITTED) -> FetchResult:
    assignment = Assignment({TP})
    assignment.state_value(TP).seek(position)
    source = PartitionRecords(TP, MemoryRecords(log), [], position, None, None, True, isolation)
    return FetchResult(TP, assignment=assignment, partition_records=source, backoff=0)


def position_of(result: FetchResult) -> int:
    position: int = result._assignment.state_value(TP).position
    return position


def fields(records: Iterable[object]) -> list[tuple[object, ...]]:
    return [
        (r.offset, r.timestamp, r.key, r.value, list(r.headers))  # type: ignore[attr-defined]
        for r in records
    ]


async def test_it_takes_what_aiokafka_delivers_and_ends_at_the_same_position() -> None:
    @settings(max_examples=200)
    @given(
        blocks,
        st.integers(0, 4),
        st.integers(0, 12),
        st.integers(1, 7),
        st.sampled_from([READ_COMMITTED, READ_UNCOMMITTED]),
    )
    def check(blocks: list[Block], codec: int, position: int, limit: int, isolation: int) -> None:
        log = log_of(blocks, codec)
        theirs, ours = fetched(log, position, isolation), fetched(log, position, isolation)
        expected = theirs.getall()
        unread = Unread(ours)
        taken = []
        while ours.has_more():
            records, size = unread.take(limit, EVERYTHING)
            assert len(records) <= limit
            assert size == sum(len(record.value or b"") for record in records)
            if records:
                assert position_of(ours) > records[-1].offset
            taken += records
        assert fields(taken) == fields(expected)
        assert position_of(ours) == position_of(theirs)

    check()


async def test_it_stops_at_the_bytes_asked_for() -> None:
    result = fetched(log_of([(0, [b"x" * 1000] * 2000, 0)]))
    records, size = Unread(result).take(EVERYTHING, 100_000)
    assert 100_000 <= size < 100_000 + 256 * 1000
    assert position_of(result) == len(records)


async def test_the_position_covers_a_trailing_gap() -> None:
    result = fetched(log_of([(2, [b"a", b"b"], 3)]))
    records, _ = Unread(result).take(EVERYTHING, EVERYTHING)
    assert [record.offset for record in records] == [2, 3]
    assert position_of(result) == 7


async def test_a_response_is_not_delivered_after_its_partition_was_lost() -> None:
    result = fetched(log_of([(0, [b"a"], 0)]))
    result._assignment._unassign()
    assert Unread(result).take(EVERYTHING, EVERYTHING) == ([], 0)


async def test_a_corrupt_batch_is_refused_and_the_position_stays_before_it() -> None:
    log = bytearray(log_of([(0, [b"a"], 0), (0, [b"b"], 0)]))
    log[-1] ^= 1
    result = fetched(bytes(log))
    fetcher = SimpleNamespace(
        _records={TP: result}, _notify=lambda future: None, _wait_consume_future=None
    )
    with pytest.raises(CorruptRecordException, match="Invalid CRC"):
        FetchBuffers(fetcher).take(TP, EVERYTHING, EVERYTHING)
    assert position_of(result) == 0
    assert not fetcher._records  # so that it is fetched again
