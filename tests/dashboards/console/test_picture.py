"""The picture tells the same whatever the order, the repetition and the moment a browser comes."""

import itertools
from collections import Counter
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dashboards.console.picture import (
    KEPT_CHANGES,
    KEPT_OVER_MS,
    KEPT_TRANSITIONS,
    Change,
    Picture,
)
from dashboards.console.standing import standing
from loadtest.simulator.country import country
from loadtest.simulator.encode import Encoder, registry
from loadtest.simulator.fleet import Fleet
from schemas.alerts import Action, AlertChanged, AlertKind, Status, StatusChanged
from schemas.events import SchoolRegistered
from schemas.life import Life
from schemas.steps import PanicOutcome, Took
from schemas.topics import REGISTRY
from tests.dashboards.console.records import NOW_MS, SCHOOL, acted, alert, registered, status

SCHOOLS = [
    registered(value)
    for topic, _, value, _ in registry(Encoder(Fleet(country(1, 4), boot=1), 1), NOW_MS)
    if topic == REGISTRY.name
]
IDS = [event.school for event in SCHOOLS]


@st.composite
def lives(draw: st.DrawFn) -> list[AlertChanged]:
    """The transitions of a few alerts, in order."""
    said = []
    for name in draw(st.lists(st.sampled_from("abc"), min_size=1, max_size=3, unique=True)):
        kind = draw(st.sampled_from(AlertKind))
        later = draw(st.lists(st.sampled_from([Action.UPDATED]), max_size=3))
        ends = [Action.RESOLVED] if draw(st.booleans()) else []
        said += [
            alert(name, number, action, kind=kind, school=IDS[0])
            for number, action in enumerate([Action.OPENED, *later, *ends])
        ]
    return said


@st.composite
def shuffled(draw: st.DrawFn) -> tuple[list[AlertChanged], list[AlertChanged]]:
    """Lives in order, and the same in any order with some transitions twice."""
    ordered = draw(lives())
    twice = draw(st.lists(st.sampled_from(ordered), max_size=6))
    return ordered, draw(st.permutations(ordered + twice))


Step = AlertChanged | list[SchoolRegistered] | list[StatusChanged]
STATUSES = st.builds(
    status, st.sampled_from(IDS), st.sampled_from(Status), st.integers(NOW_MS, NOW_MS + 9)
)


@st.composite
def steps(draw: st.DrawFn) -> list[Step]:
    other = st.one_of(
        st.lists(st.sampled_from(SCHOOLS), min_size=1, max_size=3),
        st.lists(STATUSES, min_size=1, max_size=3),
    )
    mixed: list[Step] = [*draw(shuffled())[1], *draw(st.lists(other, max_size=6))]
    return draw(st.permutations(mixed))


def take(picture: Picture, step: Step) -> None:
    if isinstance(step, AlertChanged):
        picture.alert(step, NOW_MS)
    elif isinstance(step[0], SchoolRegistered):
        picture.registered([e for e in step if isinstance(e, SchoolRegistered)])
    else:
        picture.status([c for c in step if isinstance(c, StatusChanged)], NOW_MS)


def seen(snapshot: dict[str, Any], changes: list[Change]) -> dict[str, Any]:
    """What a browser holds, by the rules of its state.js."""
    schools = {school["id"]: dict(school) for school in snapshot["schools"]}
    alerts = {a["id"]: a for a in snapshot["panics"] + snapshot["alerts"]}
    for change in changes:
        if change.name == "schools":
            schools |= {school["id"]: dict(school) for school in change.data}
        elif change.name == "status":
            for id_, now, since_ms in change.data:
                schools[id_] |= {"status": now, "since_ms": since_ms}
        elif change.data["state"] in ("closed", "resolved"):
            alerts.pop(change.data["id"], None)
        else:
            alerts[change.data["id"]] = change.data
    return {"schools": schools, "alerts": alerts}


@given(shuffled())
def test_each_unresolved_alert_is_open_once_whatever_the_order(
    case: tuple[list[AlertChanged], list[AlertChanged]],
) -> None:
    ordered, arrived = case
    picture = Picture()
    for change in arrived:
        picture.alert(change, NOW_MS)
    newest = {change.id: change for change in ordered}
    unresolved = {id_: c for id_, c in newest.items() if c.action is not Action.RESOLVED}
    snapshot = picture.snapshot()
    shown = snapshot["panics"] + snapshot["alerts"]
    assert sorted(a["id"] for a in shown) == sorted(unresolved)
    for a in shown:
        assert a["number"] == unresolved[a["id"]].number
        assert a["opened_ms"] == NOW_MS
    assert snapshot["alerts_open"] == len(snapshot["alerts"])


@given(steps(), st.data())
def test_a_snapshot_and_what_followed_is_what_is_shown_now(
    script: list[Step], data: st.DataObject
) -> None:
    picture = Picture()
    at = data.draw(st.integers(0, len(script)))
    for step in script[:at]:
        take(picture, step)
    before = picture.snapshot()
    held = seen(before, [])  # a copy: the picture goes on
    for step in script[at:]:
        take(picture, step)
    changes = picture.since(before["last"])
    assert changes is not None
    assert [c.number for c in changes] == list(range(before["last"] + 1, picture.last + 1))
    snapshot = {
        "schools": list(held["schools"].values()),
        "panics": list(held["alerts"].values()),
        "alerts": [],
    }
    assert seen(snapshot, changes) == seen(picture.snapshot(), [])


def test_equal_transitions_of_two_workers_make_one_change() -> None:
    picture = Picture()
    for number, action in enumerate([Action.OPENED, Action.UPDATED]):
        for _ in "ab":
            picture.alert(alert(number=number, action=action), NOW_MS)
    changes = picture.since(0)
    assert changes is not None
    assert [(c.name, c.data["number"]) for c in changes] == [("panic", 0), ("panic", 1)]
    assert len(picture.snapshot()["panics"]) == 1


def test_what_is_forgotten_can_not_be_told() -> None:
    picture = Picture()
    for number in range(KEPT_CHANGES + 5):
        picture.alert(alert(f"a{number}"), NOW_MS)
    assert picture.since(0) is None
    assert picture.since(4) is None
    kept = picture.since(5)
    assert kept is not None
    assert len(kept) == KEPT_CHANGES
    assert picture.since(picture.last) == []
    assert picture.since(picture.last + 1) is None


def test_a_status_that_came_before_its_school_is_shown_with_it() -> None:
    picture = Picture()
    picture.status([status(IDS[0], Status.OFFLINE, NOW_MS + 7)], NOW_MS)
    picture.registered(SCHOOLS)
    [school] = [s for s in picture.snapshot()["schools"] if s["id"] == IDS[0]]
    assert (school["status"], school["since_ms"]) == ("offline", NOW_MS + 7)
    assert picture.counts() == {"offline": 1, "unknown": len(SCHOOLS) - 1}


def test_a_registry_record_changes_the_school_and_not_its_status() -> None:
    picture = Picture()
    picture.registered(SCHOOLS)
    picture.status([status(IDS[0], Status.ONLINE)], NOW_MS)
    picture.registered([SCHOOLS[0].model_copy(update={"pupils": 7})])
    school = picture.schools[IDS[0]]
    assert (school["pupils"], school["status"]) == (7, "online")


def test_kept_counts_are_those_of_the_schools_whatever_is_said_again() -> None:
    picture = Picture()
    picture.registered(SCHOOLS[:2])
    for id_, now in itertools.product(IDS[:3], (Status.ONLINE, Status.OFFLINE, Status.OFFLINE)):
        picture.status([status(id_, now), status(id_, now, device="button-1")], NOW_MS)
        picture.registered(SCHOOLS)
        assert picture.counts() == Counter(s["status"] for s in picture.schools.values())


def test_a_device_s_status_is_its_own() -> None:
    picture = Picture()
    picture.registered(SCHOOLS)
    last = picture.last
    picture.status([status(IDS[0], Status.OFFLINE, device="button-1")], NOW_MS)
    assert picture.devices[IDS[0]]["button-1"]["status"] == "offline"
    assert picture.schools[IDS[0]]["status"] == "unknown"
    assert picture.last == last


@pytest.mark.parametrize("passes", [0, None])
def test_numbers_are_told_when_they_change_and_not_when_only_asked_again(
    passes: int | None,
) -> None:
    picture = Picture()
    picture.counted({"passes_last_minute": passes, "at_ms": 1}, 1)
    picture.counted({"passes_last_minute": passes, "at_ms": 2}, 2)
    assert picture.last == 1
    assert picture.first_event_ms is None
    picture.counted({"passes_last_minute": 5, "at_ms": 3}, 3)
    assert picture.last == 2
    assert picture.first_event_ms == 3
    assert picture.snapshot()["numbers"] == {"passes_last_minute": 5, "at_ms": 3}


def test_panics_are_apart_from_other_alerts_newest_first() -> None:
    picture = Picture()
    picture.alert(alert("old", time_ms=NOW_MS), NOW_MS)
    picture.alert(alert("new", time_ms=NOW_MS + 1), NOW_MS)
    picture.alert(alert("offline", kind=AlertKind.SCHOOL_OFFLINE), NOW_MS)
    snapshot = picture.snapshot()
    assert [a["id"] for a in snapshot["panics"]] == ["new", "old"]
    assert [a["id"] for a in snapshot["alerts"]] == ["offline"]
    assert {a["school"] for a in snapshot["panics"]} == {SCHOOL}


# What was done about an alert


def test_the_order_in_which_topics_are_read_makes_no_difference() -> None:
    said = [alert(), alert(number=1, action=Action.UPDATED, decided_ms=NOW_MS + 5)]
    done = [(acted(Took.ACKNOWLEDGED), 10), (acted(Took.DISPATCHED, "bolat"), 11)]
    shown = []
    for alerts_first in (True, False):
        picture = Picture()
        for first in (alerts_first, not alerts_first):
            if first:
                for change in said:
                    picture.alert(change, NOW_MS)
            else:
                for taken, offset in reversed(done):
                    picture.step(taken, NOW_MS + offset, offset)
        shown.append(picture.snapshot()["panics"])
    assert shown[0] == shown[1]
    assert shown[0][0]["state"] == "dispatched"
    assert shown[0][0]["acknowledged_by"] == "aigerim"


def test_a_step_is_told_as_life_so_that_a_transition_is_told_once() -> None:
    picture = Picture()
    picture.alert(alert(), NOW_MS)
    taken = acted(Took.ACKNOWLEDGED)
    for _ in "ab":
        picture.step(taken, NOW_MS + 1, 1)
    changes = picture.since(0)
    assert changes is not None
    assert [(c.name, c.data["state"]) for c in changes] == [
        ("panic", "open"),
        ("life", "acknowledged"),
    ]


def test_what_the_gateway_said_first_is_nothing_new_from_kafka() -> None:
    picture = Picture()
    directly = alert(note="told directly", decided_ms=NOW_MS - 400)
    picture.alert(directly, NOW_MS)
    for _ in "ab":
        picture.alert(alert(), NOW_MS + 60_000)
    assert picture.last == 1
    assert picture.snapshot()["panics"][0]["note"] == "told directly"


def test_a_canary_is_never_shown() -> None:
    canary = "KZ-00-90001"
    picture = Picture()
    picture.registered([SCHOOLS[0].model_copy(update={"school": canary})])
    picture.status([status(canary, Status.OFFLINE)], NOW_MS)
    picture.alert(alert(school=canary), NOW_MS)
    picture.step(acted(Took.NOTED, school=canary), NOW_MS, 1)
    assert picture.last == 0
    assert picture.held == {}


def test_silent_devices_are_counted_as_they_come_and_go() -> None:
    picture = Picture()
    for now in (Status.ONLINE, Status.OFFLINE, Status.OFFLINE):
        picture.status([status(SCHOOL, now, device="button-1")], NOW_MS)
    picture.status([status(SCHOOL, Status.OFFLINE, device="button-2")], NOW_MS)
    assert picture.silent_devices() == 2
    assert picture.silent_devices(lambda school: school != SCHOOL) == 0
    picture.status([status(SCHOOL, Status.ONLINE, device="button-1")], NOW_MS)
    assert picture.silent_devices() == 1


def test_what_was_over_long_ago_is_forgotten_and_does_not_come_back() -> None:
    picture = Picture()
    picture.alert(alert(), NOW_MS)
    picture.step(acted(Took.CLOSED, outcome=PanicOutcome.FALSE), NOW_MS + 1, 1)
    picture.alert(alert("still open"), NOW_MS)
    later = NOW_MS + KEPT_OVER_MS
    picture.forget(later)
    assert [a["id"] for a in picture.snapshot()["recent"]] == ["a1"]
    picture.forget(later + 2)
    last = picture.last
    picture.alert(alert(), later)  # the second worker, hours late
    assert picture.last == last
    assert [a["id"] for a in picture.snapshot()["panics"]] == ["still open"]
    picture.alert(alert(number=1, action=Action.UPDATED), later)
    assert {a["id"] for a in picture.snapshot()["panics"]} == {"a1", "still open"}


@settings(deadline=None, max_examples=25)
@given(st.data())
def test_a_mad_button_costs_little_and_tells_the_same(data: st.DataObject) -> None:
    """Leaving out transitions changes nothing of how the alert stands."""
    count = KEPT_TRANSITIONS * 4
    odd = data.draw(st.lists(st.integers(1, count - 1), max_size=4))
    said = [
        alert(
            number=n,
            action=Action.UPDATED if n else Action.OPENED,
            count=n + 1,
            late=n in odd[:1],
            duress=n in odd[1:2],
            score=4 if n in odd[2:3] else 1,
            drill=n not in odd[3:4],
        )
        for n in range(count)
    ]
    closed_after = data.draw(st.integers(0, count - 1))
    close = acted(Took.CLOSED, outcome=PanicOutcome.FALSE)
    picture, life = Picture(), Life("a1")
    for change in said:
        picture.alert(change, NOW_MS)
        life.changed(change)
        if change.number == closed_after:
            picture.step(close, change.decided_ms, 1)
            life.took(close, change.decided_ms, 1)
    held = picture.held["a1"]
    assert len(held.life.transitions) <= KEPT_TRANSITIONS * 2
    assert held.shown == standing(life, NOW_MS)


def test_whom_to_call_is_said_in_the_order_of_dispatch() -> None:
    life = Life("a1")
    life.changed(alert())
    for number, target in enumerate(("center:b", "phone:duty desk", "phone:ministry")):
        life.took(acted(Took.ESCALATED, "saqshy:dispatch", target=target), NOW_MS + number, number)
    assert standing(life, NOW_MS)["call"] == ["duty desk", "ministry"]
