"""A permission is a role, a place and a class of data."""

from typing import Any

import pytest

from dashboards.console.access import Act, Data, Person, Role
from dashboards.console.standing import standing, without_notes
from schemas.life import Life
from schemas.steps import Took
from tests.dashboards.console.records import NOW_MS, acted, alert

SCHOOLS: dict[str, dict[str, Any]] = {
    "KZ-75-00001": {"region": "KZ-75", "center": "almaty"},
    "KZ-19-00001": {"region": "KZ-19", "center": "almaty"},
    "KZ-10-00001": {"region": "KZ-10", "center": ""},
}


@pytest.mark.parametrize("role", [Role.ENGINEER, Role.VIEWER, Role.MACHINE])
def test_who_only_keeps_it_running_reads_nothing_of_people(role: Role) -> None:
    person = Person("e", "E", role)
    assert not any(person.sees_data(d) for d in (Data.PEOPLE, Data.NOTES, Data.REPORTS, Data.AUDIT))
    assert not any(person.does(act) for act in Act)


def test_only_a_supervisor_reviews_and_declares_drills() -> None:
    roles = {role for role in Role if Person("p", "P", role).does(Act.REVIEW)}
    assert roles == {role for role in Role if Person("p", "P", role).does(Act.DRILL)}
    assert roles == {Role.SUPERVISOR}


@pytest.mark.parametrize(
    ("places", "seen"),
    [
        (("*",), {"KZ-75-00001", "KZ-19-00001", "KZ-10-00001"}),
        (("KZ-75",), {"KZ-75-00001"}),
        (("almaty",), {"KZ-75-00001", "KZ-19-00001"}),
        (("KZ-10", "KZ-19"), {"KZ-19-00001", "KZ-10-00001"}),
        (("",), set()),
        ((), set()),
    ],
)
def test_a_person_sees_the_schools_of_their_regions_and_centers(
    places: tuple[str, ...], seen: set[str]
) -> None:
    sees = Person("p", "P", Role.OPERATOR, places).place_of(SCHOOLS)
    assert {school for school in SCHOOLS if sees(school)} == seen


def test_a_panic_of_no_known_school_is_everybody_s() -> None:
    assert Person("p", "P", Role.OPERATOR, ("KZ-75",)).place_of(SCHOOLS)("unknown")


def test_what_people_wrote_is_left_out_and_what_was_done_stays() -> None:
    life = Life("a1")
    life.changed(alert(note="called by the director"))
    life.took(acted(Took.NOTED, note="his phone is 555"), NOW_MS, 1)
    shown = without_notes(standing(life, NOW_MS))
    assert "555" not in str(shown)
    assert "director" not in str(shown)
    assert [s["took"] for s in shown["timeline"]] == ["noted"]
