"""However transitions and steps arrive, an alert stands the same; people can't lose a press."""

from dataclasses import dataclass
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from schemas.alerts import NOTICE, Action, AlertChanged, AlertKind, Cause, Severity
from schemas.life import Life
from schemas.steps import PanicOutcome, StepTaken, Took

SCHOOL = "KZ-75-00001"
NOW_MS = 10_000


@dataclass(frozen=True)
class Said:
    step: StepTaken
    kafka_ms: int
    offset: int


def press(number: int = 0, at_ms: int = 1_000, **fields: Any) -> AlertChanged:
    told = {
        "id": "alert-1",
        "number": number,
        "kind": AlertKind.PANIC,
        "severity": Severity.PANIC,
        "action": Action.OPENED if number == 0 else Action.UPDATED,
        "school": SCHOOL,
        "time_ms": at_ms,
        "decided_ms": at_ms,
        "event": f"press-{number}",
    }
    return AlertChanged.model_validate(told | fields)


def said(took: Took, at_ms: int, offset: int = 0, actor: str = "aigul", **fields: Any) -> Said:
    told = {
        "id": f"{took}-{actor}-{at_ms}-{offset}",
        "alert": "alert-1",
        "school": SCHOOL,
        "took": took,
        "actor": actor,
        "time_ms": at_ms,
    }
    return Said(StepTaken.model_validate(told | fields), at_ms, offset)


def life(*happened: AlertChanged | Said) -> Life:
    it = Life("alert-1")
    for one in happened:
        if isinstance(one, Said):
            it.took(one.step, one.kafka_ms, one.offset)
        else:
            it.changed(one)
    return it


def standing(it: Life) -> dict[str, Any]:
    """All that a reader can ask."""
    asked: dict[str, Any] = {
        "open": it.open,
        "closed": it.closed,
        "outcome": it.outcome,
        "drill": it.drill,
        "raised": it.raised_ms,
        "score": it.score,
        "assigned": it.assigned_to,
        "delivered": it.delivered_to(),
        "silenced": [it.silenced(at_ms) for at_ms in (0, 50, 100, NOW_MS)],
        "timeline": it.timeline(),
        "by": {took: (it.by(took), it.first_ms(took)) for took in Took},
    }
    if it.transitions:
        asked["severity"] = it.severity
        asked["first"], asked["last"] = it.first, it.last
    return asked


TIMES = st.integers(0, 100)


@st.composite
def transitions(draw: st.DrawFn) -> AlertChanged:
    number = draw(st.integers(0, 4))
    action = Action.OPENED if number == 0 else draw(st.sampled_from(list(Action)))
    return press(
        number,
        draw(TIMES),
        action=action,
        severity=draw(st.sampled_from(list(Severity))),
        drill=draw(st.booleans()),
        note=draw(st.sampled_from(["", "late", "cancelled press-0", "отменено"])),
        cause=draw(st.sampled_from(list(Cause))),
        score=draw(st.none() | st.integers(0, 4)),
    )


@st.composite
def steps(draw: st.DrawFn) -> list[Said]:
    """A partition's steps: offsets and Kafka's stamps grow together. Ids repeat now and then."""
    stamps = sorted(draw(st.lists(TIMES, max_size=8)))
    return [
        said(
            draw(st.sampled_from(list(Took))),
            at_ms,
            offset,
            draw(st.sampled_from(["aigul", "berik"])),
            id=f"step-000{draw(st.integers(0, 9))}",
            until_ms=draw(TIMES),
            target=draw(st.sampled_from(["", "center-1"])),
            score=draw(st.none() | st.integers(0, 4)),
            outcome=draw(st.sampled_from(list(PanicOutcome))),
        )
        for offset, at_ms in enumerate(stamps)
    ]


@given(st.lists(transitions(), max_size=6), steps(), st.data())
def test_the_order_of_arrival_never_matters(
    changed: list[AlertChanged], taken: list[Said], data: st.DataObject
) -> None:
    happened: list[AlertChanged | Said] = [*changed, *taken]
    arrived = data.draw(st.permutations(happened))
    again = data.draw(st.lists(st.sampled_from(happened), max_size=4)) if happened else []
    assert standing(life(*arrived, *again)) == standing(life(*happened))


@given(steps(), TIMES)
def test_a_press_after_a_close_reopens(taken: list[Said], at_ms: int) -> None:
    closing = said(Took.CLOSED, at_ms, 100, id="the-close", outcome=PanicOutcome.FALSE)
    again = press(1, at_ms)
    it = life(press(at_ms=0), *(s for s in taken if s.kafka_ms <= at_ms), closing, again)
    assert it.open
    assert it.first_ms(Took.ACKNOWLEDGED) == 0  # whoever had it before must take it again


@given(steps(), st.lists(transitions(), max_size=5))
def test_a_panic_cannot_be_silenced(taken: list[Said], changed: list[AlertChanged]) -> None:
    real = press(9, severity=Severity.PANIC)
    it = life(*changed, real, *taken)
    assert it.severity is Severity.PANIC
    assert not any(it.silenced(at_ms) for at_ms in range(0, 101, 10))


@given(steps())
def test_a_school_that_could_not_press_cannot_be_silenced(taken: list[Said]) -> None:
    it = life(press(kind=AlertKind.PANIC_BLIND, severity=Severity.CRITICAL), *taken)
    assert not any(it.silenced(at_ms) for at_ms in range(0, 101, 10))


@given(st.permutations(["aigul", "berik", "dana"]), st.sampled_from([1_500, 2_000]), st.data())
def test_of_several_who_act_at_once_the_first_in_kafka_did(
    who: list[str], step_ms: int, data: st.DataObject
) -> None:
    taken = [
        said(took, 2_000 if step_ms == 2_000 else 2_000 + offset, 3 * kind + offset, actor)
        for kind, took in enumerate((Took.ACKNOWLEDGED, Took.CLOSED))
        for offset, actor in enumerate(who)
    ]
    it = life(*data.draw(st.permutations([press(), *taken])))
    assert it.by(Took.ACKNOWLEDGED) == who[0]
    assert it.closed is not None and it.closed.actor == who[0]
    assert len(it.timeline()) == 6  # nobody's act is lost


def test_who_closes_second_does_not_take_the_acknowledgement_away() -> None:
    it = life(
        press(),
        said(Took.ACKNOWLEDGED, 2_000, 0, "aigul"),
        said(Took.CLOSED, 3_000, 1, "aigul", outcome=PanicOutcome.REAL),
        said(Took.CLOSED, 3_001, 2, "berik", outcome=PanicOutcome.FALSE),
    )
    assert it.outcome is PanicOutcome.REAL
    assert it.by(Took.ACKNOWLEDGED) == "aigul"


def test_a_person_reopens_and_it_can_be_closed_anew() -> None:
    happened = [press(), said(Took.CLOSED, 2_000, 0), said(Took.REOPENED, 3_000, 1, "berik")]
    assert life(*happened).open
    assert not life(*happened, said(Took.CLOSED, 4_000, 2)).open


def test_a_cancel_neither_reopens_nor_closes() -> None:
    cancel = press(1, 3_000, note="cancelled press-0")
    assert life(press(), cancel).open
    assert not life(press(), said(Took.CLOSED, 2_000), cancel).open


OLD_CANCEL = b"""{"type":"alert.changed","id":"alert-1","number":1,"kind":"panic","severity":"panic",
"action":"updated","school":"KZ-75-00042","device":"button-3","time_ms":3000,"decided_ms":3000,"count":1,
"event":"cancel-1","unidentified":false,"actor":"","note":"cancelled press-0","late":false,"duress":false,
"drill":false,"score":1,"why":["one press"],"scope":"","members":[],"outage":"","place":""}"""
"""As Kafka has it from before there was a cause."""


def test_a_cancel_of_before_is_told_by_its_note() -> None:
    cancel = NOTICE.validate_json(OLD_CANCEL)
    assert isinstance(cancel, AlertChanged) and cancel.cause is Cause.UNSAID and cancel.cancels
    assert not life(press(), said(Took.CLOSED, 2_000), cancel).open
    pressed = cancel.model_copy(update={"note": "late"})
    assert not pressed.cancels
    assert life(press(), said(Took.CLOSED, 2_000), pressed).open


def judged(it: Life) -> dict[str, Any]:
    """All that a reader can ask but the transitions as they were written."""
    asked = standing(it) | {"causes": [t.number for t in it.causes()]}
    return {name: answer for name, answer in asked.items() if name not in ("first", "last")}


NUMBERED = st.lists(transitions(), max_size=5, unique_by=lambda t: t.number)


def of_before(new: AlertChanged) -> AlertChanged:
    """The same transition as it was written until there was a cause."""
    note = "cancelled press-0" if new.cancels else "late"
    return new.model_copy(update={"note": note, "cause": Cause.UNSAID})


@given(NUMBERED, steps())
def test_the_fold_of_old_records_is_that_of_the_new_ones(
    changed: list[AlertChanged], taken: list[Said]
) -> None:
    assert judged(life(*map(of_before, changed), *taken)) == judged(life(*changed, *taken))


@given(NUMBERED, steps(), st.data())
def test_no_wording_of_a_note_changes_how_an_alert_stands(
    changed: list[AlertChanged], taken: list[Said], data: st.DataObject
) -> None:
    typed = [t.model_copy(update={"cause": t.cause or Cause.PRESS}) for t in changed]
    notes = st.sampled_from(["", "cancelled press-0", "отменено кнопкой", "late, cancelled "])
    reworded = [t.model_copy(update={"note": data.draw(notes)}) for t in typed]
    assert judged(life(*reworded, *taken)) == judged(life(*typed, *taken))


def test_a_second_reopening_forgets_nothing_done_since_the_first() -> None:
    it = life(
        press(),
        said(Took.CLOSED, 2_000, 0),
        said(Took.REOPENED, 3_000, 1),
        said(Took.ACKNOWLEDGED, 3_500, 2, "dana"),
        said(Took.REOPENED, 4_000, 3, "berik"),
    )
    assert it.by(Took.ACKNOWLEDGED) == "dana"


@given(steps())
def test_a_drill_stays_one_until_it_is_promoted_or_somebody_presses_outside_it(
    taken: list[Said],
) -> None:
    drill = press(drill=True, severity=Severity.INFO)
    promoted = any(s.step.took is Took.PROMOTED for s in life(drill, *taken).timeline())
    assert life(drill, *taken).drill is not promoted
    outside = life(drill, press(1, 2_000), *taken)
    assert not outside.drill
    assert outside.severity is Severity.PANIC


@given(steps())
def test_promoting_makes_it_a_panic_at_once_and_for_good(taken: list[Said]) -> None:
    it = life(
        press(drill=True, severity=Severity.INFO),
        *taken,
        said(Took.PROMOTED, 50, 100, id="promoted"),
    )
    assert it.severity is Severity.PANIC
    assert not it.drill


@pytest.mark.parametrize("until_ms", [0, 9_000])
def test_the_last_word_on_a_silence_counts(until_ms: int) -> None:
    it = life(
        press(kind=AlertKind.SCHOOL_OFFLINE, severity=Severity.WARNING),
        said(Took.SILENCED, 2_000, 0, until_ms=60_000),
        said(Took.SILENCED, 3_000, 1, until_ms=until_ms),
    )
    assert not it.silenced(9_500)
    assert it.silenced(8_000) is (until_ms > 8_000)


def test_steps_that_come_before_what_they_are_about_wait_for_it() -> None:
    it = life(said(Took.ACKNOWLEDGED, 2_000))
    assert not it.open and not it.silenced(NOW_MS)
    it.changed(press())
    assert it.open
    assert it.by(Took.ACKNOWLEDGED) == "aigul"


@given(st.integers(0, 3))
def test_what_the_lane_resolves_is_over(number: int) -> None:
    it = life(
        *(press(n, kind=AlertKind.SCHOOL_OFFLINE) for n in range(number + 1)),
        press(number + 1, kind=AlertKind.SCHOOL_OFFLINE, action=Action.RESOLVED),
    )
    assert not it.open


@st.composite
def steps_that_say_what_was_seen(draw: st.DrawFn) -> list[Said]:
    taken = draw(steps())
    seen = draw(st.lists(st.none() | st.integers(0, 4), min_size=len(taken), max_size=len(taken)))
    return [
        Said(s.step.model_copy(update={"upto": upto}), s.kafka_ms, s.offset)
        for s, upto in zip(taken, seen, strict=True)
    ]


@given(st.lists(transitions(), max_size=6), steps_that_say_what_was_seen(), st.data())
def test_nor_does_it_where_people_say_what_they_had_seen(
    changed: list[AlertChanged], taken: list[Said], data: st.DataObject
) -> None:
    arrived = data.draw(st.permutations([*changed, *taken]))
    assert standing(life(*arrived)) == standing(life(*changed, *taken))


@given(steps_that_say_what_was_seen(), TIMES)
def test_a_press_that_nobody_had_seen_is_closed_by_nobody(taken: list[Said], at_ms: int) -> None:
    blind = [s for s in taken if (s.kafka_ms <= at_ms if s.step.upto is None else s.step.upto < 7)]
    closing = said(Took.CLOSED, at_ms, 100, id="the-close", upto=6)
    unseen = press(7, at_ms)
    it = life(press(at_ms=0), *blind, closing, unseen)
    assert it.open
    assert it.first_ms(Took.ACKNOWLEDGED) == 0


def test_who_closes_closes_no_press_that_came_while_the_close_waited_for_kafka() -> None:
    kept = said(Took.CLOSED, 90_000, outcome=PanicOutcome.FALSE, upto=0)
    answered = said(Took.ACKNOWLEDGED, 90_000, 1, upto=0)
    it = life(press(), press(1, 60_000), kept, answered)
    assert it.open
    assert it.causes() == [press(1, 60_000)]
    assert it.by(Took.ACKNOWLEDGED) == ""
    assert it.since_ms == 90_000


def test_who_had_seen_a_press_before_kafka_had_it_closes_it() -> None:
    told = said(Took.CLOSED, 2_000, outcome=PanicOutcome.FALSE, upto=1)
    assert not life(press(), told, press(1, 3_000)).open
    assert life(press(), told, press(1, 3_000), press(2, 3_000)).open


@given(st.permutations([press(score=1), press(1, 2_000, score=2)]), st.integers(0, 3))
def test_the_score_is_the_same_in_whatever_order_presses_and_evidence_came(
    presses: list[AlertChanged], kinds: int
) -> None:
    found = [
        said(Took.VERIFIED, 1_500 + n, n, "saqshy:verify", target=f"kind-{n}") for n in range(kinds)
    ]
    again = [said(Took.VERIFIED, 5_000, 9, "saqshy:verify", target="kind-0")] if kinds else []
    it = life(*found, *presses, *again)
    assert it.score == min(4, 2 + kinds)
