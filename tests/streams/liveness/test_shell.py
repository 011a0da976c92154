"""The liveness lane on a log in memory: who is silent is found, and nobody else, whatever happens to us."""

import asyncio

import pytest

from schemas.topics import STATUS
from tests.streams.growing import movers, stayers
from tests.streams.liveness.beats import CO_READ, TIMEOUT_S, Country
from tests.streams.memory.time import in_moved_time, until

EIGHT = [f"KZ-20-{number:05}" for number in range(1, 9)]
GROWTHS = [(1, 3), (3, 4), (4, 12), (8, 64)]
GROWTH = pytest.mark.parametrize(("before", "after"), GROWTHS)


@in_moved_time
async def test_a_silent_school_is_found_and_seen_to_return() -> None:
    there = Country(EIGHT)
    await there.group.start()
    await there.all_online()
    assert await there.found(EIGHT[0]) < TIMEOUT_S + 3
    await there.returned(EIGHT[0])


@pytest.mark.parametrize("for_s", [TIMEOUT_S + 2, 30.0])
@in_moved_time
async def test_a_worker_that_is_paused_and_killed_invents_nothing(for_s: float) -> None:
    there = Country(EIGHT)
    worker = await there.group.start()
    await there.found(EIGHT[0])
    await worker.pause(for_s)
    await there.found(EIGHT[1])
    await worker.kill()
    await there.group.start()
    await there.found(EIGHT[2])
    assert len({a["id"] for a in there.said(kind="school_offline")}) == 3


@in_moved_time
async def test_a_killed_worker_with_a_static_name_goes_on_at_once() -> None:
    there = Country(EIGHT)
    worker = await there.group.start()
    await there.found(EIGHT[0])
    await worker.replaced()
    assert await there.found(EIGHT[1]) < 2 * TIMEOUT_S + 3


@pytest.mark.parametrize("for_s", [3 * TIMEOUT_S, 300.0])
@in_moved_time
async def test_a_broker_that_was_away_for_longer_than_the_timeout_accuses_nobody(
    for_s: float,
) -> None:
    there = Country(EIGHT)
    await there.group.start()
    await there.found(EIGHT[0])
    there.log.away = True
    await asyncio.sleep(for_s)
    there.log.away = False
    await there.found(EIGHT[1])
    await asyncio.sleep(TIMEOUT_S)
    assert there.accused() == set(EIGHT[:2])


@in_moved_time
async def test_a_mass_silence_with_its_canary_is_ours_and_a_successor_ends_the_alert() -> None:
    # All of one partition, so that nobody else's canary speaks for them.
    schools = [f"KZ-24-{number:05}" for number in range(1, 41)]
    canary, elsewhere = "KZ-00-90001", "KZ-24-00099"  # the last shows that the worker judges
    there = Country([*schools, elsewhere])
    there.knows |= dict.fromkeys([*schools, canary], 1)
    there.knows[elsewhere] = 4
    worker = await there.group.start()
    await there.found(elsewhere)
    there.silent.update([*schools, canary])
    impaired = "monitoring_impaired"
    await until(lambda: bool(there.said(kind=impaired, action="opened")))
    [opened] = there.said(kind=impaired, action="opened")
    await worker.replaced()
    await asyncio.sleep(2 * TIMEOUT_S)
    # They return one by one, the canary in their midst: who is yet to come is not accused.
    for school in [*schools[1:20], canary, *schools[20:], schools[0]]:
        there.silent.discard(school)
        await asyncio.sleep(0.1)
    await until(lambda: bool(there.said(kind=impaired, action="resolved")))
    [resolved] = there.said(kind=impaired, action="resolved")
    assert resolved["id"] == opened["id"]
    await there.found(schools[0])
    assert there.accused() == {elsewhere, schools[0]}


# More partitions, and fewer


@GROWTH
@in_moved_time
async def test_while_topics_differ_nobody_is_judged_and_it_is_said(before: int, after: int) -> None:
    schools = stayers("32", before, after, 4)
    there = Country(schools, before)
    await there.group.start()
    await there.all_online()
    there.log.grow(after, [STATUS.name])
    there.silent.add(schools[0])
    impaired = "monitoring_impaired"
    await until(lambda: bool(there.said(kind=impaired, action="opened")))
    assert f"saqshy.status {after}" in there.said(kind=impaired, action="opened")[0]["note"]
    await asyncio.sleep(TIMEOUT_S)
    assert there.accused() == set()
    there.log.grow(after, [topic for topic in CO_READ if topic != STATUS.name])
    await until(lambda: bool(there.said(kind=impaired, action="resolved")))
    await there.found(schools[0])
    assert there.accused() == set(schools[:1])


@GROWTH
@in_moved_time
async def test_who_moved_while_no_worker_ran_is_not_accused(before: int, after: int) -> None:
    schools = movers("30", before, after, 5) + stayers("30", before, after, 2)
    there = Country(schools, before)
    worker = await there.group.start()
    await there.all_online()
    await there.found(schools[0])
    await worker.terminate()
    there.log.grow(after, CO_READ)
    there.all_know(after)
    await asyncio.sleep(2 * TIMEOUT_S)
    await there.group.start()
    await there.returned(schools[0])
    await there.found(schools[1])
    await asyncio.sleep(TIMEOUT_S)
    assert there.accused() == set(schools[:2])
    assert len({a["id"] for a in there.said(kind="school_offline", school=schools[0])}) == 1


@pytest.mark.parametrize("workers", [1, 3])
@GROWTH
@in_moved_time
async def test_who_moves_under_running_workers_is_not_accused(
    before: int, after: int, workers: int
) -> None:
    """Some producers learn of the new partitions at once, some much later, one never."""
    schools = movers("31", before, after, 7) + stayers("31", before, after, 2)
    there = Country(schools, before)
    for _ in range(workers):
        await there.group.start()
    await there.all_online()
    await there.found(schools[0])
    there.log.grow(after, CO_READ)
    there.all_know(after, [*schools[:3], *schools[6:]])
    await asyncio.sleep(3 * TIMEOUT_S)
    there.all_know(after, schools[3:5])
    await there.returned(schools[0])
    for number in (1, 3, 5):
        await there.found(schools[number])
    await asyncio.sleep(TIMEOUT_S)
    assert there.accused() == {schools[n] for n in (0, 1, 3, 5)}


@pytest.mark.parametrize(("before", "after"), [(12, 2), (4, 4), (1, 3)])
@in_moved_time
async def test_topics_made_anew_are_judged_by_what_they_hold(before: int, after: int) -> None:
    schools = [f"KZ-33-{number:05}" for number in range(1, 6)]
    there = Country(schools, before)
    worker = await there.group.start()
    await there.all_online()
    await worker.terminate()
    there.log.make_anew(CO_READ, after)
    there.all_know(after)
    await there.group.start()
    await there.all_online()
    await there.found(schools[0])
    await there.returned(schools[0])
    assert there.accused() == {schools[0]}
