"""A mass fall while our own evidence is impaired is said to be ours."""

from schemas.alerts import Action, AlertKind
from streams.liveness.guard import Guard

TROUBLES = ["no progress: partitions 3"]


def test_a_mass_fall_is_held_only_while_our_evidence_is_impaired() -> None:
    guard = Guard()
    assert guard.holds(400, 1_000, TROUBLES)
    assert not guard.holds(400, 1_000, [])
    assert not guard.holds(100, 1_000, TROUBLES)
    assert not guard.holds(3, 3, TROUBLES)


def test_one_alert_is_opened_and_resolved_while_a_fall_is_held() -> None:
    guard = Guard()
    opened = guard.say(True, 400, TROUBLES, 1_000)
    assert opened is not None and opened.kind is AlertKind.MONITORING_IMPAIRED
    assert guard.say(True, 500, TROUBLES, 2_000) is None
    resolved = guard.say(False, 0, [], 3_000)
    assert resolved is not None and guard.say(False, 0, [], 4_000) is None
    assert (resolved.id, resolved.number, resolved.action) == (opened.id, 1, Action.RESOLVED)
