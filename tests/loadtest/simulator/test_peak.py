import json
from collections import Counter
from itertools import pairwise

from loadtest.simulator.country import country
from loadtest.simulator.garbage import CASES
from loadtest.simulator.peak import Mix
from tests.loadtest.streams import START_MS, peak_batches, records


def test_it_says_the_same_bytes_for_the_same_seed() -> None:
    mix = Mix(2_000, 3, panics=10, garbage=1)
    once = records(peak_batches(mix))
    assert records(peak_batches(mix)) == once
    assert records(peak_batches(mix, seed=2)) != once


def test_it_sends_what_was_ordered() -> None:
    sent = Counter(r[3] for r in records(peak_batches(Mix(5_000, 20, panics=100))))
    assert sent.total() == 100_000
    assert sent["panic.pressed"] == 100
    assert 0.73 < sent["pass"] / 100_000 < 0.76
    assert 0.24 < sent["heartbeat"] / 100_000 < 0.26
    assert all(sent[kind] for kind in ("panic.test", "incident.reported", "equipment.changed"))


def test_it_spreads_the_presses_through_the_run() -> None:
    batches = peak_batches(Mix(1_000, 30, panics=30))
    seconds = [
        (json.loads(r[2])["time_ms"] - START_MS) // 1000
        for r in records(batches)
        if r[3] == "panic.pressed"
    ]
    assert seconds == list(range(30))


def test_it_presses_at_another_school_each_time() -> None:
    sent = records(peak_batches(Mix(1_000, 10, panics=50)))
    assert len({key for _, key, _, label in sent if label == "panic.pressed"}) == 50


def test_it_sends_presses_first_and_with_the_time_of_sending() -> None:
    for batch in peak_batches(Mix(1_000, 10, panics=200), late_ms=250):
        labels = [record[3] for record in batch.records]
        presses = labels.count("panic.pressed")
        assert labels[:presses] == ["panic.pressed"] * presses
        assert {json.loads(r[2])["time_ms"] % 50 for r in batch.records} <= {0}  # ticks, and late
    first = json.loads(peak_batches(Mix(1_000, 1), late_ms=250)[0].records[0][2])
    assert first["time_ms"] == START_MS + 250


def test_it_labels_its_bad_input_by_reason() -> None:
    sent = Counter(r[3] for r in records(peak_batches(Mix(1_000, 5, garbage=2))))
    expected = Counter(f"!{reason.value}" for _, reason in CASES.values() if reason)
    assert {k: n for k, n in sent.items() if k[0] == "!"} == {k: 2 * n for k, n in expected.items()}


def test_it_lets_every_device_call_within_its_promised_period() -> None:
    schools = country(seed=1, schools=200)
    calls: dict[tuple[str, str], list[int]] = {}
    period_ms = 0
    for record in records(peak_batches(Mix(400, 60), schools=schools)):
        if record[3] == "heartbeat":
            beat = json.loads(record[2])
            period_ms = beat["period_s"] * 1000
            calls.setdefault((beat["school"], beat["device"]), []).append(beat["time_ms"])
    assert len(calls) == sum(len(school.devices()) for school in schools)
    for times in calls.values():
        gaps = [b - a for a, b in pairwise(times)]
        assert gaps
        assert max(gaps) < 1.2 * period_ms
