"""When most schools fall silent at once while our own evidence is impaired, it is likely us. Pure."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Final

from schemas.alerts import Action, AlertChanged, AlertKind, Severity, alert_id

MASS_FALL_SHARE: Final = 0.2
MASS_FALL_SCHOOLS: Final = 10
"""Fewer schools than this are never a mass fall, however few are watched."""
STUCK_AFTER_S: Final = 15.0
SETTLED_AFTER_S: Final = 30.0
GAP_COUNTS_MS: Final = 60_000
CANARY_MISSES: Final = 2
CANARY_LOST_MS: Final = 60_000
"""A canary that is missing for so long is said, though no school fell."""
CANARY_HOLDS_MS: Final = 300_000
"""A canary that is missing for longer holds nothing back any more: rather the watchdog died."""
SCOPE: Final = "liveness"


@dataclass(slots=True)
class Evidence:
    """Of one partition: would its schools be heard if they spoke? Seconds are monotonic."""

    assigned_s: float
    moved_s: float
    moved_to_ms: int = 0

    def moved(self, proven_ms: int, now_s: float) -> None:
        if proven_ms != self.moved_to_ms:
            self.moved_to_ms, self.moved_s = proven_ms, now_s

    def trouble(
        self, now_s: float, gap_ms: int, canary_ms: int, canary_period_ms: int, grace_ms: int
    ) -> str:
        """What is wrong with it; empty for nothing. Without canaries (0), progress must do.

        A fresh canary came all the way, gateway and broker, so that a fall of any size is real.
        """
        if now_s - self.moved_s > STUCK_AFTER_S:
            return "no progress"
        if canary_ms:
            missing_ms = self.moved_to_ms - canary_ms
            if missing_ms <= CANARY_MISSES * canary_period_ms + grace_ms:
                return ""
            if missing_ms <= CANARY_HOLDS_MS:
                return "canaries missing"
        if now_s - self.assigned_s < SETTLED_AFTER_S:
            return "just taken over"
        if gap_ms and self.moved_to_ms - gap_ms < GAP_COUNTS_MS:
            return "unread for a while"
        return ""

    def has_lost_canary(self, canary_ms: int) -> bool:
        return bool(canary_ms) and self.moved_to_ms - canary_ms > CANARY_LOST_MS


def in_words(troubles: Mapping[int, str]) -> list[str]:
    """By partition, as a person reads them."""
    return [
        f"{what}: partitions {', '.join(str(n) for n in sorted(troubles) if troubles[n] == what)}"
        for what in sorted(set(troubles.values()))
    ]


def uneven(counts: Mapping[str, int], known: int) -> str:
    """By topic, what the broker says now; ``known`` partitions of heartbeats are judged."""
    by_topic = ", ".join(f"{topic} {count}" for topic, count in sorted(counts.items()))
    return f"the numbers of partitions differ ({by_topic}; read: {known})"


@dataclass(slots=True)
class Guard:
    """Of one worker. With healthy evidence a fall of any size is real, and is published."""

    _open: AlertChanged | None = None
    _holding: bool = False

    @property
    def opened_ms(self) -> int:
        """When the alert that is open was opened, 0 for none: a successor must know of it."""
        return self._open.time_ms if self._open is not None else 0

    def restore(self, opened_ms: Iterable[int]) -> None:
        """Alerts that a former owner left open; the last counts, it was opened once."""
        last_ms = max(opened_ms, default=0)
        if last_ms and self._open is None:
            self._open = _opened(last_ms, "")
            self._holding = True

    def holds(self, falling: int, standing: int, troubles: list[str]) -> bool:
        """Whether nothing may be judged now where there is trouble.

        ``standing``: schools that were not offline before, the falling ones among them. Once held,
        it holds until the trouble is over: schools return one by one, and those that are still to
        be heard would be judged as soon as they are too few for a mass fall.
        """
        mass = falling >= MASS_FALL_SCHOOLS and falling > MASS_FALL_SHARE * standing
        self._holding = bool(troubles) and (self._holding or mass)
        return self._holding

    def say(
        self, impaired: bool, falling: int, troubles: list[str], kafka_ms: int
    ) -> AlertChanged | None:
        """The alert's next transition, if there is one."""
        if impaired and self._open is None:
            note = f"{falling} schools seem silent, but {'; '.join(troubles)}"
            self._open = _opened(kafka_ms, note)
            return self._open
        if self._open is not None and not impaired:
            resolved, self._open = self._open.resolved(kafka_ms), None
            return resolved
        return None


def _opened(at_ms: int, note: str) -> AlertChanged:
    return AlertChanged(
        id=alert_id(AlertKind.MONITORING_IMPAIRED, SCOPE, at_ms),
        number=0,
        kind=AlertKind.MONITORING_IMPAIRED,
        severity=Severity.CRITICAL,
        action=Action.OPENED,
        school="",
        time_ms=at_ms,
        decided_ms=at_ms,
        note=note,
    )
