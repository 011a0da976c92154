"""Kafka's clock, as far as a worker can tell it from the records that it is handed."""

from typing import Final

BUCKET_S: Final = 60.0
STEP_S: Final = 1.0


class KafkaClock:
    """Never ahead of the broker's clock by more than the two drift within two minutes.

    A record reaches us after the broker stamped it. So the smallest difference between our
    monotonic clock and a stamp, of those seen lately, is the best guess at how far the clocks are
    apart, and errs to the safe side: while we lag, Kafka's time seems earlier than it is. The wall
    clock counts only until the first record, and may step.
    """

    def __init__(self, wall_s: float, monotonic_s: float) -> None:
        self._ahead_ms = (monotonic_s - wall_s) * 1000
        self._before_ms: float | None = None
        self._current_ms: float | None = None
        self._bucket_s = monotonic_s
        self._wall_ahead_s = wall_s - monotonic_s
        self._trusted_from_s = wall_s

    def observe(self, stamp_ms: int, monotonic_s: float) -> None:
        """A record with this stamp was handed to us just now."""
        ahead_ms = monotonic_s * 1000 - stamp_ms
        if monotonic_s - self._bucket_s > BUCKET_S:
            self._before_ms, self._current_ms = self._current_ms, None
            self._bucket_s = monotonic_s
        self._current_ms = ahead_ms if self._current_ms is None else min(self._current_ms, ahead_ms)
        self._ahead_ms = (
            self._current_ms if self._before_ms is None else min(self._before_ms, self._current_ms)
        )

    def now_ms(self, monotonic_s: float) -> int:
        """Kafka's time now, rather too early than too late."""
        return int(monotonic_s * 1000 - self._ahead_ms)

    def at_ms(self, wall_then_s: float, wall_s: float, monotonic_s: float) -> int | None:
        """Kafka's time at an earlier moment by the wall clock; None when that has stepped since."""
        ahead_s = wall_s - monotonic_s
        if abs(ahead_s - self._wall_ahead_s) > STEP_S:
            self._trusted_from_s = wall_s
        self._wall_ahead_s = ahead_s
        if not self._trusted_from_s <= wall_then_s <= wall_s:
            return None
        return self.now_ms(monotonic_s) - int((wall_s - wall_then_s) * 1000)
