"""Which partition judges a school: the one in which it was heard last. Pure.

When a topic gets more partitions, producers move schools to others, each by its own partitioner and not all
at the same time, and nobody says so. Only where a heartbeat is read can its partition's progress prove that
there is none. So a school goes, with all that is known of it, to where its newest heartbeat is read; until
then it is judged where it was spoken of last, or else where it was registered.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Protocol

from streams.liveness.decide import Liveness
from streams.liveness.school import Decision


class Beat(Protocol):
    """A heartbeat, as far as it matters here."""

    school: str
    device: str
    boot: int
    seq: int


@dataclass(slots=True)
class Places:
    """``owned``: by partition. ``elsewhere``: what is known of the schools that other workers judge."""

    owned: Mapping[int, Liveness]
    elsewhere: Liveness

    def of(self, partition: int) -> Liveness:
        """Who judges in this partition."""
        return self.owned.get(partition, self.elsewhere)

    def holder(self, school: str, partition: int) -> Liveness:
        """Who judges this school, or would if it was heard in this partition."""
        for liveness in (*self.owned.values(), self.elsewhere):
            if school in liveness.schools:
                return liveness
        return self.of(partition)

    def heard(self, beat: Beat, here: Liveness, kafka_ms: int) -> list[Decision] | None:
        """A heartbeat was read here of a school that is not judged here: it comes, unless the heartbeat
        is no news. What follows tells another worker that it is ours now; None when it stays away.
        """
        school = beat.school
        there = next((it for it in self.owned.values() if school in it.schools), self.elsewhere)
        its = there.schools.get(school)
        if its is None:
            return []
        device = its.devices.get(beat.device)
        if device is not None and not device.is_news(beat.boot, beat.seq):
            return None
        if max((d.new_ms for d in its.devices.values()), default=0) > kafka_ms:
            return None
        here.adopt(there.release(school))
        if there is self.elsewhere:
            return here.claim(school)
        # What a former owner left open is not known yet to whom nothing was proven since the restore.
        return here.review(school) if there.is_restored else []

    def claimed(self, school: str, partition: int) -> None:
        """Another worker speaks of this school, in a partition that is not ours."""
        if partition in self.owned:
            return
        for liveness in self.owned.values():
            if school in liveness.schools:
                self.elsewhere.adopt(liveness.release(school))
