"""The liveness decisions, without a broker."""

from collections.abc import Iterable

from schemas.alerts import Action, AlertChanged, AlertKind, Status, StatusChanged
from streams.liveness.decide import Liveness
from streams.liveness.school import Decision

T0 = 1_790_000_000_000
S = "KZ-75-00001"
PERIOD_S = 15
TIMEOUT_MS = 3 * PERIOD_S * 1000 + 5_000


def liveness() -> Liveness:
    it = Liveness(misses=3, grace_ms=5_000)
    it.advance(T0)
    return it


def beat(
    it: Liveness,
    at_ms: int,
    name: str = "gateway-1",
    kind: str = "gateway",
    event_ms: int | None = None,
    period_s: int = PERIOD_S,
) -> list[Decision]:
    return list(it.hear(S, name, kind, period_s, event_ms or at_ms, at_ms))


def pass_time(it: Liveness, until_ms: int) -> list[Decision]:
    """Idle proofs of the broker, one a second."""
    said: list[Decision] = []
    while it.proven_ms < until_ms:
        said += it.advance(min(until_ms, it.proven_ms + 1_000))
    return said


def statuses(said: Iterable[Decision], device: str = "") -> list[Status]:
    return [d.status for d in said if isinstance(d, StatusChanged) and d.device == device]


def alerts(said: Iterable[Decision], kind: AlertKind) -> list[AlertChanged]:
    return [d for d in said if isinstance(d, AlertChanged) and d.kind is kind]


def actions(said: Iterable[Decision], kind: AlertKind) -> list[Action]:
    return [alert.action for alert in alerts(said, kind)]


def test_a_device_that_is_heard_is_online_and_so_is_its_school() -> None:
    said = beat(liveness(), T0)
    assert statuses(said, "gateway-1") == [Status.ONLINE]
    assert statuses(said) == [Status.ONLINE]


def test_a_silent_gateway_makes_its_school_offline_after_the_deadline_only() -> None:
    it = liveness()
    beat(it, T0)
    assert statuses(pass_time(it, T0 + TIMEOUT_MS), "gateway-1") == [Status.LATE]
    said = it.advance(T0 + TIMEOUT_MS + 1)
    assert statuses(said) == [Status.OFFLINE]
    assert actions(said, AlertKind.SCHOOL_OFFLINE) == [Action.OPENED]
    assert {d.decided_ms for d in said} == {T0 + TIMEOUT_MS}


def test_another_schools_record_proves_that_time_has_passed() -> None:
    it = liveness()
    beat(it, T0)
    said: list[Decision] = []
    for at in range(T0 + 5_000, T0 + TIMEOUT_MS + 6_000, 5_000):
        said += it.hear("KZ-10-00002", "gateway-1", "gateway", PERIOD_S, at, at)
    assert [d.school for d in alerts(said, AlertKind.SCHOOL_OFFLINE)] == [S]


def test_a_school_that_returns_resolves_its_alert_under_the_same_id() -> None:
    it = liveness()
    beat(it, T0)
    [opened] = alerts(pass_time(it, T0 + 100_000), AlertKind.SCHOOL_OFFLINE)
    [resolved] = alerts(beat(it, T0 + 100_000), AlertKind.SCHOOL_OFFLINE)
    assert (resolved.id, resolved.action, resolved.number) == (opened.id, Action.RESOLVED, 1)


def test_a_silent_button_makes_the_school_degraded_and_panic_blind() -> None:
    it = liveness()
    beat(it, T0, "button-1", "panic_button")
    said: list[Decision] = []
    for at in range(T0, T0 + 100_000, 10_000):
        said += beat(it, at)
    assert statuses(said)[-1] == Status.DEGRADED
    [blind] = alerts(said, AlertKind.PANIC_BLIND)
    assert (blind.action, blind.device) == (Action.OPENED, "button-1")
    assert alerts(said, AlertKind.SCHOOL_OFFLINE) == []


def test_a_school_stays_panic_blind_while_another_of_its_devices_is_silent() -> None:
    it = liveness()
    beat(it, T0, "button-1", "panic_button")
    beat(it, T0 + 2_000, "link-1", "police_link")
    first = pass_time(it, T0 + 100_000)
    returned = beat(it, T0 + 100_000, "button-1", "panic_button")
    last = beat(it, T0 + 100_000, "link-1", "police_link")
    said = [alerts(part, AlertKind.PANIC_BLIND) for part in (first, returned, last)]
    assert [[(a.action, a.device) for a in part] for part in said] == [
        [(Action.OPENED, "button-1")],
        [(Action.RESOLVED, "button-1"), (Action.OPENED, "link-1")],
        [(Action.RESOLVED, "link-1")],
    ]


def test_a_school_without_a_gateway_is_offline_when_all_its_devices_are() -> None:
    it = liveness()
    beat(it, T0, "turnstile-1", "turnstile")
    beat(it, T0 + 2_000, "turnstile-2", "turnstile")
    assert statuses(pass_time(it, T0 + 100_000)) == [Status.DEGRADED, Status.OFFLINE]


def test_a_device_never_heard_is_found_from_the_registry() -> None:
    it = liveness()
    it.register(S, [("gateway-1", "gateway", PERIOD_S)])
    assert statuses(pass_time(it, T0 + TIMEOUT_MS)) == []
    assert statuses(it.advance(T0 + TIMEOUT_MS + 1)) == [Status.OFFLINE]


def test_a_device_that_the_registry_no_longer_lists_is_retired() -> None:
    it = liveness()
    it.register(S, [("gateway-1", "gateway", PERIOD_S), ("button-1", "panic_button", PERIOD_S)])
    for at in range(T0, T0 + 100_000, 10_000):
        beat(it, at)
    said = it.register(S, [("gateway-1", "gateway", PERIOD_S)])
    assert statuses(said, "button-1") == [Status.RETIRED]
    assert statuses(said) == [Status.ONLINE]
    assert actions(said, AlertKind.PANIC_BLIND) == [Action.RESOLVED]
    assert beat(it, T0 + 100_000, "button-1", "panic_button") == []


def test_a_shorter_period_is_an_earlier_deadline() -> None:
    it = liveness()
    beat(it, T0, period_s=600)
    beat(it, T0 + 1_000)
    assert statuses(pass_time(it, T0 + 1_000 + TIMEOUT_MS + 1_000)) == [Status.OFFLINE]


def test_a_replayed_buffer_does_not_bring_a_school_back() -> None:
    it = liveness()
    beat(it, T0)
    pass_time(it, T0 + 200_000)
    for n in range(1, 11):
        assert beat(it, T0 + 200_000 + n, event_ms=T0 + n * PERIOD_S * 1000) == []


def test_a_device_whose_clock_is_off_is_heard_all_the_same() -> None:
    it = liveness()
    said: list[Decision] = []
    for at in range(T0, T0 + 300_000, 10_000):
        said += beat(it, at, event_ms=at - 3_600_000)
    assert statuses(said) == [Status.ONLINE]


def test_a_span_that_proved_nothing_counts_against_nobody() -> None:
    it = liveness()
    beat(it, T0)
    back = T0 + 600_000  # the broker was away
    assert it.advance(back) == []
    assert statuses(pass_time(it, back + TIMEOUT_MS)) == []
    assert statuses(it.advance(back + TIMEOUT_MS + 1)) == [Status.OFFLINE]


def test_a_broker_clock_that_is_set_back_makes_nobody_silent() -> None:
    it = liveness()
    beat(it, T0)
    back = T0 - 3_600_000
    said: list[Decision] = []
    for at in range(back, back + 100_000, 10_000):
        said += beat(it, at)
    assert said == []


def test_while_held_no_deadline_is_judged_and_none_is_forgotten() -> None:
    it = liveness()
    beat(it, T0)
    it.held = True
    assert pass_time(it, T0 + 100_000) == []
    assert it.falling() == 1
    it.held = False
    assert statuses(it.advance(T0 + 100_000)) == [Status.OFFLINE]


def test_after_a_hold_silence_counts_anew_and_is_found() -> None:
    it = liveness()
    beat(it, T0)
    assert it.standing() == 1
    it.held = True
    pass_time(it, T0 + 100_000)
    it.forgive()
    it.held = False
    assert Status.OFFLINE not in statuses(pass_time(it, T0 + 100_000 + TIMEOUT_MS))
    assert it.standing() == 1
    assert statuses(it.advance(T0 + 100_001 + TIMEOUT_MS)) == [Status.OFFLINE]
    assert it.standing() == 0


def test_a_bounded_sweep_leaves_the_rest_for_the_next() -> None:
    it = liveness()
    for n in range(5):
        beat(it, T0, f"turnstile-{n}", "turnstile")
    it.held = True
    pass_time(it, T0 + 100_000)
    it.held = False
    said = it.advance(it.proven_ms, 3)
    assert len([d for d in said if isinstance(d, StatusChanged) and d.device]) == 3
    assert it.is_due()


def restored(said: Iterable[Decision]) -> Liveness:
    it = Liveness(misses=3, grace_ms=5_000)
    last = {(d.school, d.device): d for d in said if isinstance(d, StatusChanged)}
    for status in last.values():
        it.restore(status)
    return it


def test_a_new_owner_repeats_the_opening_and_resolves_it_under_the_same_id() -> None:
    it = liveness()
    said = [*beat(it, T0), *pass_time(it, T0 + 100_000)]
    heir = restored(said)
    again = heir.advance(T0 + 100_000)
    opened = [a.model_dump_json() for a in said if isinstance(a, AlertChanged)]
    assert sorted(d.model_dump_json() for d in again) == sorted(opened)
    resolved = [a.id for a in beat(heir, T0 + 101_000) if isinstance(a, AlertChanged)]
    assert len(resolved) == len(opened) == 2  # the school is offline, and panic-blind
    assert set(resolved) == {a.id for a in said if isinstance(a, AlertChanged)}


def test_a_new_owner_says_what_its_predecessor_died_before_saying() -> None:
    it = liveness()
    said = [*beat(it, T0), *pass_time(it, T0 + 100_000)]
    half = [d for d in said if not (isinstance(d, StatusChanged) and not d.device)]
    again = restored(half).advance(T0 + 100_000)
    assert statuses(again) == [Status.OFFLINE]
    assert {a.id for a in again if isinstance(a, AlertChanged)} == {
        a.id for a in said if isinstance(a, AlertChanged)
    }


def test_a_new_owner_knows_the_last_sign_of_life_from_what_it_recalls() -> None:
    it = liveness()
    said = beat(it, T0)
    for at in range(T0 + 10_000, T0 + 60_000, 10_000):
        said += beat(it, at)
    heir = restored(said)
    for at in range(T0 + 10_000, T0 + 60_000, 10_000):
        heir.recall(S, "gateway-1", "gateway", PERIOD_S, at, at)
    expected = [d.model_dump_json() for d in pass_time(it, T0 + 200_000)]
    assert expected
    assert [d.model_dump_json() for d in pass_time(heir, T0 + 200_000)] == expected


def test_a_deadline_that_moved_is_found_in_the_first_sweep_after_it() -> None:
    it = liveness()
    beat(it, T0)
    beat(it, T0 + 1)
    pass_time(it, T0 + TIMEOUT_MS)
    assert statuses(it.advance(T0 + TIMEOUT_MS + 2)) == [Status.OFFLINE]
