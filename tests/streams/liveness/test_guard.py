"""A mass fall while our own evidence is impaired is said to be ours."""

from schemas.alerts import Action, AlertKind
from streams.liveness.guard import (
    CANARY_HOLDS_MS,
    CANARY_LOST_MS,
    SETTLED_AFTER_S,
    STUCK_AFTER_S,
    Evidence,
    Guard,
    in_words,
)

TROUBLES = ["no progress: partitions 3"]
T0 = 1_790_000_000_000
GRACE_MS = 5_000
CANARY_PERIOD_MS = 10_000


def test_a_mass_fall_is_held_only_while_our_evidence_is_impaired() -> None:
    assert Guard().holds(400, 1_000, TROUBLES)
    assert not Guard().holds(400, 1_000, [])
    assert not Guard().holds(100, 1_000, TROUBLES)
    assert not Guard().holds(3, 3, TROUBLES)


def test_who_returns_last_is_not_accused_while_the_trouble_lasts() -> None:
    guard = Guard()
    assert guard.holds(400, 1_000, TROUBLES)
    assert guard.holds(5, 1_000, TROUBLES)
    assert not guard.holds(5, 1_000, [])
    assert not guard.holds(5, 1_000, TROUBLES)


def test_one_alert_is_opened_and_resolved_while_a_fall_is_held() -> None:
    guard = Guard()
    opened = guard.say(True, 400, TROUBLES, 1_000)
    assert opened is not None and opened.kind is AlertKind.MONITORING_IMPAIRED
    assert guard.say(True, 500, TROUBLES, 2_000) is None
    resolved = guard.say(False, 0, [], 3_000)
    assert resolved is not None and guard.say(False, 0, [], 4_000) is None
    assert (resolved.id, resolved.number, resolved.action) == (opened.id, 1, Action.RESOLVED)


def test_a_successor_ends_the_alert_that_its_predecessor_left_open() -> None:
    guard = Guard()
    opened = guard.say(True, 400, TROUBLES, 1_000)
    heir = Guard()
    heir.restore([0, guard.opened_ms])
    assert heir.holds(5, 1_000, TROUBLES)  # as its predecessor did
    assert heir.say(True, 400, TROUBLES, 2_000) is None  # it is open already
    resolved = heir.say(False, 0, [], 3_000)
    assert opened is not None and resolved is not None
    assert (resolved.id, resolved.number) == (opened.id, 1)
    assert heir.opened_ms == 0


def evidence(now_s: float, moved_s: float | None = None) -> Evidence:
    """Settled long ago, proven up to T0."""
    return Evidence(now_s - 1_000, now_s if moved_s is None else moved_s, T0)


def trouble(it: Evidence, now_s: float, gap_ms: int = 0, canary_ms: int = 0) -> str:
    return it.trouble(now_s, gap_ms, canary_ms, CANARY_PERIOD_MS, GRACE_MS)


def test_a_partition_that_moves_is_healthy_and_one_that_stands_still_is_not() -> None:
    assert trouble(evidence(100.0), 100.0) == ""
    assert trouble(evidence(100.0, 100.0 - STUCK_AFTER_S - 1), 100.0) == "no progress"


def test_without_canaries_a_partition_just_taken_over_or_unread_is_no_evidence() -> None:
    new = Evidence(100.0 - SETTLED_AFTER_S + 1, 100.0, T0)
    assert trouble(new, 100.0) == "just taken over"
    assert trouble(evidence(100.0), 100.0, gap_ms=T0 - 1_000) == "unread for a while"


def test_a_fresh_canary_proves_that_schools_would_be_heard() -> None:
    new = Evidence(99.0, 100.0, T0)
    assert trouble(new, 100.0, gap_ms=T0 - 1_000, canary_ms=T0 - CANARY_PERIOD_MS) == ""


def test_a_missing_canary_impairs_its_partition_but_not_for_ever() -> None:
    missing_ms = T0 - 2 * CANARY_PERIOD_MS - GRACE_MS - 1
    assert trouble(evidence(100.0), 100.0, canary_ms=missing_ms) == "canaries missing"
    assert trouble(evidence(100.0), 100.0, canary_ms=T0 - CANARY_HOLDS_MS - 1) == ""
    assert evidence(100.0).has_lost_canary(T0 - CANARY_LOST_MS - 1)
    assert not evidence(100.0).has_lost_canary(0)


def test_troubles_are_told_by_partition() -> None:
    assert in_words({3: "no progress", 1: "no progress", 2: "canaries missing"}) == [
        "canaries missing: partitions 2",
        "no progress: partitions 1, 3",
    ]
