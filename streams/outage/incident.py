"""An open outage, and the silences of which one may be made. Pure."""

from dataclasses import dataclass, field
from typing import Final, NamedTuple

CLEARED_MS: Final = 60_000
"""Most are back, and so long nobody more came back: the rest is silent for reasons of its own."""


class Silence(NamedTuple):
    """``decided_ms``: its deadline. ``kafka_ms``: when we were told."""

    decided_ms: int
    school: str
    since_ms: int
    kafka_ms: int


@dataclass(slots=True)
class Incident:
    """One open outage. ``silent``: the members that are not back. ``named``: how many were said.

    ``update_ms``: when those who joined are said, 0 when nobody did.
    """

    id: str
    scope: str
    time_ms: int
    opened_ms: int
    number: int
    members: set[str]
    silent: set[str]
    named: int
    burst_ms: list[int] = field(default_factory=list)
    update_ms: int = 0
    returned_ms: int = 0

    def cleared_ms(self) -> int:
        """When it is over, by what is known now; 0 while it isn't."""
        if not self.silent:
            return max(self.returned_ms, self.opened_ms)
        if 2 * len(self.silent) > len(self.members):
            return 0
        return self.returned_ms + CLEARED_MS
