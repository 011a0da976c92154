"""Who may be asked to act: of those whom the console knows, who share a place. Pure."""

from collections.abc import Iterable
from typing import Any

from dashboards.console.access import WHOLE_COUNTRY, Act, Person


def colleagues(
    person: Person, people: Iterable[Person], schools: dict[str, dict[str, Any]]
) -> list[Person]:
    """Who may act, too, on a school of this person's; and this person."""
    others = [one for one in people if one.does(Act.STEP) and one.login != person.login]
    if WHOLE_COUNTRY in person.places:
        return [person, *others]
    mine = set(person.places) - {""}
    near = set(mine)
    for school in schools.values():
        if mine & (of := {school["region"], school["center"]}):
            near |= of
    near = near - {""} | {WHOLE_COUNTRY}
    return [person, *(one for one in others if near & set(one.places))]
