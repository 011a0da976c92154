"""Buffered heartbeats that come after an outage tell when it truly was."""

from schemas.alerts import Action, AlertKind, Status, StatusChanged
from streams.liveness.decide import Liveness
from streams.liveness.school import Decision
from tests.streams.liveness.test_decide import (
    PERIOD_S,
    T0,
    S,
    alerts,
    beat,
    liveness,
    pass_time,
    statuses,
)

BACK = T0 + 600_000
PERIOD_MS = PERIOD_S * 1000


def cut_off() -> tuple[Liveness, list[Decision]]:
    it = liveness()
    beat(it, T0)
    return it, pass_time(it, BACK)


def replay(it: Liveness, from_ms: int, until_ms: int) -> list[Decision]:
    """A buffer with a heartbeat each period, drained within a second."""
    said: list[Decision] = []
    for event_ms in range(from_ms, until_ms, PERIOD_MS):
        said += beat(it, it.proven_ms + 5, event_ms=event_ms)
    return said


def test_a_buffer_drained_before_the_return_gives_the_alert_its_true_end() -> None:
    it, before = cut_off()
    on_again_ms = T0 + 300_000
    assert replay(it, on_again_ms, BACK - 2 * PERIOD_MS) == []
    said = beat(it, it.proven_ms + 100)
    [resolved] = alerts(said, AlertKind.SCHOOL_OFFLINE)
    [opened] = alerts(before, AlertKind.SCHOOL_OFFLINE)
    assert (resolved.id, resolved.number) == (opened.id, 1)
    assert (opened.time_ms, resolved.time_ms) == (T0, on_again_ms)


def test_a_buffer_drained_after_the_return_corrects_the_end_once_and_reopens_nothing() -> None:
    it, before = cut_off()
    first = beat(it, BACK + 1_000)
    on_again_ms = T0 + 300_000
    later = replay(it, on_again_ms, BACK)
    for kind in (AlertKind.SCHOOL_OFFLINE, AlertKind.PANIC_BLIND):
        said = alerts([*before, *first, *later], kind)
        assert [(a.action, a.number) for a in said] == [
            (Action.OPENED, 0),
            (Action.RESOLVED, 1),
            (Action.RESOLVED, 2),
        ]
        assert len({a.id for a in said}) == 1
        assert said[-1].time_ms == on_again_ms
        assert said[-1].note == f"by its buffered heartbeats silent from {T0} to {on_again_ms}"
    [corrected] = [d for d in later if isinstance(d, StatusChanged)]
    assert (corrected.status, corrected.since_ms) == (Status.ONLINE, on_again_ms)


def test_a_device_that_was_alive_throughout_lost_its_connection_until_it_was_heard() -> None:
    it, _ = cut_off()
    [resolved] = alerts(beat(it, BACK + 1_000), AlertKind.SCHOOL_OFFLINE)
    assert resolved.time_ms == BACK + 1_000
    assert replay(it, T0 + PERIOD_MS, BACK) == []


def test_a_buffer_alone_brings_nobody_back() -> None:
    it, _ = cut_off()
    assert replay(it, T0 + PERIOD_MS, BACK - 2 * PERIOD_MS) == []
    assert it.schools[S].status is Status.OFFLINE


def test_a_record_that_is_sent_twice_is_no_sign_of_life() -> None:
    it, _ = cut_off()
    for _ in range(5):
        assert beat(it, it.proven_ms + 5, event_ms=T0 + PERIOD_MS) == []


def test_a_device_whose_clock_is_set_back_is_not_taken_for_silent() -> None:
    it = liveness()
    said: list[Decision] = []
    for n in range(40):
        at_ms = T0 + n * PERIOD_MS
        said += beat(it, at_ms, event_ms=at_ms if n < 10 else at_ms - 3_600_000)
    assert Status.OFFLINE not in statuses(said, "gateway-1")
