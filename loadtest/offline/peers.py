"""How others who watch for silence would have judged the same heartbeats. Pure.

Each is a rule on the time since the last heartbeat, looked at every so often, as its documentation
describes it. They are judged on the gaps between arrivals, which is all that they see.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Final, NamedTuple


class Gap(NamedTuple):
    """No heartbeat of this school arrived in (after_ms, before_ms)."""

    school: int
    after_ms: int
    before_ms: int


@dataclass(frozen=True, slots=True)
class Rule:
    """Silent for ``timeout_s``, seen at the next look, paged if it still is after ``wait_s``."""

    name: str
    timeout_s: float
    look_s: float
    wait_s: float = 0.0

    def pages(self, gaps: Iterable[Gap]) -> list[tuple[int, int]]:
        """(school, when) of each page."""
        found = []
        for gap in gaps:
            at_ms = gap.after_ms + self.timeout_s * 1000
            at_ms += -at_ms % (self.look_s * 1000) + self.wait_s * 1000
            if at_ms < gap.before_ms:
                found.append((gap.school, int(at_ms)))
        return found


PEERS: Final[Sequence[Rule]] = (
    Rule("ThingsBoard, defaults: inactive after 600 s, looked at every 60 s", 600, 60),
    Rule("fixed timeout of 3 P as in ThingsBoard, looked at every 10 s", 45, 10),
    Rule("healthchecks.io, the shortest it allows: period 60 s + grace 60 s", 120, 2),
    Rule("period + grace as in healthchecks.io, P + 2 P", 45, 2),
    Rule("Alertmanager: absent_over_time 45 s, evaluated every 15 s, group_wait 30 s", 45, 15, 30),
    Rule("Alertmanager: absent_over_time 45 s, evaluated every 60 s, group_wait 30 s", 45, 60, 30),
)
