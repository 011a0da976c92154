"""A school is missed in its arrival rush, and only when the stream proves it."""

from datetime import date

import pytest

from schemas.alerts import Action, AlertKind, Severity, Status
from schemas.events import DaysOff, Maintenance
from streams.arrivals.decide import Arrivals
from tests.streams.arrivals.world import (
    BELL,
    DAY,
    HOUR,
    JUDGED,
    MINUTE,
    QUIET,
    RUSH,
    SCHOOLS,
    TUESDAY,
    World,
    passed,
    registered,
)

OTHERS = SCHOOLS[1:]


@pytest.fixture
def world() -> World:
    """All came on Monday."""
    world = World()
    world.open()
    world.rush(days=-1)
    return world


def test_it_finds_a_school_without_a_pass_in_its_rush(world: World) -> None:
    world.rush(OTHERS)
    (alert,) = world.said
    assert (alert.kind, alert.action, alert.number) == (AlertKind.NO_PASSES, Action.OPENED, 0)
    assert (alert.school, alert.severity) == (QUIET, Severity.WARNING)
    assert (alert.time_ms, alert.decided_ms) == (RUSH, JUDGED)


def test_the_first_pass_resolves_it(world: World) -> None:
    world.rush(OTHERS)
    world.passes(QUIET, JUDGED + HOUR, passed(QUIET, JUDGED + HOUR, 20_000))
    opened, resolved = world.said
    assert (resolved.id, resolved.number) == (opened.id, 1)
    assert (resolved.action, resolved.time_ms) == (Action.RESOLVED, JUDGED + HOUR)


def test_one_pass_in_the_rush_is_enough(world: World) -> None:
    world.prove_all(RUSH - HOUR, RUSH)
    world.passes(QUIET, RUSH + 1, passed(QUIET, RUSH + 1, 20_000))
    world.rush(OTHERS)
    assert world.said == []


def test_a_pass_counts_though_its_device_counts_anew_in_the_same_boot(world: World) -> None:
    world.prove_all(RUSH - HOUR, RUSH)
    world.passes(QUIET, RUSH + 1, passed(QUIET, RUSH + 1, 1))
    world.rush(OTHERS)
    assert world.said == []


def test_an_alert_that_is_open_is_not_opened_again_the_next_day(world: World) -> None:
    world.rush(OTHERS)
    world.rush(OTHERS, days=1)
    assert len(world.said) == 1


def test_a_school_that_was_never_seen_passing_is_not_missed() -> None:
    world = World()
    world.open()
    world.rush(OTHERS, days=-1)
    world.rush(OTHERS)
    assert world.said == []


def test_a_school_that_was_last_seen_eight_days_ago_is_not_missed(world: World) -> None:
    world.rush(OTHERS, days=6)
    world.said.clear()
    world.register(QUIET, registered(QUIET))
    world.passes(QUIET, JUDGED + 6 * DAY + 1, passed(QUIET, JUDGED + 6 * DAY + 1, 90_000))
    world.said.clear()
    world.rush(OTHERS, days=7)
    assert world.said == []


def test_days_off_and_weekends_miss_nobody() -> None:
    world = World()
    tuesday = DaysOff(first=date(2026, 11, 24), last=date(2026, 11, 24))
    world.open((QUIET,), days_off=(tuesday,))
    world.open(OTHERS)
    world.rush(days=-1)
    world.rush(OTHERS)
    world.rush(days=1)
    world.rush(days=3)  # Friday
    world.rush(OTHERS, days=4)
    assert world.said == []


def test_planned_work_at_the_turnstiles_misses_nobody() -> None:
    world = World()
    world.open((QUIET,), works=(Maintenance(starts_ms=BELL, ends_ms=BELL + HOUR),))
    world.open(OTHERS)
    world.rush(days=-1)
    world.rush(OTHERS)
    assert world.said == []


@pytest.mark.parametrize("device", ["", "turnstile"])
def test_a_school_whose_turnstiles_were_not_alive_all_the_time_is_liveness_own(
    world: World, device: str
) -> None:
    for name in ("turnstile-1", "turnstile-2") if device else ("",):
        world.tell(QUIET, name, RUSH + MINUTE, Status.OFFLINE)
        world.tell(QUIET, name, RUSH + 2 * MINUTE)
    world.rush(OTHERS)
    assert world.said == []


def test_one_of_its_turnstiles_alive_is_enough_to_be_missed(world: World) -> None:
    world.tell(QUIET, "turnstile-1", RUSH + MINUTE, Status.OFFLINE)
    world.rush(OTHERS)
    assert [a.note for a in world.said] == ["no pass in the arrival rush; alive: turnstile-2"]


def test_a_moment_that_nobody_proved_leaves_the_rush_unjudged(world: World) -> None:
    world.prove_all(RUSH - HOUR, RUSH + 20 * MINUTE)
    world.prove(RUSH + 22 * MINUTE)
    world.rush(OTHERS)
    assert world.said == [] and world.arrivals.unproven == 1


def test_our_gateway_or_an_unknown_day_off_is_no_ones_missing_passes(world: World) -> None:
    world.rush(SCHOOLS[1:3])
    assert world.said == [] and world.arrivals.held == 3


def test_schools_of_another_region_stand_in_where_its_own_are_few() -> None:
    world, others = World(), tuple(s.replace("KZ-75", "KZ-11") for s in OTHERS)
    world.open((QUIET, *others))
    world.rush((QUIET, *others), days=-1)
    world.rush(others)
    assert [a.school for a in world.said] == [QUIET]


def test_the_only_school_of_a_partition_is_not_judged() -> None:
    world = World()
    world.open((QUIET,))
    world.rush((QUIET,), days=-1)
    world.rush(())
    assert world.said == [] and world.arrivals.held == 1


def test_an_alert_ends_when_the_registry_drops_the_school(world: World) -> None:
    world.rush(OTHERS)
    world.register(QUIET, None)
    assert [a.action for a in world.said] == [Action.OPENED, Action.RESOLVED]


def test_what_a_former_owner_said_is_not_said_again_and_what_it_opened_is_ended(
    world: World,
) -> None:
    world.rush(OTHERS)
    for handled_ms in (TUESDAY, JUDGED):  # killed before, and after its commit
        again = World(Arrivals(handled_ms))
        again.open()
        again.arrivals.restore(world.said[0])
        assert again.arrivals.restored() == []
        again.rush(days=-1)
        again.rush(OTHERS)
        assert again.said == []
        again.passes(QUIET, JUDGED + HOUR, passed(QUIET, JUDGED + HOUR, 20_000))
        assert [(a.id, a.number) for a in again.said] == [(world.said[0].id, 1)]


def test_what_was_restored_of_a_school_that_is_gone_ends(world: World) -> None:
    world.rush(OTHERS)
    again = Arrivals(JUDGED)
    again.restore(world.said[0])
    assert [(a.number, a.decided_ms) for a in again.restored()] == [(1, JUDGED)]


def test_a_record_that_is_no_pass_is_counted_and_passed_over(world: World) -> None:
    world.passes(QUIET, RUSH - HOUR, b"\xff{")
    world.passes(OTHERS[0], RUSH - HOUR, passed(QUIET, RUSH, 1))
    assert world.feed.unreadable == 1
    assert world.arrivals.schools[QUIET].last_ms < RUSH - HOUR
