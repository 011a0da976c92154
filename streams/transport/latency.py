"""How long records wait from the broker's stamp until they are handled, as a histogram of the last minute."""

import math
from typing import Final

SLOT_S: Final = 10
SLOTS: Final = 6
GROWTH: Final = 1.25
"""Each bucket ends so much later than the one before, so a quantile is at most a quarter too large."""
BUCKETS: Final = 80
"""The last one begins at 1.25^78 ms, half a day."""


class Latency:
    """Counts by batch: all of its records are taken to be as old as its oldest, so that a quantile is
    never too small and an event costs nothing. One thread writes; others may read.
    """

    def __init__(self) -> None:
        self._slots: dict[int, list[int]] = {}

    def handled(self, oldest_ms: float, records: int, now_s: float) -> None:
        """A batch of ``records`` was finished at ``now_s``, its oldest stamped by the broker at
        ``oldest_ms``. Times are of the wall clock.
        """
        slot = int(now_s // SLOT_S)
        if slot not in self._slots:  # replaced as a whole: a reader may be at it
            recent = {at: counts for at, counts in self._slots.items() if at > slot - SLOTS}
            self._slots = {**recent, slot: [0] * BUCKETS}
        self._slots[slot][_bucket(now_s * 1000 - oldest_ms)] += records

    def quantile_s(self, share: float, now_s: float) -> float | None:
        """What ``share`` of the last minute's records did not exceed; None when there were none."""
        newest = int(now_s // SLOT_S)
        recent = [counts for at, counts in self._slots.items() if newest - SLOTS < at <= newest]
        summed = [sum(column) for column in zip(*recent, strict=True)]
        wanted, seen = share * sum(summed), 0
        for place, count in enumerate(summed):
            seen += count
            if count and seen >= wanted:
                return float(GROWTH**place / 1000)
        return None


def _bucket(wait_ms: float) -> int:
    """The first bucket whose end, 1.25^k ms, is not before ``wait_ms``."""
    if wait_ms <= 1:  # also when our clock is behind the broker's
        return 0
    return min(math.ceil(math.log(wait_ms, GROWTH)), BUCKETS - 1)
