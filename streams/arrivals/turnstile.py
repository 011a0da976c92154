"""Does a turnstile let through what none can? Pure.

A pass tells direction, outcome and card, and nothing of the arms or the doors: whoever walks through
an open turnstile without a card leaves no pass at all, and is not found here. What can be seen:

- more people granted one way in each of RATE_MINUTES minutes in a row than fit through one lane, or
- one card granted the same way RUN times in a row, each within STEADY_MS of the one before.

A refusal shows that it still shuts: it ends both at once. Only live passes count, each once: a buffer
that is drained has the stamps of its draining.
"""

from dataclasses import dataclass
from typing import Final

from schemas.alerts import AlertChanged

MINUTE_MS: Final = 60_000
MOST_PER_MINUTE: Final = 60
"""Tripod turnstiles are rated at about 30 persons a minute by card, 60 when left open."""
RATE_MINUTES: Final = 3
RUN: Final = 30
STEADY_MS: Final = 10_000
LIVE_MS: Final = 60_000
CALM_MINUTES: Final = 3
"""So many minutes in a row with passes and without either: it is shut again."""


@dataclass(slots=True)
class Turnstile:
    """``ins`` and ``outs``: granted in the minute that began at ``minute_ms``.

    ``over``: minutes in a row with too many, the last of them ``over_ms``. ``run``: the same card
    the same way in a row, since ``run_ms``; ``longest``: in this minute.
    """

    boot: int = -1
    seq: int = -1
    minute_ms: int = -1
    ins: int = 0
    outs: int = 0
    over: int = 0
    over_ms: int = 0
    card: str = ""
    direction: str = ""
    last_ms: int = 0
    run: int = 0
    run_ms: int = 0
    longest: int = 0
    calm: int = 0
    stuck: AlertChanged | None = None

    def granted(self, direction: str, card: str, stamp_ms: int) -> bool:
        """Somebody went through; whether one card has done so too often by now."""
        if direction == "in":
            self.ins += 1
        else:
            self.outs += 1
        if (
            card == self.card
            and direction == self.direction
            and stamp_ms - self.last_ms <= STEADY_MS
        ):
            self.run += 1
            if self.run > self.longest:
                self.longest = self.run
        else:
            self.card, self.direction = card, direction
            self.run, self.run_ms = 1, stamp_ms
        self.last_ms = stamp_ms
        return self.run >= RUN

    def refused(self) -> None:
        self.over = self.run = self.longest = self.ins = self.outs = 0
        self.card = ""

    def close(self) -> None:
        """The minute is over in which it was heard."""
        if max(self.ins, self.outs) > MOST_PER_MINUTE:
            self.over = self.over + 1 if self.over_ms == self.minute_ms - MINUTE_MS else 1
            self.over_ms = self.minute_ms
            self.calm = 0
        else:
            self.over = 0
            self.calm = self.calm + 1 if self.longest < RUN else 0
        self.ins = self.outs = self.longest = 0
