import json
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from schemas.events import MAX_EXACT
from schemas.topics import PASSES
from streams.store.agent import BLOCK_RECORDS
from streams.store.block import DECISIONS
from streams.store.mark import (
    HIGHEST_KAFKA_MS,
    LOWEST_KAFKA_MS,
    Keys,
    Mark,
    Pending,
    Span,
    kafka_ms,
    mark_of,
)
from streams.transport import Timeline
from tests.loadtest.streams import START_MS
from tests.streams.store.written import Record

MOST_METADATA = 4096  # Kafka's limit: offset.metadata.max.bytes
counts = st.integers(0, MAX_EXACT)
keys = st.lists(st.one_of(st.none(), st.binary(max_size=12)), max_size=40)
times = st.text("0123456789abcdef", min_size=16, max_size=16)
timelines = st.builds(Timeline, st.sampled_from(["", "a" * 32, "0f" * 16]), st.integers(-1, 2**31))
pendings = st.builds(
    Pending, counts, st.builds(Span, counts, counts, counts, times), counts, counts
)


@given(st.builds(Mark, timelines, st.none() | counts, st.none() | pendings))
def test_a_mark_is_read_from_the_commit_that_has_it(mark: Mark) -> None:
    assert mark_of(mark.metadata()) == mark
    assert len(mark.metadata().encode()) < MOST_METADATA


def test_the_largest_block_of_strangers_is_named_within_kafkas_limit() -> None:
    names = Keys(f"KZ-10-{n:05d}".encode() for n in range(BLOCK_RECORDS))
    span = Span(MAX_EXACT, MAX_EXACT, MAX_EXACT, "f" * 16)
    pending = Pending(DECISIONS, span, MAX_EXACT, MAX_EXACT, names.marked(names.names))
    mark = Mark(Timeline("a" * 32, 2**31), MAX_EXACT, pending)
    assert len(mark.metadata().encode()) < MOST_METADATA


def test_what_earlier_versions_committed_is_read() -> None:
    assert mark_of("") == Mark()
    old = mark_of(json.dumps([2, 7, 9, 3, 5])).pending
    assert old is not None and (old.decisions, old.span.first, old.span.last) == (2, 7, 9)
    assert old.decisions != DECISIONS  # so that its token is not trusted


@pytest.mark.parametrize("said", ["{", "5", '{"topic": ""}', '{"a": 1}'])
def test_what_no_version_committed_is_refused(said: str) -> None:
    with pytest.raises(ValueError):
        mark_of(said)


@given(st.lists(st.integers(0, 9), min_size=1, max_size=6), st.data())
def test_other_records_at_the_same_offsets_have_another_token(
    after_ms: list[int], data: st.DataObject
) -> None:
    records = [Record(n, START_MS + ms, b"", b"") for n, ms in enumerate(after_ms)]
    at = data.draw(st.integers(0, len(records) - 1))
    later = [*records]
    later[at] = replace(later[at], timestamp=later[at].timestamp + 1)
    tokens = {
        Pending(DECISIONS, Span.of(some, 0, len(some) - 1), 0, 0).token(PASSES.name, 0)
        for some in (records, later)
    }
    assert len(tokens) == 2


@given(keys, st.data())
def test_the_strangers_of_a_block_are_remembered_by_its_name(
    some: list[bytes | None], data: st.DataObject
) -> None:
    names = Keys(some)
    unknown = data.draw(st.sets(st.sampled_from(names.names))) if names.names else set()
    again = Keys(reversed(some))
    assert again.without(names.marked(unknown)) == set(names.names) - unknown


@pytest.mark.parametrize(
    ("stamp", "believed"),
    [
        (-1, False),
        (0, False),
        (LOWEST_KAFKA_MS - 1, False),
        (LOWEST_KAFKA_MS, True),
        (HIGHEST_KAFKA_MS - 1, True),
        (HIGHEST_KAFKA_MS, False),
        (4_323_456_000_000, False),  # 2107: a DateTime of 32 bits has begun anew
        (2**62, False),
    ],
)
def test_kafkas_time_is_believed_within_this_century(stamp: int, believed: bool) -> None:
    assert kafka_ms(stamp) == (stamp if believed else 0)
