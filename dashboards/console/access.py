"""Who may see and do what: role x place x class of data. Pure."""

from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Final

from dashboards.console.picture import Sees, everything
from schemas.steps import Took


class Role(StrEnum):
    """``machine``: our own readers of the stream. They see alerts and do nothing. ``wall``: a screen that
    everybody sees (dashboards.console.walls): of an alert no more than where, what and since when.
    """

    VIEWER = "viewer"
    OPERATOR = "operator"
    SUPERVISOR = "supervisor"
    ENGINEER = "engineer"
    MACHINE = "machine"
    WALL = "wall"


class Data(StrEnum):
    """Classes of data. ``people``: who is inside, and when they came. ``notes``: what operators
    wrote. ``reports``: texts and pseudonyms of reports. ``audit``: who saw and did what. ``contacts``:
    names and telephone numbers of a school's people.
    """

    ALERTS = "alerts"
    DEVICES = "devices"
    PEOPLE = "people"
    SECURITY = "security"
    NOTES = "notes"
    REPORTS = "reports"
    AUDIT = "audit"
    CONTACTS = "contacts"


class Act(StrEnum):
    STEP = "step"
    DRILL = "drill"
    SHIFT = "shift"
    REVIEW = "review"


_OPERATOR_SEES: Final = frozenset(Data) - {Data.AUDIT}
SEES: Final[dict[Role, frozenset[Data]]] = {
    Role.VIEWER: frozenset({Data.ALERTS, Data.DEVICES}),
    Role.OPERATOR: _OPERATOR_SEES,
    Role.SUPERVISOR: frozenset(Data),
    Role.ENGINEER: frozenset({Data.ALERTS, Data.DEVICES}),
    Role.MACHINE: frozenset({Data.ALERTS, Data.DEVICES}),
    Role.WALL: frozenset({Data.ALERTS}),
}
DOES: Final[dict[Role, frozenset[Act]]] = {
    Role.VIEWER: frozenset(),
    Role.OPERATOR: frozenset({Act.STEP, Act.SHIFT}),
    Role.SUPERVISOR: frozenset(Act),
    Role.ENGINEER: frozenset(),
    Role.MACHINE: frozenset(),
    Role.WALL: frozenset(),
}
# Drills and their end need one who answers for it.
SUPERVISED: Final = frozenset({Took.PROMOTED})
WHOLE_COUNTRY: Final = "*"


@dataclass(frozen=True, slots=True)
class Person:
    """Somebody who is signed in. ``places``: regions (KZ-75), centers, or ``*`` for the country."""

    login: str
    name: str
    role: Role
    places: tuple[str, ...] = (WHOLE_COUNTRY,)

    def sees_data(self, data: Data) -> bool:
        return data in SEES[self.role]

    def does(self, act: Act) -> bool:
        return act in DOES[self.role]

    def place_of(self, schools: dict[str, dict[str, Any]]) -> Sees:
        """Which schools are this person's.

        A school that is in no registry belongs to nobody's place, so everybody sees it: a panic
        that could not be read whole must not fall between two places.
        """
        if WHOLE_COUNTRY in self.places:
            return everything
        places = set(self.places) - {""}  # many schools have no center

        def sees(school: str) -> bool:
            known = schools.get(school)
            return known is None or known["region"] in places or known["center"] in places

        return sees

    def told(self) -> dict[str, Any]:
        """What the page needs to know of who looks at it."""
        return {
            "login": self.login,
            "name": self.name,
            "role": self.role.value,
            "places": list(self.places),
            "does": sorted(DOES[self.role]),
            "sees": sorted(SEES[self.role]),
        }


@dataclass(frozen=True, slots=True)
class Eyes:
    """Through which a stream is seen. ``wall``: nothing of people, for whoever stands before it may read.
    ``places``: who has the same sees the same. ``ended``: the name of the last event, once there is nothing
    to see any more; empty until then.
    """

    sees: Sees = everything
    notes: bool = True
    wall: bool = False
    places: tuple[str, ...] = (WHOLE_COUNTRY,)
    numbers: bool = True
    ended: Callable[[], str] = lambda: ""


EVERYBODY: Final = Eyes()
