"""How long to wait before a crashed part is started again."""

import random
from typing import Final

FIRST_S: Final = 0.2
LONGEST_S: Final = 15.0
HEALTHY_AFTER_S: Final = 30.0


def backoff_s(crashes: int, rng: random.Random) -> float:
    """Doubles per crash in a row, with half of it random, so that parts don't return in step.

    The first restart is quick: a killed panic worker should be back before anybody notices.
    """
    longest = min(LONGEST_S, FIRST_S * 2.0 ** max(0, min(crashes, 16) - 1))
    return longest * (0.5 + 0.5 * rng.random())


def crashes_in_a_row(before: int, lived_s: float) -> int:
    """A part that lived long enough starts counting anew."""
    return 1 if lived_s >= HEALTHY_AFTER_S else before + 1
