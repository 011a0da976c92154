"""The liveness decisions, without a broker."""

from hypothesis import given
from hypothesis import strategies as st

from schemas.alerts import Action, AlertChanged, AlertKind, Status, StatusChanged
from streams.liveness.decide import Decision, Liveness

T0 = 1_790_000_000_000
S = "KZ-75-00001"
PERIOD_S = 15
TIMEOUT_MS = 3 * PERIOD_S * 1000 + 5_000


def liveness() -> Liveness:
    return Liveness(misses=3, grace_ms=5_000)


def beat(
    it: Liveness,
    at_ms: int,
    name: str = "gateway-1",
    kind: str = "gateway",
    event_ms: int | None = None,
) -> list[Decision]:
    return list(it.heartbeat(S, name, kind, PERIOD_S, event_ms or at_ms, at_ms))


def statuses(said: list[Decision], device: str = "") -> list[Status]:
    return [d.status for d in said if isinstance(d, StatusChanged) and d.device == device]


def alerts(said: list[Decision], kind: AlertKind) -> list[Action]:
    return [d.action for d in said if isinstance(d, AlertChanged) and d.kind is kind]


def test_a_device_that_is_heard_is_online_and_so_is_its_school() -> None:
    said = beat(liveness(), T0)
    assert statuses(said, "gateway-1") == [Status.ONLINE]
    assert statuses(said) == [Status.ONLINE]


def test_a_silent_gateway_makes_its_school_offline_after_the_deadline_only() -> None:
    it = liveness()
    beat(it, T0)
    assert list(it.sweep(T0 + TIMEOUT_MS)) == []
    said = list(it.sweep(T0 + TIMEOUT_MS + 1))
    assert statuses(said) == [Status.OFFLINE]
    assert alerts(said, AlertKind.SCHOOL_OFFLINE) == [Action.OPENED]
    assert {d.decided_ms for d in said} == {T0 + TIMEOUT_MS}


def test_a_school_that_returns_resolves_its_alert_under_the_same_id() -> None:
    it = liveness()
    beat(it, T0)
    [opened] = [d for d in it.sweep(T0 + 10**6) if isinstance(d, AlertChanged)]
    [resolved] = [d for d in beat(it, T0 + 10**6) if isinstance(d, AlertChanged)]
    assert (resolved.id, resolved.action, resolved.number) == (opened.id, Action.RESOLVED, 1)


def test_a_silent_button_makes_the_school_degraded_and_panic_blind() -> None:
    it = liveness()
    beat(it, T0, "button-1", "panic_button")
    for at in range(T0, T0 + 100_000, 10_000):
        beat(it, at)
    said = list(it.sweep(T0 + 60_000))
    assert statuses(said) == [Status.DEGRADED]
    assert alerts(said, AlertKind.PANIC_BLIND) == [Action.OPENED]
    assert alerts(said, AlertKind.SCHOOL_OFFLINE) == []


def test_a_device_never_heard_is_found_from_the_registry() -> None:
    it = liveness()
    it.expect(S, "gateway-1", "gateway", PERIOD_S, T0)
    assert statuses(list(it.sweep(T0 + TIMEOUT_MS + 1))) == [Status.OFFLINE]


def test_a_replayed_heartbeat_does_not_bring_a_school_back() -> None:
    it = liveness()
    beat(it, T0)
    list(it.sweep(T0 + 10**6))
    assert beat(it, T0 + 10**6, event_ms=T0 + 20_000) == []


def test_a_takeover_forgives_the_time_before() -> None:
    it = liveness()
    beat(it, T0)
    it.watch_from(T0 + 10**6)
    assert list(it.sweep(T0 + 10**6 + TIMEOUT_MS)) == []
    assert statuses(list(it.sweep(T0 + 10**6 + TIMEOUT_MS + 1))) == [Status.OFFLINE]


moves = st.lists(
    st.tuples(st.sampled_from(["beat", "sweep", "old"]), st.integers(0, 3), st.integers(0, 90_000)),
    max_size=60,
)


@given(moves)
def test_nobody_is_offline_before_the_deadline_and_everybody_after_it(
    drawn: list[tuple[str, int, int]],
) -> None:
    it, now, heard, offline = liveness(), T0, dict[str, int](), set[str]()
    for move, number, pause_ms in drawn:
        now += pause_ms
        name = f"turnstile-{number}"
        if move == "beat":
            said = beat(it, now, name, "turnstile")
            heard[name] = now
            offline.discard(name)
        elif move == "old":
            said = beat(it, now, name, "turnstile", event_ms=now - TIMEOUT_MS - 1)
            heard.setdefault(name, now)
        else:
            said = list(it.sweep(now))
            expected = {n for n, at in heard.items() if at + TIMEOUT_MS < now}
            offline |= {d.device for d in said if isinstance(d, StatusChanged) and d.device}
            assert offline == expected
        assert len(it._queued) == len(it._deadlines) <= len(heard)
        assert len({(s, n) for _, s, n in it._deadlines}) == len(it._deadlines)


@given(moves)
def test_a_replay_says_the_same_bytes(drawn: list[tuple[str, int, int]]) -> None:
    def run() -> list[str]:
        it, now, out = liveness(), T0, list[str]()
        for move, number, pause_ms in drawn:
            now += pause_ms
            said = list(it.sweep(now)) if move == "sweep" else beat(it, now, f"gateway-{number}")
            out += [d.model_dump_json() for d in said]
        return out

    assert run() == run()
