"""When may a device be silent? Planned work, and the hours in which turnstiles have no power. Pure."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date
from typing import Final

from schemas.events import SchoolRegistered, Shift

DAY_MS: Final = 86_400_000
LOCAL_MS: Final = 5 * 3_600_000
"""The whole country is on UTC+5 since March 2024, without summer time."""
POWERED_AROUND_MS: Final = 3_600_000
"""Turnstiles have power from so long before the first bell until so long after the last one."""
TURNSTILE: Final = "turnstile"
SUNDAY: Final = 6
MOST_DAYS_OFF: Final = 400
_THURSDAY: Final = 3  # 1970-01-01

Span = tuple[int, int]


@dataclass(frozen=True, slots=True)
class Calendar:
    """Of one school. ``works``: planned work, [start, end) in Kafka time and the devices, empty for all.

    ``powered``: ms after local midnight between which turnstiles are expected; None for always.
    ``days_off``: local days since 1970, both ends included.
    """

    works: tuple[tuple[int, int, frozenset[str]], ...] = ()
    powered: Span | None = None
    days_off: tuple[Span, ...] = ()

    def excused_until_ms(self, name: str, kind: str, at_ms: int) -> int:
        """When the span around this moment ends in which it may be silent; 0 when it may not."""
        end_ms = at_ms
        while True:
            further_ms = max(
                (end for start, end in self._works(name) if start <= end_ms < end), default=0
            )
            further_ms = max(further_ms, self._power_back_ms(kind, end_ms))
            if further_ms <= end_ms or end_ms - at_ms > MOST_DAYS_OFF * DAY_MS:
                return end_ms if end_ms > at_ms else 0
            end_ms = further_ms

    def judged_from_ms(self, name: str, kind: str, at_ms: int) -> int:
        """When the last such span before this moment ended; 0 for never."""
        ended_ms = max((end for _, end in self._works(name) if end <= at_ms), default=0)
        if kind == TURNSTILE and self.powered is not None:
            day, in_day_ms = divmod(at_ms + LOCAL_MS, DAY_MS)
            if in_day_ms >= self.powered[0] and not self._is_off(day):
                ended_ms = max(ended_ms, day * DAY_MS - LOCAL_MS + self.powered[0])
        return ended_ms

    def excused_from_ms(self, name: str, kind: str, after_ms: int) -> int:
        """The first moment from this one on at which it may be silent; 0 for none that is known."""
        if self.excused_until_ms(name, kind, after_ms):
            return after_ms
        starts = [start for start, end in self._works(name) if after_ms < start < end]
        if kind == TURNSTILE and self.powered is not None:
            day = (after_ms + LOCAL_MS) // DAY_MS
            starts.append(day * DAY_MS - LOCAL_MS + self.powered[1])
        return min(starts, default=0)

    def _works(self, name: str) -> Iterator[Span]:
        return (
            (start, end) for start, end, devices in self.works if not devices or name in devices
        )

    def _power_back_ms(self, kind: str, at_ms: int) -> int:
        """When the power comes on again; 0 while it is on."""
        if kind != TURNSTILE or self.powered is None:
            return 0
        on_ms, off_ms = self.powered
        day, in_day_ms = divmod(at_ms + LOCAL_MS, DAY_MS)
        if on_ms <= in_day_ms < off_ms and not self._is_off(day):
            return 0
        if in_day_ms >= on_ms:
            day += 1
        last = day + MOST_DAYS_OFF
        while self._is_off(day) and day < last:
            day += 1
        return day * DAY_MS - LOCAL_MS + on_ms

    def _is_off(self, day: int) -> bool:
        return (day + _THURSDAY) % 7 == SUNDAY or any(a <= day <= b for a, b in self.days_off)


ALWAYS: Final = Calendar()
"""Of a school of which the registry tells nothing: everything is expected day and night."""


def calendar_of(school: SchoolRegistered) -> Calendar:
    return Calendar(
        works=tuple((m.starts_ms, m.ends_ms, frozenset(m.devices)) for m in school.maintenance),
        powered=_powered(school.shifts),
        days_off=tuple((_day(off.first), _day(off.last)) for off in school.days_off),
    )


def _powered(shifts: list[Shift]) -> Span:
    bells = [_ms(bell) for shift in shifts for bell in shift.bells]
    return max(0, min(bells) - POWERED_AROUND_MS), min(DAY_MS, max(bells) + POWERED_AROUND_MS)


def _ms(bell: str) -> int:
    hours, minutes = bell.split(":")
    return (int(hours) * 60 + int(minutes)) * 60_000


def _day(of: date) -> int:
    return of.toordinal() - date(1970, 1, 1).toordinal()
