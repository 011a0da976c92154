"""How much one person may read at once, so that nobody slows the picture for others. Pure but for clocks."""

import time
from collections.abc import Callable, Hashable
from typing import Final

MOST_STREAMS: Final = 5
"""Of one person. With another one the oldest ends: a page that was left somewhere shuts nobody out."""
SNAPSHOTS_AT_ONCE: Final = 10
SNAPSHOT_EVERY_S: Final = 1.0
MOST_COUNTED: Final = 10_000


class Readers:
    """The open streams of each person, and how many snapshots they had of late. The clock is monotonic."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._seats: dict[Hashable, list[object]] = {}
        self._had: dict[Hashable, tuple[float, float]] = {}

    def sit(self, who: Hashable) -> object:
        """A seat for one more stream; the first of too many is lost."""
        seat = object()
        self._seats[who] = [*self._seats.get(who, []), seat][-MOST_STREAMS:]
        return seat

    def has(self, who: Hashable, seat: object) -> bool:
        return seat in self._seats.get(who, ())

    def rise(self, who: Hashable, seat: object) -> None:
        left = [kept for kept in self._seats.get(who, []) if kept is not seat]
        if left:
            self._seats[who] = left
        else:
            self._seats.pop(who, None)

    def wait_s(self, who: Hashable) -> float:
        """Before another snapshot; 0 for at once, which then counts."""
        now_s = self._clock()
        had, at_s = self._had.pop(who, (0.0, now_s))
        had = max(0.0, had - (now_s - at_s) / SNAPSHOT_EVERY_S)
        may = had + 1 <= SNAPSHOTS_AT_ONCE
        self._had[who] = (had + 1 if may else had, now_s)
        if len(self._had) > MOST_COUNTED:
            del self._had[next(iter(self._had))]
        return 0.0 if may else (had + 1 - SNAPSHOTS_AT_ONCE) * SNAPSHOT_EVERY_S
