"""The states of a device and of its school beyond online and offline."""

from datetime import UTC, datetime

from schemas.alerts import Action, AlertKind, Status, StatusChanged
from streams.liveness.calendar import LOCAL_MS, Calendar
from streams.liveness.decide import Liveness
from streams.liveness.device import CALM_TIMEOUTS
from streams.liveness.school import Decision
from tests.streams.liveness.test_decide import (
    PERIOD_S,
    T0,
    TIMEOUT_MS,
    S,
    actions,
    alerts,
    beat,
    liveness,
    pass_time,
    restored,
    statuses,
)

HOUR_MS = 3_600_000
GATEWAY = ("gateway-1", "gateway", PERIOD_S)
BUTTON = ("button-1", "panic_button", PERIOD_S)
TURNSTILE = ("turnstile-1", "turnstile", PERIOD_S)


def at(day: str, clock: str) -> int:
    """Local time as Kafka's."""
    return (
        int(datetime.fromisoformat(f"{day}T{clock}").replace(tzinfo=UTC).timestamp() * 1000)
        - LOCAL_MS
    )


def beating(it: Liveness, until_ms: int, *names: tuple[str, str, int]) -> list[Decision]:
    """These devices beat from now on, every 10 s."""
    said: list[Decision] = []
    while it.proven_ms < until_ms:
        now_ms = it.proven_ms + 10_000
        for name, kind, _ in names:
            said += beat(it, now_ms, name, kind)
    return said


def flap(it: Liveness) -> list[Decision]:
    """Silence for as long as makes it offline, and a return."""
    said = pass_time(it, it.proven_ms + TIMEOUT_MS + 1_000)
    return [*said, *beat(it, it.proven_ms + 1_000)]


# late


def test_one_lost_heartbeat_says_nothing_and_two_make_a_device_late() -> None:
    it = liveness()
    beat(it, T0)
    assert pass_time(it, T0 + 2 * PERIOD_S * 1000 + 5_000) == []
    [late] = pass_time(it, T0 + 2 * PERIOD_S * 1000 + 6_000)
    assert isinstance(late, StatusChanged) and late.status is Status.LATE
    assert late.since_ms == T0


def test_a_late_device_that_is_heard_is_online_and_nobody_is_paged() -> None:
    it = liveness()
    beat(it, T0)
    pass_time(it, T0 + 40_000)
    said = beat(it, T0 + 40_001)
    assert statuses(said, "gateway-1") == [Status.ONLINE]
    assert len(said) == 1


# flapping


def test_a_device_that_falls_a_third_time_soon_is_flapping_and_keeps_one_alert() -> None:
    it = liveness()
    said = beat(it, T0)
    for _ in range(8):
        said += flap(it)
    assert statuses(said, "gateway-1").count(Status.FLAPPING) >= 5
    # Two alerts ended before it was known to flap; the third stays open.
    for kind in (AlertKind.SCHOOL_OFFLINE, AlertKind.PANIC_BLIND):
        assert actions(said, kind) == [
            *(Action.OPENED, Action.RESOLVED, Action.OPENED, Action.RESOLVED, Action.OPENED)
        ]
    assert statuses(said)[-1] is Status.OFFLINE


def flapping() -> tuple[Liveness, list[Decision]]:
    it = liveness()
    said = beat(it, T0)
    for _ in range(3):
        said += flap(it)
    assert it.schools[S].devices["gateway-1"].status is Status.FLAPPING
    return it, said


def test_a_flapping_device_that_is_calm_is_online_and_its_alerts_end() -> None:
    it, _ = flapping()
    returned_ms = it.proven_ms
    said = beating(it, returned_ms + CALM_TIMEOUTS * TIMEOUT_MS + 20_000, GATEWAY)
    assert statuses(said, "gateway-1") == [Status.ONLINE]
    assert statuses(said) == [Status.ONLINE]
    for kind in (AlertKind.SCHOOL_OFFLINE, AlertKind.PANIC_BLIND):
        [resolved] = alerts(said, kind)
        assert (resolved.action, resolved.time_ms) == (Action.RESOLVED, returned_ms)


def test_a_flapping_device_that_falls_silent_is_offline_under_the_alert_that_is_open() -> None:
    it, before = flapping()
    said = pass_time(it, it.proven_ms + HOUR_MS)
    assert statuses(said, "gateway-1") == [Status.OFFLINE]
    assert alerts(said, AlertKind.PANIC_BLIND) == []
    ended = alerts(beat(it, it.proven_ms + 1_000), AlertKind.PANIC_BLIND)
    assert [a.id for a in ended] == [alerts(before, AlertKind.PANIC_BLIND)[-1].id]


def test_a_new_owner_knows_that_a_device_flaps_and_when_it_is_calm() -> None:
    it, said = flapping()
    heir = restored(said)
    heir.recall(S, "gateway-1", "gateway", PERIOD_S, it.proven_ms, it.proven_ms)
    heir.advance(it.proven_ms)
    end_ms = it.proven_ms + CALM_TIMEOUTS * TIMEOUT_MS + 20_000
    expected = [d.model_dump_json() for d in beating(it, end_ms, GATEWAY)]
    assert expected
    assert [d.model_dump_json() for d in beating(heir, end_ms, GATEWAY)] == expected


def test_falls_far_apart_are_no_flapping() -> None:
    it = liveness()
    said = beat(it, T0)
    for _ in range(6):
        said += flap(it)
        said += beating(it, it.proven_ms + HOUR_MS // 2, GATEWAY)
    assert Status.FLAPPING not in statuses(said, "gateway-1")


# maintenance


def works(start_ms: int, end_ms: int, *devices: str) -> Calendar:
    return Calendar(works=((start_ms, end_ms, frozenset(devices)),))


def test_planned_silence_pages_nobody_and_is_judged_again_when_the_work_ends() -> None:
    it = liveness()
    end_ms = T0 + HOUR_MS
    it.register(S, [GATEWAY], works(T0 + 20_000, end_ms))
    beat(it, T0)
    said = pass_time(it, end_ms + TIMEOUT_MS)
    assert statuses(said, "gateway-1") == [Status.MAINTENANCE]
    assert alerts(said, AlertKind.SCHOOL_OFFLINE) == alerts(said, AlertKind.PANIC_BLIND) == []
    assert statuses(said) == [Status.UNKNOWN]
    said = it.advance(end_ms + TIMEOUT_MS + 1)
    assert statuses(said) == [Status.OFFLINE]
    [opened] = alerts(said, AlertKind.SCHOOL_OFFLINE)
    assert opened.time_ms == end_ms


def test_work_that_begins_while_a_device_is_silent_ends_its_alert_and_a_new_one_follows() -> None:
    it = liveness()
    it.register(S, [GATEWAY], works(T0 + HOUR_MS, T0 + 2 * HOUR_MS))
    beat(it, T0)
    said = pass_time(it, T0 + 3 * HOUR_MS)
    assert actions(said, AlertKind.PANIC_BLIND) == [Action.OPENED, Action.RESOLVED, Action.OPENED]
    first, _, second = alerts(said, AlertKind.PANIC_BLIND)
    assert first.id != second.id


def test_work_on_one_device_hides_no_other() -> None:
    it = liveness()
    it.register(S, [GATEWAY, BUTTON], works(T0, T0 + HOUR_MS, "gateway-1"))
    beat(it, T0)
    beat(it, T0, "button-1", "panic_button")
    said = pass_time(it, T0 + 100_000)
    [blind] = alerts(said, AlertKind.PANIC_BLIND)
    assert blind.device == "button-1"


def test_work_that_is_called_off_counts_no_more() -> None:
    it = liveness()
    it.register(S, [GATEWAY], works(T0, T0 + HOUR_MS))
    beat(it, T0)
    pass_time(it, T0 + 100_000)
    it.register(S, [GATEWAY])
    assert statuses(pass_time(it, T0 + 100_000 + TIMEOUT_MS)) == []
    assert statuses(it.advance(T0 + 100_000 + TIMEOUT_MS + 1)) == [Status.OFFLINE]


def test_work_planned_while_a_device_is_silent_ends_its_alert() -> None:
    it = liveness()
    it.register(S, [GATEWAY])
    beat(it, T0)
    pass_time(it, T0 + 100_000)
    it.register(S, [GATEWAY], works(T0 + 90_000, T0 + HOUR_MS))
    said = it.advance(T0 + 101_000)
    assert statuses(said, "gateway-1") == [Status.MAINTENANCE]
    assert actions(said, AlertKind.SCHOOL_OFFLINE) == [Action.RESOLVED]


# the hours of a turnstile

DAY = Calendar(powered=(7 * HOUR_MS, 19 * HOUR_MS))


def school_day(day: str, clock: str, calendar: Calendar = DAY) -> Liveness:
    it = Liveness(misses=3, grace_ms=5_000)
    it.advance(at(day, clock))
    it.register(S, [GATEWAY, TURNSTILE], calendar)
    beating(it, it.proven_ms + 30_000, GATEWAY, TURNSTILE)
    return it


def test_a_turnstile_that_is_switched_off_in_the_evening_degrades_no_school() -> None:
    it = school_day("2026-09-23", "18:59")
    said = beating(it, at("2026-09-24", "06:59"), GATEWAY)
    assert statuses(said, "turnstile-1") == [Status.MAINTENANCE]
    assert statuses(said) == []
    said = beating(it, at("2026-09-24", "07:02"), GATEWAY)
    assert statuses(said, "turnstile-1") == [Status.OFFLINE]
    assert statuses(said) == [Status.DEGRADED]


def test_a_turnstile_that_is_switched_on_in_time_is_online() -> None:
    it = school_day("2026-09-23", "18:59")
    beating(it, at("2026-09-24", "06:59"), GATEWAY)
    assert statuses(beating(it, at("2026-09-24", "08:00"), GATEWAY, TURNSTILE)) == []


def test_a_turnstile_that_failed_by_day_degrades_its_school_until_the_evening() -> None:
    it = school_day("2026-09-23", "17:00")
    said = beating(it, at("2026-09-23", "19:01"), GATEWAY)
    assert statuses(said) == [Status.DEGRADED, Status.ONLINE]


def test_a_gateway_is_expected_by_night() -> None:
    it = school_day("2026-09-23", "23:00")
    assert statuses(pass_time(it, it.proven_ms + 100_000)) == [Status.OFFLINE]


def test_sundays_and_days_off_are_no_days_of_a_turnstile() -> None:
    thursday = datetime.fromisoformat("2026-09-24").toordinal() - datetime(1970, 1, 1).toordinal()
    off = Calendar(powered=DAY.powered, days_off=((thursday, thursday + 1),))
    it = school_day("2026-09-23", "18:59", off)
    friday_ms = at("2026-09-25", "12:00")
    calendar = it.schools[S].calendar
    assert calendar.excused_until_ms(*TURNSTILE[:2], friday_ms) == at("2026-09-26", "07:00")
    sunday_ms = at("2026-09-27", "12:00")
    assert calendar.excused_until_ms(*TURNSTILE[:2], sunday_ms) == at("2026-09-28", "07:00")
    assert calendar.excused_until_ms(*GATEWAY[:2], sunday_ms) == 0
