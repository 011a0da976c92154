"""The two clocks of this machine, injected so that a test can move them."""

import time
from collections.abc import Callable
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Clock:
    """``wall_s``: seconds since 1970, may step. ``monotonic_s``: seconds from any moment on, never steps."""

    wall_s: Callable[[], float] = time.time
    monotonic_s: Callable[[], float] = time.monotonic

    @property
    def wall_ms(self) -> int:
        return int(self.wall_s() * 1000)


MACHINE = Clock()
