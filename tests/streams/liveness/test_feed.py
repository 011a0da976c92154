"""Records as they come from Kafka, live and in a replay."""

import json
from dataclasses import dataclass
from typing import Any

from schemas.alerts import Status, StatusChanged
from streams.liveness import feed
from streams.liveness.calendar import LOCAL_MS
from streams.liveness.decide import Liveness
from streams.liveness.feed import Feed
from tests.streams.liveness.test_decide import T0, S, liveness, statuses

CANARY = "KZ-00-90003"


@dataclass(frozen=True)
class Row:
    offset: int
    timestamp: int
    key: bytes | None
    value: bytes | None


def row(offset: int, school: str = S, **fields: Any) -> Row:
    at_ms = T0 + offset * 1_000
    told = {"school": school, "time_ms": at_ms, "seq": offset, **fields}
    return Row(offset, at_ms, school.encode(), heartbeat(**told))


def heartbeat(**fields: Any) -> bytes:
    beat = {
        "id": "01936b2e-7c00-7001-8001-012345678901",
        "type": "heartbeat",
        "school": S,
        "device": "gateway-1",
        "time_ms": T0,
        "boot": 1,
        "seq": 1,
        "v": 1,
        "kind": "gateway",
        "period_s": 15,
        "link_pct": 90,
        "provider": "kt",
        "buffered": 0,
        "clock_offset_ms": 0,
    }
    return json.dumps(beat | fields).encode()


def test_records_before_what_was_said_are_recalled_and_later_ones_speak() -> None:
    it = Feed(liveness(), speak_from=2)
    assert it.hear([row(0), row(1)]) == []
    assert not it.spoke
    assert statuses(it.hear([row(2)]), "gateway-1") == [Status.ONLINE]
    assert it.spoke


def test_a_batch_that_comes_again_is_passed_over() -> None:
    it = Feed(liveness())
    assert it.hear([row(0), row(1)])
    assert it.hear([row(0), row(1)]) == []
    assert it.next_offset == 2


def test_what_can_not_be_read_is_counted_and_stops_nothing() -> None:
    it = Feed(liveness())
    bad = [
        Row(0, T0, b"x", b"\xff{"),
        Row(1, T0, None, None),
        Row(2, T0, b"KZ-10-00002", row(2).value),
        row(3, period_s="soon"),
        row(4, type="pass"),
    ]
    assert statuses(it.hear([*bad, row(5)]), "gateway-1") == [Status.ONLINE]
    assert it.unreadable == len(bad)


def test_a_canary_is_evidence_and_no_school() -> None:
    it = Feed(liveness())
    assert it.hear([row(0, CANARY, period_s=5), row(1)])
    assert (it.canary_ms, it.canary_period_ms) == (T0, 5_000)
    assert set(it.liveness.schools) == {S}


def registered(**fields: Any) -> bytes:
    names = {"kk": "a", "ru": "b", "en": "c"}
    event = {
        "id": "01936b2e-7c00-7001-8001-012345678901",
        "type": "school.registered",
        "school": S,
        "device": "desk-1",
        "time_ms": T0,
        "boot": 1,
        "seq": 1,
        "v": 1,
        "names": names,
        "region": "KZ-75",
        "district": "d",
        "latitude": 43.2,
        "longitude": 76.9,
        "pupils": 500,
        "ownership": "public",
        "provider": "kt",
        "shifts": [{"bells": ["08:00", "13:00"]}, {"bells": ["13:30", "18:30"]}],
        "devices": [{"device": "turnstile-1", "kind": "turnstile", "period_s": 60}],
    }
    return json.dumps(event | fields).encode()


def test_the_registry_tells_devices_and_calendar() -> None:
    it = Liveness(misses=3, grace_ms=5_000)
    off = [{"first": "2026-10-26", "last": "2026-11-02", "reason": "holidays"}]
    work = [{"starts_ms": T0, "ends_ms": T0 + 1_000, "devices": ["turnstile-1"]}]
    feed.register(it, S.encode(), registered(days_off=off, maintenance=work))
    school = it.schools[S]
    assert list(school.devices) == ["turnstile-1"]
    assert school.calendar.works == ((T0, T0 + 1_000, frozenset({"turnstile-1"})),)
    assert school.calendar.powered == (7 * 3_600_000, 19 * 3_600_000 + 1_800_000)
    [(first, last)] = school.calendar.days_off
    assert last - first == 7
    monday_noon_ms = first * 86_400_000 - LOCAL_MS + 12 * 3_600_000
    assert school.calendar.excused_until_ms("turnstile-1", "turnstile", monday_noon_ms)


def test_a_school_that_is_taken_out_of_the_registry_is_retired() -> None:
    it = liveness()
    feed.register(it, S.encode(), registered())
    it.hear(S, "turnstile-1", "turnstile", 60, T0, T0)
    said = feed.register(it, S.encode(), None)
    assert statuses(said, "turnstile-1") == [Status.RETIRED]
    assert [d.status for d in said if isinstance(d, StatusChanged) and not d.device] == [
        Status.UNKNOWN
    ]


def test_a_registry_record_that_can_not_be_read_changes_nothing() -> None:
    it = liveness()
    assert feed.register(it, S.encode(), b"{") == feed.register(it, b"other", registered()) == []
    assert it.schools == {}


def test_only_a_test_that_was_passed_counts() -> None:
    it = liveness()

    def told(offset: int, **fields: Any) -> Row:
        event = {"type": "panic.test", "school": S, "device": "button-1", "passed": True}
        return Row(offset, T0 + offset, S.encode(), json.dumps(event | fields).encode())

    feed.tested(it, told(1))
    feed.tested(it, told(2, passed=False))
    feed.tested(it, told(3, type="panic.pressed"))
    feed.tested(it, Row(4, T0 + 4, S.encode(), b"nothing"))
    assert it.schools[S].tested_ms == {"button-1": T0 + 1}
