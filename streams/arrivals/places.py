"""Which partition judges a school's arrivals: the one in which its last pass was read. Pure.

As in streams.liveness.places: partitions that are added move schools to others.
"""

from collections.abc import Mapping
from dataclasses import dataclass

from streams.arrivals.decide import Arrivals
from streams.arrivals.school import School


@dataclass(slots=True)
class Places:
    """``owned``: by partition. ``elsewhere``: the schools of which no pass was read here."""

    owned: Mapping[int, Arrivals]
    elsewhere: Arrivals

    def holder(self, school: str, partition: int) -> Arrivals:
        """Who judges this school, or would if a pass of it was read in this partition."""
        for arrivals in (*self.owned.values(), self.elsewhere):
            if school in arrivals.schools:
                return arrivals
        return self.owned.get(partition, self.elsewhere)

    def seen(self, school: str, here: Arrivals, stamp_ms: int) -> School | None:
        """A pass was read here of a school that is not judged here: it comes, unless its last pass was
        read elsewhere and later. None for a school that does not come, or that nobody knows.
        """
        for there in (*self.owned.values(), self.elsewhere):
            its = there.schools.get(school)
            if its is not None and its.last_ms <= stamp_ms:
                here.adopt(there.schools.pop(school))
                return its
        return None
