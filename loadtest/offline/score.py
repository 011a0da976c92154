"""Pages against the truth. Pure."""

from bisect import bisect_right
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np

from loadtest.offline.trace import PERIOD_MS, Cut

MUST_BE_FOUND: Final = 5 * PERIOD_MS
MAY_BE_FOUND: Final = 3 * PERIOD_MS
AFTER_MS: Final = 5_000 + 2 * PERIOD_MS
"""A page may come so long after a cut: the next heartbeat is not due at once."""


@dataclass(frozen=True, slots=True)
class Score:
    """``delays_ms``: from the first swallowed heartbeat to the page, of cuts that must be found.

    ``false``: pages of schools whose uplink was not cut for two periods or more.
    """

    delays_ms: list[int]
    pages: int
    right: int
    false: int
    missed: int
    cuts: int

    def as_json(self) -> dict[str, Any]:
        return {
            "pages": self.pages,
            "precision": round(self.right / self.pages, 6) if self.pages else None,
            "recall": round(1 - self.missed / self.cuts, 6) if self.cuts else None,
            "false_pages": self.false,
            "missed": self.missed,
            "detect_p50_s": _percentile(self.delays_ms, 50),
            "detect_p99_s": _percentile(self.delays_ms, 99),
        }


def score(
    pages: Sequence[tuple[int, int]],
    cuts: Sequence[Sequence[Cut]],
    onsets: Mapping[tuple[int, Cut], int],
) -> Score:
    """``pages``: (school, when). The first page of a cut counts for its detection, each as a page."""
    first: dict[tuple[int, Cut], int] = {}
    right = 0
    for school, at_ms in sorted(pages, key=lambda page: page[1]):
        cut = _cut_at(cuts[school], at_ms)
        if cut is not None and cut.end_ms - cut.start_ms >= MAY_BE_FOUND - PERIOD_MS:
            right += 1
            first.setdefault((school, cut), at_ms)
    wanted = [
        (school, cut)
        for school, its in enumerate(cuts)
        for cut in its
        if cut.end_ms - cut.start_ms > MUST_BE_FOUND and (school, cut) in onsets
    ]
    delays = [first[one] - onsets[one] for one in wanted if one in first]
    return Score(
        delays, len(pages), right, len(pages) - right, len(wanted) - len(delays), len(wanted)
    )


def merged(scores: Sequence[Score]) -> Score:
    return Score(
        [delay for one in scores for delay in one.delays_ms],
        *(
            sum(getattr(one, name) for one in scores)
            for name in ("pages", "right", "false", "missed", "cuts")
        ),
    )


def _cut_at(cuts: Sequence[Cut], at_ms: int) -> Cut | None:
    number = bisect_right(cuts, at_ms, key=lambda cut: cut.start_ms) - 1
    if number < 0 or at_ms > cuts[number].end_ms + AFTER_MS:
        return None
    return cuts[number]


def periods(delays_ms: Sequence[int], percent: float, period_ms: int = PERIOD_MS) -> float | None:
    if not delays_ms:
        return None
    return round(float(np.percentile(delays_ms, percent)) / period_ms, 3)


def _percentile(delays_ms: Sequence[int], percent: float) -> float | None:
    return round(float(np.percentile(delays_ms, percent)) / 1000, 1) if delays_ms else None
