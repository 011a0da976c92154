"""What speaks for a panic raises its score, is said once, and decides nothing else."""

import json
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from schemas.alerts import Severity
from schemas.events import EVENT, Event
from schemas.life import Life
from schemas.steps import StepTaken, Took
from streams.verify.decide import (
    ACTOR,
    AROUND_MS,
    STALE_MS,
    Flow,
    Found,
    Kind,
    Scene,
    around,
    moved,
    weigh,
)
from tests.streams.dispatch.stories import SCHOOL, T0, pressed
from tests.streams.workers import uuid7

MINUTE_MS = 60_000


def life(*transitions: Any) -> Life:
    known = Life((transitions or (pressed(),))[0].id)
    for transition in transitions or (pressed(),):
        known.changed(transition)
    return known


def by_person(known: Life, took: Took, at_ms: int, **fields: Any) -> None:
    step = StepTaken(
        id=f"step-{took}-{at_ms}", alert=known.id, school=SCHOOL, took=took, actor="aigul",
        time_ms=at_ms, **fields,
    )  # fmt: skip
    known.took(step, at_ms, 1)


def event(type_: str, school: str = SCHOOL, at_ms: int = T0, **fields: Any) -> Event:
    told = {
        "id": uuid7(), "type": type_, "school": school, "device": "desk", "time_ms": at_ms,
        "boot": 1, "seq": 1, "language": "kk",
    }  # fmt: skip
    return EVENT.validate_json(json.dumps(told | fields))


def reported(school: str = SCHOOL, at_ms: int = T0, category: str = "intruder") -> Event:
    return event("incident.reported", school, at_ms, channel="qr", category=category, place="hall")


def scene(*transitions: Any) -> Scene:
    known = Scene()
    for transition in transitions or (pressed(),):
        known.heard(transition, transition.decided_ms, 0)
    return known


def flow(**fields: Any) -> Flow:
    usual: dict[str, Any] = {
        "exits": 3, "passes": 80, "calm_from_ms": T0, "weeks": ((6, 70), (9, 60)), "sure": True,
    }  # fmt: skip
    return Flow(**usual | fields)


def test_a_report_of_danger_beside_a_press_adds_one() -> None:
    known = scene()
    known.reported(reported(at_ms=T0 - MINUTE_MS), T0 - MINUTE_MS)
    (step,) = known.weigh_reports(SCHOOL, T0 + 5)
    assert (step.took, step.actor, step.target) == (Took.VERIFIED, ACTOR, Kind.REPORTS)
    assert step.score is None  # the fold counts it, with whatever is pressed later
    assert "score 2, was 1" in step.note


def test_a_call_for_police_or_a_doctor_counts_and_one_for_a_psychologist_does_not() -> None:
    for topic, steps in (("police", 1), ("medical", 1), ("psychologist", 0), ("other", 0)):
        known = scene()
        known.reported(event("help.requested", topic=topic), T0)
        assert len(known.weigh_reports(SCHOOL, T0)) == steps


def test_what_says_nothing_of_danger_now_is_no_evidence() -> None:
    known = scene()
    known.reported(reported(category="bullying"), T0)
    known.reported(reported(at_ms=T0 - STALE_MS - 1), T0)
    known.reported(reported(at_ms=T0 + AROUND_MS + 1), T0 + AROUND_MS + 1)
    known.reported(reported(school="KZ-75-00043"), T0)
    assert known.weigh_reports(SCHOOL, T0) == []
    assert known.weigh_reports("KZ-75-00043", T0) == []


def test_the_same_report_twice_is_one_and_few_are_not_counted_out() -> None:
    known, one = scene(), reported()
    for _ in range(9):
        known.reported(one, T0)
    (step,) = known.weigh_reports(SCHOOL, T0)
    assert "fewer than 5" in step.note
    assert [
        ch for ch in step.note.replace("10 minutes", "").replace("fewer than 5", "") if ch.isdigit()
    ] == ["2", "1"]


def test_many_reports_are_counted() -> None:
    known = scene()
    for _ in range(7):
        known.reported(reported(), T0)
    (step,) = known.weigh_reports(SCHOOL, T0)
    assert ": 7;" in step.note


def test_it_is_said_once_also_by_one_who_starts_anew() -> None:
    known = scene()
    known.reported(reported(), T0)
    (step,) = known.weigh_reports(SCHOOL, T0)
    known.heard(step, T0 + 9, 4)
    known.reported(reported(), T0 + MINUTE_MS)
    assert known.weigh_reports(SCHOOL, T0 + MINUTE_MS) == []
    restarted = scene()
    restarted.reported(reported(), T0)
    (again,) = restarted.weigh_reports(SCHOOL, T0 + 7)
    assert again.id == step.id
    restarted.heard(step, T0 + 9, 4)
    assert restarted.weigh_reports(SCHOOL, T0 + 7) == []


def test_the_step_may_be_read_before_its_alert() -> None:
    known = scene()
    known.reported(reported(), T0)
    (step,) = known.weigh_reports(SCHOOL, T0)
    other = Scene()
    other.reported(reported(), T0)
    other.heard(step, T0, 4)
    assert other.weigh_reports(SCHOOL, T0) == []
    other.heard(pressed(), T0, 0)
    assert other.weigh_reports(SCHOOL, T0) == []


def test_a_run_of_exits_and_a_report_are_two_pieces() -> None:
    known = scene()
    known.reported(reported(), T0)
    (report,) = known.weigh_reports(SCHOOL, T0)
    known.heard(report, T0, 4)
    (run,) = known.weigh_flow(SCHOOL, flow(exits=40), T0 + MINUTE_MS)
    assert "score 2, was 1" in report.note and "score 3, was 2" in run.note
    assert "40 in 5 minutes, at this time usually at most 9" in run.note


@pytest.mark.parametrize(
    "seen",
    [
        flow(exits=26),  # three times the most of earlier weeks is 27
        flow(exits=19, weeks=((0, 70), (0, 60))),
        flow(exits=400, weeks=((0, 70),)),
        flow(passes=12, sure=False),
        flow(passes=13),
        flow(passes=0, weeks=((6, 49), (9, 60))),
        flow(passes=0, calm_from_ms=T0 - 1),
    ],
)
def test_what_may_be_usual_or_our_own_trouble_is_no_evidence(seen: Flow) -> None:
    assert moved(life(), seen, T0 + MINUTE_MS) == []


def test_a_rush_that_stops_is_evidence() -> None:
    (found,) = moved(life(), flow(passes=4), T0 + MINUTE_MS)
    assert found.kind is Kind.COLLAPSE
    assert found.seen.endswith("fewer than 5, at this time usually at least 60")


def test_the_flow_long_after_the_last_press_is_of_another_matter() -> None:
    assert moved(life(), flow(exits=400), T0 + AROUND_MS + 1) == []
    again = life(pressed(), pressed(at_ms=T0 + AROUND_MS, number=1))
    assert moved(again, flow(exits=400), T0 + AROUND_MS + 1)


def test_turnstiles_are_watched_while_a_press_is_fresh_the_newest_first() -> None:
    known = scene(pressed(), pressed("KZ-75-00043", T0 + 5), pressed("KZ-75-00044", T0 - AROUND_MS))
    assert known.watched(T0 + 10) == ["KZ-75-00043", SCHOOL]


def test_drills_canaries_late_presses_and_closed_ones_are_left_alone() -> None:
    drill = pressed(drill=True, severity=Severity.INFO, score=0)
    late = pressed(late=True)
    canary = pressed("KZ-00-90001")
    for one in (drill, late, canary):
        known = scene(one)
        known.reported(reported(one.school), T0)
        assert known.weigh_reports(one.school, T0) == []
        assert known.watched(T0) == []
    closed = life()
    by_person(closed, Took.CLOSED, T0 + 5, outcome="false")
    assert weigh(closed, [Found(Kind.REPORTS, "seen")], T0 + 6) == []


def test_old_things_are_forgotten_and_new_ones_are_not() -> None:
    known = scene(pressed(), pressed("KZ-75-00043", T0 + 100))
    known.reported(reported(), T0)
    known.forget(T0 + 50)
    assert list(known.lives) == ["KZ-75-00043"]
    assert not known.reports


founds = st.lists(st.sampled_from([Found(kind, f"saw {kind}") for kind in Kind]), max_size=6)
acts = st.sampled_from([Took.ACKNOWLEDGED, Took.VERIFIED, Took.NOTED, Took.CLOSED, Took.REOPENED])


@given(
    scores=st.lists(st.integers(1, 4), min_size=1, max_size=4),
    said=st.lists(st.tuples(acts, st.integers(0, 4)), max_size=4),
    looks=st.lists(founds, max_size=5),
)
def test_evidence_only_raises_and_changes_nothing_else(
    scores: list[int], said: list[tuple[Took, int]], looks: list[list[Found]]
) -> None:
    known = life(*(pressed(at_ms=T0 + n, number=n, score=s) for n, s in enumerate(scores)))
    for n, (took, score) in enumerate(said):
        by_person(known, took, T0 + 100 + n, score=score if took is Took.VERIFIED else None)
    ids: list[str] = []
    for n, found in enumerate(looks):
        before = known.score or 0
        stood = (known.open, known.closed, known.by(Took.ACKNOWLEDGED), known.raised_ms)
        for at, step in enumerate(weigh(known, found, T0 + 200 + n)):
            ids.append(step.id)
            known.took(step, T0 + 200 + n, at)
        assert (known.score or 0) >= before
        assert stood == (known.open, known.closed, known.by(Took.ACKNOWLEDGED), known.raised_ms)
        assert weigh(known, found, T0 + 300) == []
    assert len(ids) == len(set(ids))


@given(st.permutations([0, 1, 2, 3, 4]), st.sampled_from([-AROUND_MS, -1, 0, 1, AROUND_MS]))
def test_the_order_of_hearing_does_not_change_what_is_said(order: list[int], off_ms: int) -> None:
    at_ms = T0 + off_ms
    first, second = reported(at_ms=at_ms), reported(at_ms=at_ms)
    news: list[Callable[[Scene], None]] = [
        lambda s: s.heard(pressed(), T0, 0),
        lambda s: s.heard(pressed(at_ms=T0 + 5, number=1, score=2), T0 + 5, 1),
        lambda s: s.reported(first, at_ms),
        lambda s: s.reported(second, at_ms),
        lambda s: s.heard(pressed("KZ-75-00043"), T0, 2),
    ]
    known = Scene()
    for n in order:
        news[n](known)
    (step,) = known.weigh_reports(SCHOOL, T0)
    assert "score 3, was 2" in step.note and "fewer than 5" in step.note
    assert around(Life("none"), [T0]) == []
