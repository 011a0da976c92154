"""What is known of one school's arrivals: when they are expected, and who is alive to see them. Pure."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Final

from schemas.alerts import AlertChanged, Status, StatusChanged
from schemas.events import SchoolRegistered
from streams.arrivals.turnstile import Turnstile
from streams.liveness.calendar import ALWAYS, DAY_MS, LOCAL_MS, TURNSTILE, Calendar, calendar_of

BEFORE_BELL_MS: Final = 45 * 60_000
AFTER_BELL_MS: Final = 15 * 60_000
"""The arrival rush of a shift, around its first bell."""
GRACE_MS: Final = 5 * 60_000
"""From the end of a rush to its judgement: so long may a pass be on its way."""
USUAL_LEAST: Final = 20
USUAL_DAYS: Final = 7
"""A rush is missed only where on an earlier day, at most so long ago, so many came."""
WEEKEND: Final = 5
"""From Saturday on: the registry doesn't say which schools have lessons then."""
_THURSDAY: Final = 3  # 1970-01-01
_NEVER: Final = 2**53
_ALIVE: Final = frozenset({Status.ONLINE, Status.LATE})
_REACHED: Final = frozenset({Status.ONLINE, Status.DEGRADED})


def day_of(at_ms: int) -> int:
    """Local days since 1970."""
    return (at_ms + LOCAL_MS) // DAY_MS


def start_of(day: int) -> int:
    return day * DAY_MS - LOCAL_MS


def is_weekend(day: int) -> bool:
    return (day + _THURSDAY) % 7 >= WEEKEND


def school_day_before_ms(at_ms: int) -> int:
    """Where the last day before this one began that is no weekend."""
    day = day_of(at_ms) - 1
    while is_weekend(day):
        day -= 1
    return start_of(day)


@dataclass(slots=True)
class School:
    """``bells``: the first one of each shift, ms after local midnight; ``today``: when they ring
    today, those whose rush is expected.

    ``count`` passes were seen, the last at ``last_ms``; ``began`` has the count at the begin of a
    rush, ``usual`` the last day on which enough came, both by bell.
    """

    name: str
    region: str = ""
    turnstiles: frozenset[str] = frozenset()
    calendar: Calendar = ALWAYS
    bells: tuple[int, ...] = ()
    today: tuple[int, ...] = ()
    count: int = 0
    last_ms: int = 0
    began: dict[int, int] = field(default_factory=dict)
    usual: dict[int, int] = field(default_factory=dict)
    devices: dict[str, Turnstile] = field(default_factory=dict)
    alive_from_ms: dict[str, int] = field(default_factory=dict)
    silent: AlertChanged | None = None

    def register(self, record: SchoolRegistered) -> None:
        self.region = record.region
        self.turnstiles = frozenset(d.device for d in record.devices if d.kind.value == TURNSTILE)
        self.calendar = calendar_of(record)
        self.bells = tuple(sorted({_ms(min(shift.bells)) for shift in record.shifts}))

    def status(self, said: StatusChanged) -> None:
        """The school's own (its device is empty) or a turnstile's."""
        good = _ALIVE if said.device else _REACHED
        before_ms = self.alive_from_ms.get(said.device, _NEVER)
        if said.status not in good:
            self.alive_from_ms[said.device] = _NEVER
        elif before_ms == _NEVER or said.previous not in good:
            self.alive_from_ms[said.device] = said.decided_ms

    def expects(self, bell_ms: int, devices: Iterable[str]) -> list[str]:
        """Of these devices, those that no plan excuses in the rush before this bell."""
        from_ms, until_ms = bell_ms - BEFORE_BELL_MS, bell_ms + AFTER_BELL_MS + GRACE_MS
        excused = self.calendar.excused_from_ms
        return [
            device
            for device in devices
            if (at_ms := excused(device, TURNSTILE, from_ms)) == 0 or at_ms > until_ms
        ]

    def alive(self, bell_ms: int) -> list[str]:
        """The turnstiles that were alive in the whole rush, at a school that was reached in it."""
        from_ms = bell_ms - BEFORE_BELL_MS
        since_ms = self.alive_from_ms.get
        if since_ms("", _NEVER) > from_ms:
            return []
        there = [d for d in self.turnstiles if since_ms(d, _NEVER) <= from_ms]
        return self.expects(bell_ms, there)

    def is_accustomed(self, bell_ms: int) -> bool:
        """Whether of late, today included, enough people came by this bell."""
        day = day_of(bell_ms)
        return 0 <= day - self.usual.get(bell_ms - start_of(day), 0) <= USUAL_DAYS


def _ms(bell: str) -> int:
    hours, minutes = bell.split(":")
    return (int(hours) * 60 + int(minutes)) * 60_000
