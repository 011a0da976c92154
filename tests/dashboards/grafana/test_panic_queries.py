"""Panics, what was done about them, and outages of many schools, against the simulated day's truth."""

from collections import Counter, defaultdict

import pytest

from tests.dashboards.grafana.conftest import Asked
from tests.dashboards.grafana.truth import Panic

pytestmark = pytest.mark.broker

STEPS = ("sent", "delivered", "acknowledged", "dispatched", "arrived", "closed")


def _real(asked: Asked) -> list[Panic]:
    return [panic for panic in asked.day.panics if not panic.drill]


def _waits(panics: list[Panic], step: str) -> list[float]:
    return sorted(panic.seconds(step) for panic in panics if step in panic.steps)


def _upper(values: list[float], share: float) -> float:
    """As the engine's quantileExact takes it."""
    return values[min(int(len(values) * share), len(values) - 1)]


def test_it_counts_alarms_answers_mistakes_and_drills(asked: Asked) -> None:
    real = _real(asked)
    waits = _waits(real, "acknowledged")
    answer = asked.ask("panic_totals").one()
    assert answer == {
        "alarms": len(real),
        "within_60_s": sum(wait <= 60 for wait in waits),
        "unacknowledged": sum("acknowledged" not in panic.steps for panic in real),
        "median_s": pytest.approx(_upper(waits, 0.5)),
        "late": sum(panic.late for panic in real),
        "false_alarms": sum(panic.outcome == "false" for panic in real),
        "drills": 2,
    }
    assert answer["late"] == 1 and answer["unacknowledged"] == 2


def test_it_times_each_step_of_an_alarm(asked: Asked) -> None:
    real = _real(asked)
    rows = {row["step"]: row for row in asked.ask("panic_step_times").dicts()}
    assert tuple(rows) == ("pressed", "detected", *STEPS)
    assert rows["pressed"]["alarms"] == rows["detected"]["alarms"] == len(real)
    assert rows["detected"]["p50_s"] == 2
    for step in STEPS:
        waits = _waits(real, step)
        assert rows[step]["alarms"] == len(waits), step
        assert rows[step]["share"] == pytest.approx(len(waits) / len(real), abs=1e-4)
        assert rows[step]["p50_s"] == pytest.approx(_upper(waits, 0.5)), step
        assert rows[step]["p95_s"] == pytest.approx(_upper(waits, 0.95)), step
        assert rows[step]["worst_s"] == pytest.approx(waits[-1]), step
    drawn = [row["arrived_p50_s"] for row in asked.ask("panic_steps").dicts()]
    assert sorted(one for one in drawn if one is not None) == pytest.approx(_waits(real, "arrived"))


def test_it_compares_regions_and_centers(asked: Asked) -> None:
    by_center: dict[str, list[Panic]] = defaultdict(list)
    by_region: dict[str, list[Panic]] = defaultdict(list)
    for panic in _real(asked):
        by_center[panic.center or asked.day.centers[panic.school] or "none"].append(panic)
        by_region[panic.school[:5]].append(panic)
    assert any(name.startswith("center-KZ") or name == "none" for name in by_center)
    for name, groups in (("center", by_center), ("region", by_region)):
        rows = {row[name]: row for row in asked.ask(f"panic_by_{name}").dicts()}
        assert set(rows) == set(groups)
        for key, panics in groups.items():
            row = rows[key]
            assert row["alarms"] == len(panics)
            assert row["false_alarms"] == sum(panic.outcome == "false" for panic in panics)
            assert row["unacknowledged"] == sum("acknowledged" not in p.steps for p in panics)
            for step, column in (("delivered", "delivered_p95_s"), ("acknowledged", "p95_s")):
                waits = _waits(panics, step)
                wanted = pytest.approx(_upper(waits, 0.95)) if waits else None
                assert row[column] == wanted, (key, column)


def test_it_tells_false_alarms_by_outcome(asked: Asked) -> None:
    summed: Counter[str] = Counter()
    for row in asked.ask("panic_outcomes").dicts():
        for outcome in ("real", "false_alarms", "drills", "not_judged"):
            summed[outcome] += row[outcome]
    said = Counter(panic.outcome for panic in asked.day.panics)
    assert summed["real"] == said["real"] > 0
    assert summed["false_alarms"] == said["false"] > 0
    assert summed["drills"] == 2
    assert summed["not_judged"] == said[""] - 1  # a drill that nobody closed yet is still a drill
    assert sum(row["cancelled"] for row in asked.ask("panic_false").dicts()) == 3


def test_an_alarm_that_was_pressed_again_after_it_was_closed_is_open_and_unanswered(
    asked: Asked,
) -> None:
    (again,) = [panic for panic in asked.day.panics if panic.reopened is not None]
    rows = {row["school"]: row for row in asked.ask("panic_open").dicts()}
    assert set(rows) == {panic.school for panic in asked.day.panics if panic.open}
    row = rows[again.school]
    assert (row["acknowledged"], row["presses"], row["drill"]) == (None, 2, "")
    assert row["seconds"] < 300 + 600
    assert [row["drill"] for row in rows.values()][-1] == "drill"  # drills stand last


def test_the_slowest_alarm_is_the_one_that_waits_still(asked: Asked) -> None:
    (first, *_) = asked.ask("panic_slowest").dicts()
    slowest = max(
        _real(asked),
        key=lambda p: (p.steps.get("acknowledged", asked.day.now) - p.waiting).total_seconds(),
    )
    assert first["school"] == slowest.school
    failures = {row["school"]: row["failures"] for row in asked.ask("panic_slowest").dicts()}
    assert sum(failures.values()) == 1


def test_a_schools_alerts_carry_what_was_done(asked: Asked) -> None:
    panic = next(p for p in asked.day.panics if p.outcome == "real" and p.center)
    (row,) = asked.ask("school_alerts", school=[panic.school]).dicts()
    assert row["outcome"] == "real"
    assert all(row[step] is not None for step in ("delivered", "acknowledged", "arrived"))


def test_it_lists_outages_with_all_their_schools_and_how_fast_they_were_named(
    asked: Asked,
) -> None:
    rows = asked.ask("outages_found").dicts()
    wanted = [
        (o.scope, len(o.members), (o.named - o.opened).total_seconds(), o.resolved is None)
        for o in asked.day.together
    ]
    found = [(r["scope"], r["schools"], r["detect_s"], r["resolved"] is None) for r in rows]
    assert found == wanted  # what is open stands first
    assert max(row["worst_s"] for row in asked.ask("outage_detect").dicts()) == 85
    members = asked.ask("outage_members").dicts()
    assert {row["school"] for row in members} == set(asked.day.together[0].members)
    assert {row["status"] for row in members} == {"offline"}
    (texts, *_) = asked.ask("note_outages_found").dicts()
    assert texts["text"] == f"provider:kt: {len(asked.day.together[1].members)} schools"
    alerts = asked.ask("open_alerts").dicts()
    assert [row["schools"] for row in alerts if row["kind"] == "outage"] == [
        len(asked.day.together[0].members)
    ]


def test_no_query_shows_a_canary(asked: Asked) -> None:
    for name in ("map_schools", "map_offline", "map_panics", "panic_open", "outages_open",
                 "choose_region", "panic_by_region", "tests_overdue", "panic_slowest"):  # fmt: skip
        assert "KZ-00" not in str(asked.ask(name).rows), name
