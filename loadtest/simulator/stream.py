"""What every source of events yields, and the open-loop schedule that it follows."""

import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass, field
from typing import Any

from loadtest.simulator.encode import Record

Pace = Callable[[int], int]
"""Called with the moment at which the next batch is due (ms since 1970). Returns, no earlier than
that, what the clock says: ``lambda due_ms: due_ms`` never waits and is never late."""


@dataclass(frozen=True, slots=True)
class Truth:
    """What was really wrong, from when to when (event time), for scoring what was decided."""

    kind: str
    start_ms: int
    end_ms: int
    school: str = ""
    device: str = ""
    provider: str = ""
    region: str = ""
    skew_ms: int = 0

    def as_json(self) -> dict[str, Any]:
        return asdict(self)


@dataclass(frozen=True, slots=True)
class Batch:
    """Records in the order in which they leave; ``truth`` is what begins with them."""

    records: list[Record]
    truth: tuple[Truth, ...] = ()


Batches = Iterator[Batch]


def wall_clock_ms() -> int:
    return time.time_ns() // 1_000_000


@dataclass(slots=True)
class OpenLoop:
    """A pace that waits for the schedule and never moves it: lateness is measured, not hidden."""

    stop: threading.Event = field(default_factory=threading.Event)
    clock: Callable[[], int] = wall_clock_ms
    behind_ms: int = 0
    max_behind_ms: int = 0

    def __call__(self, due_ms: int) -> int:
        now_ms = self.clock()
        while now_ms < due_ms and not self.stop.wait((due_ms - now_ms) / 1000):
            now_ms = self.clock()
        self.behind_ms = max(0, now_ms - due_ms)
        self.max_behind_ms = max(self.max_behind_ms, self.behind_ms)
        return now_ms
