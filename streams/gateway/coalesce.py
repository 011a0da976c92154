"""Which presses of one device go to Kafka each, and for which an earlier one speaks. Pure, clock injected.

A button that is stuck, or a stolen key, may press thousands of times a second. Nothing of that is
refused, but only so much is written: BURST at once, then one every two seconds. A press beyond that is
*coalesced* when a written press of the same device said the same into the same alarm, which is open. So
what must be heard always is: the first press of a device in an alarm, its first under duress, its first
that could not be read or that could, a new place (some a minute), whatever comes when no alarm is
open, or when an operator has closed it. And the last one that was coalesced is written as soon as its
device may again: what was said last is heard within LATEST_WITHIN_S, whatever the gateway knew.
"""

from collections import OrderedDict
from collections.abc import Hashable
from dataclasses import dataclass, field
from typing import Final, Generic, TypeVar

BURST: Final = 30
"""Written presses of one device at once, and new places beside them."""
PER_S: Final = 0.5
"""And for long: 30 a minute."""
LATEST_WITHIN_S: Final = 1 / PER_S
REMEMBERED: Final = 20_000
"""Devices that pressed lately."""
ALARMS: Final = 4
"""Of one device: a real one and a drill's, and what they were before."""
PLACES: Final = 64
PACE_S: Final = 0.02
"""One answer after the other, so fifty a second at most are worked for."""
LONGEST_PAUSE_S: Final = 10.0

C = TypeVar("C")
"""What carries a written press, for who waits for it."""


@dataclass(frozen=True, slots=True)
class Said:
    """What of a press must be heard. ``alarm``: the id of the open alarm that it joins, if there is one.
    ``closed``: a person has closed that alarm since the last press."""

    alarm: str | None
    closed: bool = False
    late: bool = False
    unidentified: bool = False
    duress: bool = False
    place: str = ""
    repeat: bool = False

    @property
    def grade(self) -> tuple[bool, bool, bool]:
        return self.late, self.unidentified, self.duress


@dataclass(slots=True)
class _Alarm(Generic[C]):
    """What one device's written presses said into an alarm, and what carries the last of each."""

    grades: dict[tuple[bool, bool, bool], C] = field(default_factory=dict)
    places: OrderedDict[str, C] = field(default_factory=OrderedDict)


@dataclass(slots=True)
class _Tokens:
    left: float = BURST
    at_s: float = 0.0

    def earn(self, now_s: float) -> None:
        self.left = min(self.left + max(now_s - self.at_s, 0.0) * PER_S, BURST)
        self.at_s = now_s

    def take(self, now_s: float) -> bool:
        self.earn(now_s)
        if self.left < 1:
            return False
        self.left -= 1
        return True


@dataclass(slots=True)
class _Flow(Generic[C]):
    writes: _Tokens
    news: _Tokens
    alarms: OrderedDict[str, _Alarm[C]] = field(default_factory=OrderedDict)
    last: C | None = None
    answer_s: float = 0.0


class Coalescing(Generic[C]):
    """What each device said lately."""

    def __init__(self) -> None:
        self._flows: OrderedDict[Hashable, _Flow[C]] = OrderedDict()

    def carrier(self, device: Hashable, said: Said | None, now_s: float) -> C | None:
        """What carries this press already; None when it is to be written. ``said`` None: it raises
        nothing, as a test or a cancel."""
        flow = self._flow(device, now_s)
        if flow.writes.take(now_s):
            return None
        if said is None or said.repeat:
            return flow.last
        if said.alarm is None or said.closed:
            return None
        alarm = flow.alarms.get(said.alarm)
        if alarm is None or said.grade not in alarm.grades:
            return None
        if said.place not in alarm.places and flow.news.take(now_s):
            return None
        return alarm.grades[said.grade]

    def wrote(self, device: Hashable, said: Said | None, alarm: str | None, by: C) -> None:
        """A press was written ``by`` this and joined, or opened, this alarm."""
        flow = self._flows.get(device)
        if flow is None:
            return
        flow.last = by
        if said is None or alarm is None:
            return
        there = flow.alarms.pop(alarm, None) or _Alarm()
        flow.alarms[alarm] = there
        there.grades[said.grade] = by
        there.places[said.place] = by
        if len(there.places) > PLACES:
            there.places.popitem(last=False)
        if len(flow.alarms) > ALARMS:
            flow.alarms.popitem(last=False)

    def is_mad(self, device: Hashable, now_s: float) -> bool:
        """Whether its next press may be coalesced."""
        flow = self._flows.get(device)
        if flow is None:
            return False
        flow.writes.earn(now_s)
        return flow.writes.left < 1

    def pause_s(self, device: Hashable, now_s: float) -> float:
        """How long the answer to a coalesced press waits: who waits for answers is slowed by that, and
        takes no time of others."""
        flow = self._flow(device, now_s)
        flow.answer_s = max(flow.answer_s, now_s) + PACE_S
        return min(flow.answer_s - now_s, LONGEST_PAUSE_S)

    def again_s(self, device: Hashable, now_s: float) -> float:
        """After how long its last coalesced press is written."""
        flow = self._flow(device, now_s)
        flow.writes.earn(now_s)
        return max(0.0, (1 - flow.writes.left) / PER_S)

    def _flow(self, device: Hashable, now_s: float) -> _Flow[C]:
        flow = self._flows.pop(device, None) or _Flow(_Tokens(at_s=now_s), _Tokens(at_s=now_s))
        self._flows[device] = flow
        if len(self._flows) > REMEMBERED:
            self._flows.popitem(last=False)
        return flow
