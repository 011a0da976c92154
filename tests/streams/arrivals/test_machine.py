"""However the records are cut, read late, or read again by another owner: no alert is invented."""

from functools import cache

from hypothesis import given, settings
from hypothesis import strategies as st

from schemas.alerts import AlertChanged
from streams.arrivals.decide import Arrivals
from tests.streams.arrivals.world import (
    BELL,
    JUDGED,
    MINUTE,
    QUIET,
    RUSH,
    SCHOOLS,
    Said,
    World,
    arriving,
    passed,
)

LATER = JUDGED + 30 * MINUTE


@cache
def day(quiet: bool, with_stuck: bool) -> list[Said]:
    """Monday's rush and Tuesday's with the passes of the others and one every 20 s between."""
    records = arriving(SCHOOLS, -1) + arriving(SCHOOLS[quiet:], 0)
    other = SCHOOLS[1]
    for n, at_ms in enumerate(range(RUSH, LATER, 20_000)):
        value = passed(other, at_ms, 10**10 + n, device=2)
        records.append(Said(0, at_ms, other.encode(), value))
    if with_stuck:
        for n in range(60):
            at_ms = BELL + 10 * MINUTE + n * 1_000
            value = passed(SCHOOLS[2], at_ms, 10**10 + n, card=9)
            records.append(Said(0, at_ms, SCHOOLS[2].encode(), value))
    records.sort(key=lambda r: r.timestamp)
    return [record._replace(offset=n) for n, record in enumerate(records)]


def owner(said_to_ms: int, said: list[AlertChanged]) -> World:
    world = World(Arrivals(said_to_ms))
    world.open()
    for alert in said:
        world.arrivals.restore(alert)
    world.said += world.arrivals.restored()
    return world


def keys(said: list[AlertChanged]) -> set[tuple[str, int]]:
    return {(alert.id, alert.number) for alert in said}


@settings(deadline=None, max_examples=100)
@given(
    st.booleans(),
    st.booleans(),
    st.lists(
        st.tuples(st.integers(1, 300), st.booleans(), st.booleans(), st.booleans()), max_size=12
    ),
)
def test_restarts_and_lag_invent_nothing_and_repeat_nothing(
    quiet: bool, with_stuck: bool, steps: list[tuple[int, bool, bool, bool]]
) -> None:
    records = day(quiet, with_stuck)
    whole = owner(0, [])
    whole.hear(records)
    truth = keys(whole.said)
    assert len({a.kind for a in whole.said}) == quiet + with_stuck

    world, heard, told = owner(0, []), 0, list[AlertChanged]()
    for count, proves, restarts, commits in [*steps, (len(records), False, False, False)]:
        batch = records[heard : heard + count]
        world.hear(batch)
        heard += len(batch)
        if proves and heard < len(records):
            # The broker's word never reaches beyond the next record.
            world.prove(records[heard].timestamp)
        if restarts:
            told += world.said
            handled_ms = world.arrivals.proven_ms if commits else world.arrivals.said_to_ms
            world = owner(handled_ms, told)
            heard = 0 if count % 2 else records.index(records[max(0, heard - count)])
            world.feed.next_offset = heard
    told += world.said
    assert keys(told) <= truth
    assert len(told) == len(keys(told))


@settings(deadline=None, max_examples=30)
@given(st.lists(st.integers(0, 40 * MINUTE), min_size=1, max_size=3), st.integers(0, 44))
def test_a_school_of_which_one_pass_came_is_never_missed(pauses: list[int], minute: int) -> None:
    """Whatever is read in one go, after whatever pause."""
    world = World()
    world.open()
    world.rush(days=-1)
    at_ms = RUSH + minute * MINUTE
    mine = Said(0, at_ms, QUIET.encode(), passed(QUIET, at_ms, 30_000))
    records = sorted([*arriving(SCHOOLS[1:], 0), mine], key=lambda r: r.timestamp)
    first = world.feed.next_offset
    records = [record._replace(offset=first + n) for n, record in enumerate(records)]
    at_ms = world.arrivals.proven_ms
    for pause in pauses:
        at_ms = min(at_ms + pause, RUSH)
        world.prove(at_ms)
    world.hear(records)
    world.prove_all(BELL, LATER)
    assert world.said == []
