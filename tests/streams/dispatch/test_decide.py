"""What dispatch decides, without a clock, a network or a disk."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from schemas.alerts import AlertChanged, Severity
from schemas.life import Life
from schemas.steps import PanicOutcome, StepTaken, Took
from streams.dispatch.centers import Centers, way_of
from streams.dispatch.decide import LATE_MS, Kind, Plan, Send, decide, pause_ms, step
from tests.streams.dispatch.stories import (
    SCHOOL,
    T0,
    UNLINKED,
    center,
    centers,
    pressed,
    registered,
)


class Told:
    """One alert as dispatch sees it; ``at`` decides and does what was planned."""

    def __init__(self, *transitions: AlertChanged, of: Centers | None = None) -> None:
        self.of = of or centers(center(next="other"), center("other"))
        self.life = Life(transitions[0].id)
        for transition in transitions:
            self.life.changed(transition)
        linked = "" if transitions[0].school == UNLINKED else "own"
        self.way = way_of(self.of, registered(transitions[0].school, linked))
        self.offset = 0

    def plan(self, at_ms: int) -> Plan:
        return decide(self.life, self.way, at_ms, ())

    def at(self, at_ms: int, took: Took | None = Took.DELIVERED) -> Plan:
        """Decide, tell, send, and have this result (None: unknown) of each send."""
        plan = self.plan(at_ms)
        for tell in plan.tells:
            self.take(step(self.life, tell, tell.took, at_ms, tell.note), at_ms)
        for send in plan.sends:
            self.take(step(self.life, send, Took.SENT, at_ms, ""), at_ms)
            if took is not None:
                self.take(step(self.life, send, took, at_ms, ""), at_ms)
        return plan

    def take(self, taken: StepTaken, at_ms: int) -> None:
        self.offset += 1
        self.life.took(taken, at_ms, self.offset)

    def person(self, took: Took, at_ms: int, **fields: Any) -> None:
        taken = StepTaken(
            id=f"person-{self.offset:04}", alert=self.life.id, school=SCHOOL, took=took,
            actor="aigul", time_ms=at_ms, **fields,
        )  # fmt: skip
        self.take(taken, at_ms)


def sends(plan: Plan) -> list[tuple[str, Kind, int]]:
    return [(send.center, send.kind, send.attempt) for send in plan.sends]


def tells(plan: Plan) -> list[tuple[Took, str]]:
    return [(tell.took, tell.target) for tell in plan.tells]


def test_a_press_is_sent_to_its_center_at_once_and_once() -> None:
    told = Told(pressed())
    assert sends(told.at(T0)) == [("own", Kind.ALERT, 1)]
    after = told.plan(T0 + 3_600_000)
    assert (after.sends, after.tells, after.wake_ms) == ([], [], None)


def test_a_failed_attempt_goes_to_the_next_receiver_at_once_then_waits() -> None:
    told = Told(pressed())
    told.at(T0, Took.FAILED)
    assert sends(told.at(T0, Took.FAILED)) == [("own", Kind.ALERT, 2)]
    waiting = told.plan(T0)
    assert (waiting.sends, waiting.wake_ms) == ([], T0 + 250)
    assert sends(told.plan(T0 + 250)) == [("own", Kind.ALERT, 3)]


def test_an_attempt_without_a_result_is_made_again_as_the_same_message() -> None:
    told = Told(pressed())
    first = told.at(T0, None).sends[0]
    again = told.plan(T0 + 1).sends[0]
    assert (again.message, again.attempt) == (first.message, 2)
    assert decide(told.life, told.way, T0 + 1, {first.message}).sends == []


def test_not_acknowledged_it_escalates_on_the_clock_to_the_next_center_and_to_people() -> None:
    told = Told(pressed())
    told.at(T0, Took.FAILED)
    assert tells(told.at(T0 + 14_999, Took.FAILED)) == []
    at_15 = told.at(T0 + 15_000, Took.FAILED)
    assert tells(at_15) == [(Took.ESCALATED, "center:other")]
    assert ("other", Kind.ALERT, 1) in sends(at_15)
    assert tells(told.at(T0 + 30_000, Took.FAILED)) == [(Took.ESCALATED, "phone:chief")]
    assert tells(told.at(T0 + 60_000, Took.FAILED)) == [(Took.ESCALATED, "phone:deputy")]
    assert tells(told.at(T0 + 200_000, Took.FAILED)) == []


def test_what_comes_late_to_us_is_tried_before_it_escalates() -> None:
    told = Told(pressed())
    plan = told.at(T0 + 80_000)
    assert sends(plan) == [("own", Kind.ALERT, 1)] and plan.tells == []


def test_the_clock_of_a_region_and_of_a_center_are_their_own() -> None:
    regions = {"KZ-75": {"escalation_s": (5.0,), "people": ("akim",)}}
    told = Told(pressed(), of=centers(center(), regions=regions))
    told.at(T0, Took.FAILED)
    assert tells(told.at(T0 + 5_000, Took.FAILED)) == [(Took.ESCALATED, "phone:akim")]
    own = centers(center(escalation_s=(7.0,), people=("desk",)), regions=regions)
    told = Told(pressed(), of=own)
    told.at(T0, Took.FAILED)
    assert told.plan(T0 + 5_000).tells == []
    assert tells(told.plan(T0 + 7_000)) == [(Took.ESCALATED, "phone:desk")]


def test_a_person_who_acknowledges_ends_the_escalation_but_not_the_sending() -> None:
    told = Told(pressed())
    told.at(T0, Took.FAILED)
    told.person(Took.ACKNOWLEDGED, T0 + 1_000)
    plan = told.at(T0 + 20_000, Took.FAILED)
    assert plan.tells == [] and sends(plan) == [("own", Kind.ALERT, 2)]


def test_a_center_whose_persons_must_acknowledge_is_escalated_though_its_receiver_did() -> None:
    told = Told(pressed(), of=centers(center(acknowledged_by="person")))
    told.at(T0)
    assert tells(told.at(T0 + 15_000)) == [(Took.ESCALATED, "phone:chief")]


def test_a_hold_ends_by_itself_and_is_skipped_when_it_is_certain() -> None:
    held = centers(center(hold_s=30))
    told = Told(pressed(), of=held)
    assert (told.plan(T0).sends, told.plan(T0).wake_ms) == ([], T0 + 30_000)
    assert sends(told.plan(T0 + 30_000)) == [("own", Kind.ALERT, 1)]
    assert sends(Told(pressed(score=2), of=held).plan(T0))
    assert sends(Told(pressed(duress=True), of=held).plan(T0))
    told.person(Took.VERIFIED, T0 + 1_000, score=1)
    assert sends(told.plan(T0 + 1_000))


def test_a_school_without_a_link_goes_to_a_named_person_at_once() -> None:
    told = Told(pressed(UNLINKED))
    plan = told.at(T0)
    assert sends(plan) == [] and tells(plan) == [(Took.ESCALATED, "phone:chief")]
    assert plan.tells[0].note == "the school has no link to a center"
    assert tells(told.at(T0 + 15_000)) == [(Took.ESCALATED, "phone:deputy")]


def test_an_unknown_center_and_an_unknown_school_go_to_a_person_and_say_why() -> None:
    there = centers(center())
    assert "not in the centers file" in way_of(there, registered(center="nowhere")).trouble
    assert "registry" in way_of(there, None).trouble
    plan = decide(Told(pressed()).life, way_of(there, None), T0, ())
    assert tells(plan) == [(Took.ESCALATED, "phone:chief")]


@pytest.mark.parametrize("how", [{"late": True}, {"at_ms": T0 - LATE_MS - 1}])
def test_a_late_press_is_never_sent_by_itself(how: dict[str, Any]) -> None:
    told = Told(pressed(**how))
    plan = told.at(T0)
    assert sends(plan) == [] and tells(plan)[0] == (Took.ESCALATED, "phone:chief")
    assert told.at(T0 + 10_000_000).sends == []


def test_a_fresh_press_in_a_late_alarm_is_sent() -> None:
    told = Told(pressed(late=True))
    told.at(T0)
    told.life.changed(pressed(number=1, at_ms=T0 + 1_000))
    assert sends(told.plan(T0 + 1_000)) == [("own", Kind.ALERT, 1)]


def test_a_late_press_is_sent_when_a_person_promotes_it() -> None:
    told = Told(pressed(late=True))
    told.person(Took.PROMOTED, T0 + 900_000)
    assert sends(told.plan(T0 + 900_000)) == [("own", Kind.ALERT, 1)]


def drill() -> AlertChanged:
    return pressed(drill=True, severity=Severity.INFO, score=0)


def test_a_drill_is_told_to_a_person_and_sent_nowhere_until_promoted() -> None:
    told = Told(drill())
    plan = told.at(T0)
    assert sends(plan) == [] and tells(plan) == [(Took.NOTIFIED, "phone:chief")]
    assert told.at(T0 + 60_000).tells == []
    told.person(Took.PROMOTED, T0 + 61_000)
    assert sends(told.plan(T0 + 61_000)) == [("own", Kind.ALERT, 1)]


def test_a_center_that_wants_drills_gets_them() -> None:
    there = center("own", "http://127.0.0.1:1/", adapter="cap", drills=True)
    assert sends(Told(drill(), of=centers(there)).plan(T0)) == [("own", Kind.ALERT, 1)]


def test_what_became_more_certain_is_said_once_more() -> None:
    told = Told(pressed())
    told.at(T0)
    told.life.changed(pressed(number=1, at_ms=T0 + 1_000, score=3))
    assert sends(told.at(T0 + 1_000)) == [("own", Kind.UPDATE, 1)]
    told.life.changed(pressed(number=2, at_ms=T0 + 2_000, score=3))
    assert sends(told.at(T0 + 2_000)) == []


def test_what_a_person_closes_as_false_is_called_off_where_it_was_told() -> None:
    told = Told(pressed())
    told.at(T0)
    told.person(Took.CLOSED, T0 + 5_000, outcome=PanicOutcome.FALSE)
    assert sends(told.at(T0 + 5_000)) == [("own", Kind.CANCEL, 1)]
    assert sends(told.at(T0 + 6_000)) == []


def test_a_device_that_cancels_calls_nothing_off() -> None:
    told = Told(pressed())
    told.at(T0)
    told.life.changed(pressed(number=1, at_ms=T0 + 1_000, note="cancelled event-1"))
    assert told.plan(T0 + 1_000).sends == []


def test_a_press_after_a_close_is_sent_again_as_another_message() -> None:
    told = Told(pressed())
    first = told.at(T0).sends[0]
    told.person(Took.CLOSED, T0 + 5_000, outcome=PanicOutcome.REAL)
    assert told.plan(T0 + 5_000).sends == []
    told.life.changed(pressed(number=1, at_ms=T0 + 6_000))
    [again] = told.at(T0 + 6_000).sends
    assert again.kind is Kind.ALERT and again.message != first.message


def test_a_canary_is_never_sent_nor_told() -> None:
    plan = decide(Told(pressed("KZ-00-90001")).life, way_of(centers(center()), None), T0, ())
    assert (plan.sends, plan.tells) == ([], [])


def test_pauses_grow_to_five_seconds() -> None:
    assert [pause_ms(n, 2) for n in range(1, 15, 2)] == [0] * 7
    assert [pause_ms(n, 2) for n in range(2, 16, 2)] == [250, 500, 1000, 2000, 4000, 5000, 5000]


RESULTS = st.lists(
    st.tuples(st.integers(1, 20_000), st.sampled_from([Took.FAILED, Took.DELIVERED, None])),
    min_size=1,
    max_size=20,
)


@given(RESULTS)
def test_whatever_the_receivers_do_the_alert_is_told_or_people_are(
    drawn: list[tuple[int, Took | None]],
) -> None:
    """And once a receiver has acknowledged, nothing more is sent."""
    told, at_ms = Told(pressed()), T0
    made: list[Send] = []
    delivered = False
    for pause, result in drawn:
        plan = told.at(at_ms, result)
        assert not (delivered and plan.sends)
        made += plan.sends
        delivered |= bool(plan.sends) and result is Took.DELIVERED
        at_ms += pause
    assert made and len({(s.center, s.message) for s in made}) == len({s.center for s in made})
    told.at(T0 + 60_000 + at_ms - T0, None)
    told_people = [s for s in told.life.steps.values() if s.step.target.startswith("phone:")]
    assert delivered or told_people


@given(RESULTS)
def test_the_next_process_comes_to_the_same_plan(drawn: list[tuple[int, Took | None]]) -> None:
    told, at_ms = Told(pressed()), T0
    for pause, result in drawn:
        told.at(at_ms, result)
        at_ms += pause
    again = Told(pressed())
    for stamped in reversed(told.life.timeline()):
        again.life.took(stamped.step, stamped.kafka_ms, stamped.offset)
    assert again.plan(at_ms) == told.plan(at_ms)
