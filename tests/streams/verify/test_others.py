"""What the others make of a step of verify: more certain, and nobody's acknowledgement."""

from dashboards.console.standing import standing
from schemas.life import Life
from schemas.steps import StepTaken, Took
from streams.dispatch.alarm import alarm_of
from streams.dispatch.decide import Kind as Message
from streams.notify.asking import ATTENDED
from streams.verify.decide import Found, Kind, weigh
from tests.streams.dispatch.stories import T0, center, centers, pressed
from tests.streams.dispatch.test_decide import Told, sends, tells


def verified(life: Life, at_ms: int) -> StepTaken:
    (step,) = weigh(life, [Found(Kind.REPORTS, "reports of danger: fewer than 5")], at_ms)
    return step


def test_the_center_is_told_once_more_that_it_is_more_certain() -> None:
    told = Told(pressed())
    told.at(T0)
    told.take(verified(told.life, T0 + 1_000), T0 + 1_000)
    planned = told.at(T0 + 1_100)
    assert sends(planned) == [("own", Message.UPDATE, 1)]
    alarm = alarm_of(told.life, planned.sends[0], None, 1, T0 + 1_100)
    assert alarm.why == ("one press", "reports of danger: fewer than 5; score 2, was 1")
    assert sends(told.at(T0 + 1_200)) == []


def test_what_a_person_wrote_goes_to_no_center() -> None:
    told = Told(pressed())
    told.person(Took.VERIFIED, T0, note="the teacher's name", score=2)
    (send,) = told.plan(T0 + 1).sends
    assert alarm_of(told.life, send, None, 1, T0 + 1).why == ("one press",)


def test_a_held_alarm_is_sent_at_once_and_never_later() -> None:
    told = Told(pressed(), of=centers(center(hold_s=30)))
    assert sends(told.plan(T0 + 1_000)) == []
    told.take(verified(told.life, T0 + 1_000), T0 + 1_000)
    assert sends(told.plan(T0 + 1_100)) == [("own", Message.ALERT, 1)]


def test_it_ends_no_escalation() -> None:
    told = Told(pressed())
    told.at(T0, Took.FAILED)
    told.take(verified(told.life, T0 + 1_000), T0 + 1_000)
    assert (Took.ESCALATED, "center:other") in tells(told.at(T0 + 15_100, Took.FAILED))
    assert Took.VERIFIED not in ATTENDED


def test_the_console_shows_it_and_counts_it_as_nobodys_act() -> None:
    life = Life(pressed().id)
    life.changed(pressed())
    before = standing(life, T0)
    life.took(verified(life, T0 + 1_000), T0 + 1_000, 0)
    after = standing(life, T0)
    assert (before["score"], after["score"]) == (1, 2)
    (line,) = after["timeline"]
    assert (line["took"], line["actor"]) == ("verified", "saqshy:verify")
    assert "score 2, was 1" in line["note"]
    same = ("seen", "state", "acknowledged_by", "acknowledged_ms", "closed_by")
    assert [before[key] for key in same] == [after[key] for key in same]
