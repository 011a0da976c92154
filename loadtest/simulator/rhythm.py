"""When pupils come and go, relative to the bells."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np

from loadtest.simulator.country import School

BEFORE_S: Final = 2 * 3600  # the tables reach this far before the bell, and as far behind it
ARRIVAL_MEDIAN_S: Final = 10 * 60
ARRIVAL_SIGMA: Final = 0.7
LATEST_S: Final = 3 * 60  # the hindmost come this long after the bell
DEPARTURE_MEDIAN_S: Final = 6 * 60
DEPARTURE_SIGMA: Final = 0.6
LESSON_S: Final = 52 * 60
LESSONS_LESS: Final = (0.45, 0.35, 0.20)  # share of pupils with none, one and two fewer lessons


def _lognormal_density(t_s: np.ndarray, median_s: float, sigma: float) -> np.ndarray:
    """Per second; zero where ``t_s`` is not positive."""
    safe = np.maximum(t_s, 1e-9)
    z = (np.log(safe) - np.log(median_s)) / sigma
    density: np.ndarray = np.exp(-z * z / 2) / (safe * sigma * np.sqrt(2 * np.pi))
    return np.where(t_s > 0, density, 0.0)


def _closed(density: np.ndarray) -> np.ndarray:
    """As a share per second that adds up to one and is zero at both ends."""
    density[0] = density[-1] = 0.0
    share: np.ndarray = density / density.sum()
    return share


_OFFSETS: Final = np.arange(-BEFORE_S, BEFORE_S + 1, dtype=float)
ARRIVING: Final = _closed(
    _lognormal_density(LATEST_S - _OFFSETS, ARRIVAL_MEDIAN_S + LATEST_S, ARRIVAL_SIGMA)
)
LEAVING: Final = _closed(
    sum(
        (
            share * _lognormal_density(_OFFSETS + n * LESSON_S, DEPARTURE_MEDIAN_S, DEPARTURE_SIGMA)
            for n, share in enumerate(LESSONS_LESS)
        ),
        start=np.zeros_like(_OFFSETS),
    )
)


@dataclass(frozen=True, slots=True)
class Classes:
    """The shifts of all schools that have turnstiles, side by side.

    ``sizes``: pupils with a card. ``begins_s`` and ``ends_s``: seconds after local midnight.
    """

    school: list[int]
    sizes: np.ndarray
    begins_s: np.ndarray
    ends_s: np.ndarray

    def arriving_per_s(self, local_s: float) -> np.ndarray:
        """Expected arrivals per second and shift at this second of the local day."""
        expected: np.ndarray = self.sizes * _at(ARRIVING, local_s - self.begins_s)
        return expected

    def leaving_per_s(self, local_s: float) -> np.ndarray:
        expected: np.ndarray = self.sizes * _at(LEAVING, local_s - self.ends_s)
        return expected


def classes(schools: Sequence[School], cards: float) -> Classes:
    """``cards`` is the share of pupils who carry one."""
    rows = [
        (s, int(school.pupils * cards / len(school.shifts)), _second(bells[0]), _second(bells[-1]))
        for s, school in enumerate(schools)
        if school.turnstiles
        for bells in school.shifts
    ]
    return Classes(
        [row[0] for row in rows],
        np.array([row[1] for row in rows], dtype=float),
        np.array([row[2] for row in rows], dtype=float),
        np.array([row[3] for row in rows], dtype=float),
    )


def _at(table: np.ndarray, offset_s: np.ndarray) -> np.ndarray:
    places = np.clip(offset_s + BEFORE_S, 0, len(table) - 1).astype(np.int64)
    found: np.ndarray = table[places]
    return found


def _second(bell: str) -> int:
    return int(bell[:2]) * 3600 + int(bell[3:]) * 60
