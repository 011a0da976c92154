"""A turnstile that lets through what none can."""

from schemas.alerts import Action, AlertKind
from streams.arrivals.decide import Arrivals
from streams.arrivals.turnstile import MOST_PER_MINUTE, RUN
from tests.streams.arrivals.world import HOUR, MINUTE, QUIET, SCHOOLS, TUESDAY, World, passed

START = TUESDAY + 10 * HOUR


def opened(schools: tuple[str, ...] = SCHOOLS) -> World:
    world = World()
    world.open(schools)
    world.prove(START)
    return world


def minutes(
    world: World, count: int, a_minute: int, *, first: int = 0, school: str = QUIET, seq: int = 0
) -> None:
    for minute in range(first, first + count):
        for n in range(a_minute):
            at_ms = START + minute * MINUTE + n * MINUTE // a_minute
            world.passes(school, at_ms, passed(school, at_ms, seq + minute * 1_000 + n + 1))
    world.prove(START + (first + count) * MINUTE)


def one_card(world: World, times: int, *, every_ms: int = 2_000, late_ms: int = 0) -> None:
    for n in range(times):
        at_ms = START + n * every_ms
        world.passes(QUIET, at_ms, passed(QUIET, at_ms - late_ms, n + 1, card=7))


def test_more_than_fit_through_in_three_minutes_in_a_row_are_found() -> None:
    world = opened()
    minutes(world, 2, MOST_PER_MINUTE + 1)
    assert world.said == []
    minutes(world, 1, MOST_PER_MINUTE + 1, first=2)
    (alert,) = world.said
    assert (alert.kind, alert.device, alert.action) == (
        AlertKind.STUCK_OPEN,
        "turnstile-1",
        Action.OPENED,
    )
    assert (alert.time_ms, alert.decided_ms) == (START, START + 3 * MINUTE)


def test_a_crowd_and_a_pause_in_it_are_not() -> None:
    world = opened()
    minutes(world, 5, MOST_PER_MINUTE)
    minutes(world, 2, MOST_PER_MINUTE + 1, first=5)
    minutes(world, 2, MOST_PER_MINUTE + 1, first=8)
    assert world.said == []


def test_calm_minutes_resolve_it_and_quiet_ones_do_not() -> None:
    world = opened()
    minutes(world, 3, MOST_PER_MINUTE + 1)
    world.prove_all(START + 3 * MINUTE, START + 10 * MINUTE)
    minutes(world, 3, 5, first=10)
    opening, resolution = world.said
    assert (resolution.id, resolution.number) == (opening.id, 1)
    assert resolution.time_ms == START + 13 * MINUTE


def test_one_card_over_and_over_is_found_and_a_refusal_resolves_it() -> None:
    world = opened()
    one_card(world, RUN - 1)
    assert world.said == []
    one_card(world, RUN + 5)
    (alert,) = world.said
    assert (alert.time_ms, alert.decided_ms) == (START, START + (RUN - 1) * 2_000)
    at_ms = START + 5 * MINUTE
    world.passes(QUIET, at_ms, passed(QUIET, at_ms, 900, outcome="unknown_card"))
    assert [(a.id, a.action) for a in world.said[1:]] == [(alert.id, Action.RESOLVED)]


def test_the_same_card_once_in_a_while_is_a_person() -> None:
    world = opened()
    one_card(world, 3 * RUN, every_ms=MINUTE)
    assert world.said == []


def test_a_buffer_that_is_drained_is_no_rate() -> None:
    world = opened()
    one_card(world, 3 * RUN, late_ms=HOUR)
    assert world.said == []


def test_an_event_that_is_sent_again_is_counted_once() -> None:
    world = opened()
    for _ in range(3 * RUN):
        world.passes(QUIET, START, passed(QUIET, START, 5, card=7))
    assert world.said == []


def test_many_turnstiles_at_once_are_held() -> None:
    schools = tuple(f"KZ-75-{number:05}" for number in range(1, 13))
    world = opened(schools)
    for minute in range(4):
        for n in range(MOST_PER_MINUTE + 5):
            at_ms = START + minute * MINUTE + n * 900
            for school in schools:
                world.passes(school, at_ms, passed(school, at_ms, minute * 1_000 + n + 1))
    world.prove(START + 4 * MINUTE)
    assert world.said == [] and world.arrivals.held >= 12


def test_a_new_owner_ends_what_is_open_and_opens_nothing_twice() -> None:
    world = opened()
    one_card(world, RUN)
    for handled_ms in (START, START + HOUR):
        again = World(Arrivals(handled_ms))
        again.open()
        again.arrivals.restore(world.said[0])
        again.prove(START)
        one_card(again, RUN)
        assert again.said == []
        at_ms = START + 2 * HOUR
        again.passes(QUIET, at_ms, passed(QUIET, at_ms, 900, outcome="expired_card"))
        assert [a.number for a in again.said] == [1]
