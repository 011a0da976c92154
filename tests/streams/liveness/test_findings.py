"""Alive but useless: a clock that is off, a buffer that grows, a test that is overdue."""

from collections.abc import Iterable

from schemas.alerts import Action, AlertChanged, AlertKind, Severity
from streams.liveness.decide import Liveness
from streams.liveness.findings import HOUR_MS, TEST_EVERY_MS
from streams.liveness.school import Decision
from tests.streams.liveness.test_decide import (
    PERIOD_S,
    T0,
    S,
    actions,
    alerts,
    liveness,
    pass_time,
    restored,
)

PERIOD_MS = PERIOD_S * 1000


def beats(
    it: Liveness, count: int, ahead_ms: int = 0, offset_ms: int = 0, buffered: Iterable[int] = ()
) -> list[Decision]:
    """``ahead_ms``: the device's clock, of which it knows ``offset_ms``."""
    said: list[Decision] = []
    held = iter(buffered)
    for _ in range(count):
        at_ms = it.proven_ms + PERIOD_MS
        while it.proven_ms < at_ms - 9_000:
            said += it.advance(it.proven_ms + 9_000)
        event_ms = at_ms + ahead_ms - offset_ms
        said += it.hear(
            S, "gateway-1", "gateway", PERIOD_S, event_ms, at_ms, offset_ms, next(held, 0)
        )
    return said


def found(said: Iterable[Decision], kind: AlertKind) -> list[AlertChanged]:
    alerts_ = alerts(said, kind)
    assert all(a.severity is Severity.WARNING for a in alerts_)
    return alerts_


def test_a_clock_that_is_ahead_is_found_and_seen_to_be_set_right() -> None:
    it = liveness()
    assert found(beats(it, 10), AlertKind.CLOCK_SKEW) == []
    assert found(beats(it, 2, ahead_ms=120_000), AlertKind.CLOCK_SKEW) == []
    [opened] = found(beats(it, 10, ahead_ms=120_000), AlertKind.CLOCK_SKEW)
    assert (opened.action, opened.device) == (Action.OPENED, "gateway-1")
    assert found(beats(it, 5, ahead_ms=45_000), AlertKind.CLOCK_SKEW) == []  # not yet right
    [resolved] = found(beats(it, 5), AlertKind.CLOCK_SKEW)
    assert (resolved.id, resolved.action, resolved.number) == (opened.id, Action.RESOLVED, 1)


def test_a_clock_that_is_behind_is_found_from_a_lag_that_stays() -> None:
    assert actions(beats(liveness(), 10, ahead_ms=-7_200_000), AlertKind.CLOCK_SKEW) == [
        Action.OPENED
    ]


def test_a_clock_whose_device_knows_that_it_is_off_is_found_too() -> None:
    said = beats(liveness(), 10, ahead_ms=300_000, offset_ms=300_000)
    assert actions(said, AlertKind.CLOCK_SKEW) == [Action.OPENED]


def test_a_buffer_that_grows_is_found_and_one_that_drains_ends_it() -> None:
    it = liveness()
    said = beats(it, 10, buffered=range(100, 1_100, 100))
    [opened] = found(said, AlertKind.BUFFER_GROWING)
    assert opened.action is Action.OPENED
    assert actions(beats(it, 4, buffered=(900, 400, 10, 0)), AlertKind.BUFFER_GROWING) == [
        Action.RESOLVED
    ]


def test_a_buffer_of_a_few_events_is_no_finding() -> None:
    said = beats(liveness(), 9, buffered=range(1, 10))
    assert actions(said, AlertKind.BUFFER_GROWING) == []


def test_a_new_owner_knows_what_was_found_and_ends_it_under_the_same_id() -> None:
    it = liveness()
    said = beats(it, 10, ahead_ms=120_000)
    heir = restored(said)
    for n in range(3):
        at_ms = it.proven_ms - (2 - n) * PERIOD_MS
        heir.recall(S, "gateway-1", "gateway", PERIOD_S, at_ms + 120_000, at_ms)
    again = heir.advance(it.proven_ms)
    assert [a.model_dump_json() for a in again] == [
        a.model_dump_json() for a in alerts(said, AlertKind.CLOCK_SKEW)
    ]
    expected = [d.model_dump_json() for d in beats(it, 6)]
    assert expected
    assert [d.model_dump_json() for d in beats(heir, 6)] == expected


def button(it: Liveness, until_ms: int) -> list[Decision]:
    said: list[Decision] = []
    while it.proven_ms < until_ms:
        at_ms = it.proven_ms + 10_000
        said += it.hear(S, "button-1", "panic_button", 3_600, at_ms, at_ms)
    return said


def test_a_weekly_test_that_is_overdue_is_found_within_the_hour_and_ends_with_the_test() -> None:
    it = liveness()
    it.tests_from_ms = T0 - TEST_EVERY_MS + HOUR_MS
    it.tested(S, "button-1", it.tests_from_ms + 60_000)
    said = button(it, T0 + HOUR_MS)
    assert actions(said, AlertKind.TEST_OVERDUE) == []
    [opened] = found(button(it, it.proven_ms + 2 * HOUR_MS), AlertKind.TEST_OVERDUE)
    assert (opened.action, opened.device) == (Action.OPENED, "button-1")
    it.tested(S, "button-1", it.proven_ms)
    said = button(it, it.proven_ms + HOUR_MS + 20_000)
    assert actions(said, AlertKind.TEST_OVERDUE) == [Action.RESOLVED]


def test_tests_that_are_not_known_of_are_not_missed() -> None:
    it = liveness()
    assert actions(button(it, T0 + 3 * HOUR_MS), AlertKind.TEST_OVERDUE) == []


def test_the_same_is_said_however_time_is_cut() -> None:
    def run(step_ms: int) -> list[str]:
        it = liveness()
        it.tests_from_ms = T0 - TEST_EVERY_MS
        said = list(it.hear(S, "button-1", "panic_button", 7_200, T0, T0))
        end_ms = T0 + 2 * HOUR_MS
        while it.proven_ms < end_ms:
            said += it.advance(min(end_ms, it.proven_ms + step_ms))
        return [d.model_dump_json() for d in [*said, *pass_time(it, end_ms)]]

    assert run(10_000) == run(777)
    assert any("test_overdue" in line for line in run(10_000))
