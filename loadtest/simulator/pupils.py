"""Who goes through which turnstile when: each pupil comes once, may step out, and leaves once."""

from collections.abc import Sequence
from typing import Final

import numpy as np

from loadtest.simulator.rhythm import Classes

IN: Final = "in"
OUT: Final = "out"
WANDERING_PER_S: Final = 4e-5  # tries per pupil of any shift: 0.7 passes in a school day
WANDERING_S: Final = (8 * 3600, 18.5 * 3600)

Move = tuple[int, int, str, int]
"""(event time, device, direction, card)"""

_Through = tuple[int, int, str, int]
"""A move that has no time and no turnstile yet: (first one, how many, direction, card)"""

_CARD_ODD: Final = 0x9E3779B97F4A7C15
_MASK64: Final = (1 << 64) - 1


class Pupils:
    """Pupils of a class come in the order of their numbers and leave in it: those present are
    the numbers in [left, came)."""

    def __init__(self, groups: Classes, turnstiles: Sequence[tuple[int, int]], seed: int) -> None:
        self._groups = groups
        self._turnstiles = turnstiles
        self._rng = np.random.default_rng([seed, 9])
        self._salt = int(self._rng.integers(1 << 63))
        self._by_size = np.cumsum(groups.sizes)
        self.new_day()

    def new_day(self) -> None:
        self._came = [0] * len(self._groups.school)
        self._left = [0] * len(self._groups.school)
        self._outside: dict[int, list[int]] = {}

    def moves(self, local_s: float, start_ms: int, slice_ms: int) -> list[Move]:
        """Passes of the slice that begins at ``start_ms``, ``local_s`` after local midnight."""
        slice_s = slice_ms / 1000
        if not len(self._by_size) or not self._by_size[-1]:
            return []
        moves: list[_Through] = []
        for group in self._drawn(self._groups.arriving_per_s(local_s) * slice_s):
            number = self._came[group]
            if number < self._groups.sizes[group]:
                self._came[group] = number + 1
                moves.append(self._move(group, number, IN))
        for group in self._drawn(self._groups.leaving_per_s(local_s) * slice_s):
            number = self._left[group]
            if number < self._came[group]:
                self._left[group] = number + 1
                if not self._went_outside(group, number):
                    moves.append(self._move(group, number, OUT))
        if WANDERING_S[0] <= local_s < WANDERING_S[1]:
            wandering = self._rng.poisson(self._by_size[-1] * WANDERING_PER_S * slice_s)
            at = self._rng.random(wandering) * self._by_size[-1]
            for group in np.searchsorted(self._by_size, at, side="right").tolist():
                moves.extend(self._wander(group))
        times = self._rng.integers(start_ms, start_ms + slice_ms, size=len(moves)).tolist()
        doors = self._rng.random(len(moves)).tolist()
        return [
            (time_ms, first + int(door * count), direction, card)
            for time_ms, door, (first, count, direction, card) in zip(
                times, doors, moves, strict=True
            )
        ]

    def _drawn(self, expected: np.ndarray) -> list[int]:
        if not expected.any():
            return []
        counts = self._rng.poisson(expected)
        some = np.flatnonzero(counts)
        drawn: list[int] = np.repeat(some, counts[some]).tolist()
        return drawn

    def _move(self, group: int, number: int, direction: str) -> _Through:
        first, count = self._turnstiles[self._groups.school[group]]
        name = (group << 20 | number) + self._salt
        return first, count, direction, name * _CARD_ODD & _MASK64

    def _went_outside(self, group: int, number: int) -> bool:
        """Who leaves for the day while outside does not pass again."""
        outside = self._outside.get(group, [])
        if number not in outside:
            return False
        outside.remove(number)
        return True

    def _wander(self, group: int) -> list[_Through]:
        outside = self._outside.setdefault(group, [])
        if outside and self._rng.random() < 0.5:
            return [self._move(group, outside.pop(0), IN)]
        present = self._came[group] - self._left[group]
        if not present:
            return []
        number = self._left[group] + int(self._rng.integers(present))
        if number in outside:
            return []
        outside.append(number)
        return [self._move(group, number, OUT)]
