"""What an operator may do now, and who is told that somebody was first."""

import itertools
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dashboards.console.access import Person, Role
from dashboards.console.actions import ByPeople, DrillWish, Refused, Wish, decide, drill
from dashboards.console.picture import Picture
from schemas.alerts import Action, AlertKind, Severity
from schemas.events import EVENT
from schemas.ids import uuid7
from schemas.steps import PanicOutcome, StepTaken, Took
from tests.dashboards.console.records import NOW_MS, SCHOOL, acted, alert

OPERATOR = Person("aigerim", "Aigerim", Role.OPERATOR)
OTHER = Person("bolat", "Bolat", Role.OPERATOR)
SUPERVISOR = Person("saule", "Saule", Role.SUPERVISOR)
_ids = itertools.count()


class Table:
    """One alert, and what is done about it as Kafka would have it."""

    def __init__(self, **fields: Any) -> None:
        self.picture = Picture()
        self.picture.alert(alert(**fields), NOW_MS)
        self.offset = 0

    @property
    def shown(self) -> dict[str, Any]:
        return self.picture.held["a1"].shown

    def wish(self, took: ByPeople, person: Person = OPERATOR, **fields: Any) -> StepTaken | Refused:
        seen = fields.pop("seen", self.shown["seen"])
        wish = Wish(took=took, seen=seen, **fields)
        decided = decide(self.shown, wish, person, NOW_MS, f"step-{next(_ids):08}")
        if isinstance(decided, StepTaken):
            self.takes(decided)
        return decided

    def takes(self, taken: StepTaken) -> None:
        self.offset += 1
        self.picture.step(taken, NOW_MS + self.offset, self.offset)


def refused(decided: StepTaken | Refused) -> Refused:
    assert isinstance(decided, Refused)
    return decided


def test_a_panic_goes_from_press_to_close() -> None:
    table = Table()
    for took, state in (
        ("acknowledged", "acknowledged"),
        ("dispatched", "dispatched"),
        ("arrived", "arrived"),
    ):
        assert isinstance(table.wish(took), StepTaken)  # type: ignore[arg-type]
        assert table.shown["state"] == state
    assert isinstance(table.wish("closed", outcome=PanicOutcome.REAL), StepTaken)
    assert (table.shown["state"], table.shown["outcome"]) == ("closed", "real")
    assert table.shown["closed_by"] == "aigerim"
    assert [s["took"] for s in table.shown["timeline"]] == [
        *("acknowledged", "dispatched", "arrived", "closed")
    ]
    assert table.picture.snapshot()["panics"] == []
    assert [a["id"] for a in table.picture.snapshot()["recent"]] == ["a1"]


def test_the_second_of_two_who_acknowledge_is_told_who_was_first() -> None:
    table = Table()
    table.wish("acknowledged", OPERATOR, seen=0)
    answer = refused(table.wish("acknowledged", OTHER, seen=0))
    assert (answer.status, answer.by, answer.took) == (409, "aigerim", "acknowledged")
    assert answer.ms == NOW_MS + 1


def test_who_has_not_seen_the_last_act_decides_again() -> None:
    table = Table()
    table.wish("dispatched", OPERATOR, seen=0)
    answer = refused(table.wish("closed", OTHER, seen=0, outcome=PanicOutcome.FALSE))
    assert (answer.status, answer.by, answer.took) == (409, "aigerim", "dispatched")
    assert table.shown["state"] == "dispatched"


def test_machines_do_not_make_operators_collide() -> None:
    table = Table()
    table.takes(acted(Took.DELIVERED, "saqshy:dispatch", target="almaty"))
    assert isinstance(table.wish("acknowledged", seen=0), StepTaken)
    assert table.shown["delivered_to"] == ["almaty"]


def test_notes_of_two_never_collide() -> None:
    table = Table()
    table.wish("noted", OPERATOR, seen=0, note="called the school")
    assert isinstance(table.wish("noted", OTHER, seen=0, note="no answer"), StepTaken)


@pytest.mark.parametrize("kind", [AlertKind.PANIC, AlertKind.PANIC_BLIND])
def test_a_panic_is_never_silenced(kind: AlertKind) -> None:
    answer = refused(Table(kind=kind).wish("silenced", until_ms=NOW_MS + 1_000))
    assert (answer.status, answer.error) == (
        409,
        "a panic is never silenced: acknowledge it, or close it",
    )


@pytest.mark.parametrize("until_ms", [0, NOW_MS, NOW_MS + 25 * 3_600_000])
def test_a_silence_has_an_end_that_is_near(until_ms: int) -> None:
    table = Table(kind=AlertKind.SCHOOL_OFFLINE, severity=Severity.WARNING)
    assert refused(table.wish("silenced", until_ms=until_ms)).status == 422
    assert isinstance(table.wish("silenced", until_ms=NOW_MS + 1_000), StepTaken)


def test_a_panic_is_not_closed_without_saying_what_it_was() -> None:
    assert refused(Table().wish("closed")).status == 422


def test_only_a_supervisor_promotes_and_only_a_drill() -> None:
    table = Table(drill=True, severity=Severity.INFO)
    assert refused(table.wish("promoted", OPERATOR)).status == 403
    assert isinstance(table.wish("promoted", SUPERVISOR), StepTaken)
    assert (table.shown["drill"], table.shown["severity"]) == (False, "panic")
    assert refused(Table().wish("promoted", SUPERVISOR)).status == 409


@pytest.mark.parametrize("role", [Role.VIEWER, Role.ENGINEER, Role.MACHINE])
def test_who_only_looks_on_takes_no_step(role: Role) -> None:
    assert refused(Table().wish("noted", Person("x", "X", role), note="n")).status == 403


def test_a_closed_alert_is_opened_again_by_a_person_or_a_press() -> None:
    table = Table()
    assert refused(table.wish("reopened")).status == 409
    table.wish("closed", outcome=PanicOutcome.FALSE)
    assert refused(table.wish("dispatched")).by == "aigerim"
    table.wish("reopened")
    assert table.shown["state"] == "open"
    table.wish("closed", outcome=PanicOutcome.FALSE)
    late = alert(number=1, action=Action.UPDATED, decided_ms=NOW_MS + 60_000)
    table.picture.alert(late, NOW_MS)
    assert table.shown["state"] == "open"
    assert isinstance(table.wish("acknowledged"), StepTaken)


def test_who_closes_what_was_pressed_again_meanwhile_looks_again() -> None:
    table = Table()
    table.picture.alert(alert(number=1, action=Action.UPDATED, event="press-2"), NOW_MS)
    assert refused(table.wish("closed", number=0, outcome=PanicOutcome.FALSE)).status == 409
    assert table.shown["state"] == "open"
    closed = table.wish("closed", number=1, outcome=PanicOutcome.FALSE)
    assert isinstance(closed, StepTaken) and closed.upto == 1


def test_a_press_that_kafka_has_before_the_close_but_nobody_saw_stays_open() -> None:
    table = Table()
    closed = table.wish("closed", number=0, outcome=PanicOutcome.FALSE)
    assert isinstance(closed, StepTaken) and table.shown["state"] == "closed"
    unseen = alert(number=1, action=Action.UPDATED, event="press-2", decided_ms=NOW_MS)
    table.picture.alert(unseen, NOW_MS + 100)
    assert table.shown["state"] == "open"


def test_nobody_has_seen_what_is_yet_to_come() -> None:
    table = Table()
    closed = table.wish("closed", number=900, outcome=PanicOutcome.FALSE)
    assert isinstance(closed, StepTaken) and closed.upto == 0


@given(st.data())
def test_no_order_of_wishes_makes_two_people_have_done_the_same(data: st.DataObject) -> None:
    """And none keeps the alert from being shown: open, or over and opened by the next press."""
    table = Table()
    kinds = ["acknowledged", "dispatched", "arrived", "closed", "reopened", "noted"]
    for _ in range(data.draw(st.integers(1, 12))):
        took: Any = data.draw(st.sampled_from(kinds))
        seen = data.draw(st.integers(0, table.shown["seen"]))
        person = data.draw(st.sampled_from([OPERATOR, OTHER, SUPERVISOR]))
        before = table.shown
        decided = table.wish(took, person, seen=seen, note="n", outcome=PanicOutcome.FALSE)
        if isinstance(decided, StepTaken) and took in ("acknowledged", "dispatched", "arrived"):
            assert before[f"{took}_ms"] == 0
        if isinstance(decided, StepTaken) and took != "noted":
            assert seen == before["seen"]
    press = alert(number=1, action=Action.UPDATED, decided_ms=NOW_MS + 60_000)
    table.picture.alert(press, NOW_MS)
    assert "a1" in table.picture.panics


def test_a_declared_drill_is_an_event_that_the_lanes_can_read() -> None:
    wish = DrillWish(school=SCHOOL, starts_ms=NOW_MS, lasting_s=600)
    declared = drill(wish, SUPERVISOR, NOW_MS, uuid7(NOW_MS), 1, 1)
    assert EVENT.validate_json(declared.model_dump_json()) == declared
    assert declared.supervisor == "saule"
