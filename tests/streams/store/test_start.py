"""Where a partition begins, of everything that a group and a log may say together."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from streams.store.mark import Mark, Pending, Span
from streams.store.start import Evidence, Start, Why, needs_last, needs_stored, start
from streams.transport import LogState, Timeline

THIS, OTHER = Timeline("a" * 32, 3), Timeline("b" * 32, 0)
LOG = LogState(THIS, 100, 200)
DONE = Mark(THIS, 5_000)
PENDING = Pending(3, Span(150, 159, 6_000, "f" * 16), 0, 0)
HALF = replace(DONE, pending=PENDING)
NONE = Evidence()

offsets = st.integers(0, 300)
timelines = st.sampled_from([THIS, OTHER, Timeline("a" * 32, 4), Timeline()])
spans = st.tuples(offsets, offsets).map(lambda ends: Span(min(ends), max(ends), 6_000, "f" * 16))


def lost(how: Start) -> list[tuple[Why, int, int | None]]:
    return [(one.why, one.first, one.last) for one in how.lost]


@pytest.mark.parametrize(
    ("offset", "mark", "found", "expected", "gone"),
    [
        (150, DONE, NONE, Start(150), []),
        (150, HALF, NONE, Start(160, PENDING), []),
        (
            *(None, Mark(), NONE, Start(100, back=Why.OFFSETS_GONE)),
            [(Why.RETENTION, 0, 99)],
        ),
        (
            *(None, Mark(), Evidence(stored=80), Start(100, back=Why.OFFSETS_GONE)),
            [(Why.RETENTION, 81, 99)],
        ),
        (
            *(None, Mark(), Evidence(stored=120, stored_is_here=False)),
            *(
                Start(100, back=Why.OFFSETS_GONE),
                [(Why.RECREATED, 121, None), (Why.RETENTION, 0, 99)],
            ),
        ),
        (90, DONE, NONE, Start(100), [(Why.RETENTION, 90, 99)]),
        (
            150,
            replace(DONE, timeline=OTHER),
            NONE,
            Start(100, back=Why.RECREATED),
            [(Why.RECREATED, 150, None), (Why.RETENTION, 0, 99)],
        ),
        (201, DONE, NONE, Start(100, back=Why.TRUNCATED), [(Why.TRUNCATED, 201, None)]),
        (
            150,
            DONE,
            Evidence(last_ms=4_999),
            Start(100, back=Why.TRUNCATED),
            [(Why.TRUNCATED, 150, None)],
        ),
        (150, DONE, Evidence(last_ms=5_000), Start(150), []),
        (
            *(150, Mark(), Evidence(stored=149, stored_is_here=False)),
            *(Start(100, back=Why.RECREATED), [(Why.RECREATED, 150, None), (Why.RETENTION, 0, 99)]),
        ),
    ],
)
def test_a_partition_begins_where_nothing_is_passed_over(
    offset: int | None,
    mark: Mark,
    found: Evidence,
    expected: Start,
    gone: list[tuple[Why, int, int | None]],
) -> None:
    how = start(offset, mark, LOG, found)
    assert replace(how, lost=()) == expected
    assert lost(how) == gone


def test_of_a_pending_block_what_retention_took_is_lost_and_the_rest_is_finished() -> None:
    how = start(150, HALF, replace(LOG, begin=153), NONE)
    assert (how.offset, how.pending) == (160, PENDING)
    assert lost(how) == [(Why.RETENTION, 150, 152)]
    how = start(150, HALF, replace(LOG, begin=170), NONE)
    assert how.offset == 170
    assert lost(how) == [(Why.RETENTION, 150, 169)]


def test_of_a_pending_block_whose_end_was_truncated_the_end_is_lost() -> None:
    how = start(150, HALF, replace(LOG, end=155), NONE)
    assert (how.offset, how.pending) == (155, PENDING)
    assert lost(how) == [(Why.TRUNCATED, 155, None)]


@given(
    st.none() | offsets,
    timelines,
    st.none() | st.just(5_000),
    st.none() | spans,
    timelines,
    st.tuples(offsets, offsets),
    st.booleans(),
)
def test_nothing_between_two_offsets_is_passed_over_unsaid(
    offset: int | None,
    then: Timeline,
    last_ms: int | None,
    span: Span | None,
    now: Timeline,
    ends: tuple[int, int],
    same: bool,
) -> None:
    if span is not None and offset is not None:
        offset = span.first
    pending = replace(PENDING, span=span) if span is not None and offset is not None else None
    mark = Mark(then, last_ms, pending)
    log = LogState(now, min(ends), max(ends))
    found = Evidence()
    if needs_last(offset, mark, log):
        found = replace(found, last_ms=5_000 if same else 5_001)
    if needs_stored(offset, mark):
        found = replace(found, stored=None)
    how = start(offset, mark, log, found)
    assert log.begin <= how.offset <= log.end
    if offset is not None and how.back is None:
        begun = offset if pending is None else pending.span.last + 1
        passed_over = range(offset, how.offset)
        told = {
            at
            for one in how.lost
            for at in range(one.first, 301 if one.last is None else one.last + 1)
        }
        finished = set(range(offset, begun)) if how.pending is not None else set()
        assert set(passed_over) <= told | finished
        assert not told & set(range(log.begin, log.end))
    if how.back in (Why.RECREATED, Why.TRUNCATED):
        assert how.offset == log.begin and how.lost and how.pending is None
