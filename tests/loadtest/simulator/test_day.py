import json
from collections import Counter
from itertools import pairwise
from typing import Any

import pytest

from loadtest.simulator.encode import Record
from loadtest.simulator.faults import CLOCK_SKEW, DEVICE_DEAD, POWER_CUT, PROVIDER_OUTAGE, plan
from loadtest.simulator.fleet import Fleet
from loadtest.simulator.stream import Truth
from tests.loadtest.streams import SCHOOLS, START_MS, day_batches, records

BEGIN_MS, END_MS = START_MS + 60_000, START_MS + 180_000
EQUIPPED = next(school for school in SCHOOLS if school.turnstiles and school.buttons)


def events(sent: list[Record], kind: str, **fields: Any) -> list[dict[str, Any]]:
    found = [json.loads(record[2]) for record in sent if record[3] == kind]
    return [event for event in found if all(event[k] == v for k, v in fields.items())]


def fault(kind: str, **where: Any) -> Truth:
    return Truth(kind, BEGIN_MS, END_MS, **where)


def test_it_says_the_same_bytes_for_the_same_seed() -> None:
    faults = plan(Fleet(SCHOOLS, 0), seed=3, start_ms=START_MS, duration_s=300, scale=2)
    once = day_batches(300, faults, seed=3)
    assert day_batches(300, faults, seed=3) == once
    assert day_batches(300, faults, seed=4) != once


def test_it_plans_the_same_faults_for_the_same_seed() -> None:
    fleet = Fleet(SCHOOLS, 0)
    planned = plan(fleet, seed=3, start_ms=0, duration_s=3600, scale=1)
    assert plan(fleet, seed=3, start_ms=0, duration_s=3600, scale=1) == planned
    assert {f.kind for f in planned} == {DEVICE_DEAD, POWER_CUT, PROVIDER_OUTAGE, CLOCK_SKEW}
    assert plan(fleet, seed=3, start_ms=0, duration_s=3600, scale=0) == []


def test_it_brings_pupils_in_before_the_bell_and_out_after_lessons() -> None:
    sent = records(day_batches(12 * 3600, local_start_s=7 * 3600.0, slice_ms=5_000, duplicates=0))
    granted = events(sent, "pass", outcome="granted")
    by_hour = Counter(
        (7 + (event["time_ms"] - START_MS) // 3_600_000, event["direction"]) for event in granted
    )
    assert by_hour[7, "in"] > 20 * by_hour[7, "out"]
    assert by_hour[13, "out"] > 5 * by_hour[9, "out"]
    pupils = sum(school.pupils for school in SCHOOLS if school.turnstiles)
    assert len(granted) / pupils == pytest.approx(2.7, abs=0.25)


def test_it_lets_nobody_in_twice_without_leaving() -> None:
    inside: set[tuple[str, str]] = set()
    sent = records(day_batches(8 * 3600, local_start_s=7 * 3600.0, slice_ms=5_000, duplicates=0))
    passes = events(sent, "pass", outcome="granted")
    wrong = 0
    for event in passes:
        card = (event["school"], event["card"])
        wrong += (card in inside) == (event["direction"] == "in")
        (inside.add if event["direction"] == "in" else inside.discard)(card)
    assert wrong < 0.005 * len(passes)  # two passes of one card in one slice may swap


def test_a_dead_device_is_silent_and_comes_back_with_a_new_boot() -> None:
    where = {"school": EQUIPPED.id, "device": "gateway-1"}
    sent = records(day_batches(300, [fault(DEVICE_DEAD, **where)], duplicates=0))
    beats = events(sent, "heartbeat", **where)
    assert not [b for b in beats if BEGIN_MS + 200 <= b["time_ms"] < END_MS]
    after = [b for b in beats if b["time_ms"] >= END_MS]
    assert after[0]["seq"] == 0
    assert after[0]["boot"] == beats[0]["boot"] + 1
    assert events(sent, "heartbeat", school=EQUIPPED.id, device="turnstile-1")


def test_a_power_cut_silences_the_whole_school() -> None:
    sent = records(day_batches(300, [fault(POWER_CUT, school=EQUIPPED.id)], duplicates=0))
    during = [
        event
        for kind in ("heartbeat", "pass")
        for event in events(sent, kind, school=EQUIPPED.id)
        if BEGIN_MS + 200 <= event["time_ms"] < END_MS
    ]
    assert not during


def test_an_outage_holds_events_back_and_replays_all_of_them_out_of_order() -> None:
    outage = fault(PROVIDER_OUTAGE, provider=EQUIPPED.provider, region=EQUIPPED.region)
    batches = day_batches(300, [outage], duplicates=0)
    calm = records(day_batches(300, duplicates=0))
    behind = {
        s.id for s in SCHOOLS if (s.provider, s.region) == (EQUIPPED.provider, EQUIPPED.region)
    }

    def beats(sent: list[Record]) -> list[tuple[str, str, int]]:
        found = events(sent, "heartbeat")
        return [(b["school"], b["device"], b["time_ms"]) for b in found if b["school"] in behind]

    during = records(batches[60 * 5 + 1 : 180 * 5])
    assert not [r for r in during if r[1].decode() in behind and r[3] in ("pass", "heartbeat")]
    assert sorted(beats(records(batches))) == sorted(beats(calm))
    replayed = [beat[2] for beat in beats(records(batches)) if BEGIN_MS < beat[2] < END_MS]
    assert replayed != sorted(replayed)
    assert max(b["buffered"] for b in events(records(batches), "heartbeat")) > 0
    assert outage in [truth for batch in batches for truth in batch.truth]


def test_a_skewed_clock_shows_in_time_and_offset() -> None:
    where = {"school": EQUIPPED.id, "device": "gateway-1"}
    skewed = fault(CLOCK_SKEW, **where, skew_ms=30_000)
    right = events(records(day_batches(300, duplicates=0)), "heartbeat", **where)
    wrong = events(records(day_batches(300, [skewed], duplicates=0)), "heartbeat", **where)
    shifts = [b["time_ms"] - a["time_ms"] for a, b in zip(right, wrong, strict=True)]
    assert set(shifts) == {0, 30_000}
    assert [b["clock_offset_ms"] for b in wrong] == shifts


def test_it_sends_some_events_twice_and_says_which() -> None:
    batches = day_batches(300, duplicates=0.01)
    sent = records(batches)
    again = [record for record in sent if record[3] == "!duplicate"]
    assert again
    first_at = {record[2]: n for n, record in reversed(list(enumerate(sent)))}
    assert all(sent[first_at[record[2]]][3] in ("pass", "heartbeat") for record in again)
    labels = [truth for batch in batches for truth in batch.truth]
    assert len(labels) == len(again)


def test_a_press_carries_the_time_at_which_it_is_sent() -> None:
    on_time = events(records(day_batches(300)), "panic.pressed")
    late = events(records(day_batches(300, late_ms=70)), "panic.pressed")
    assert [b["time_ms"] - a["time_ms"] for a, b in zip(on_time, late, strict=True)] == [70] * len(
        late
    )
    gaps = [b["time_ms"] - a["time_ms"] for a, b in pairwise(late)]
    assert all(19_000 <= gap <= 41_000 for gap in gaps)
