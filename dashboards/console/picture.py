"""What the console shows, as state. Pure: records in, changes out, each with a growing number.

Two panic workers say every transition; the first of equal (id, number) counts, the second is nothing.
"""

from collections import Counter, deque
from dataclasses import dataclass, field
from itertools import islice
from typing import Any, Final

from schemas.alerts import Action, AlertChanged, AlertKind, Status, StatusChanged
from schemas.events import SchoolRegistered

KEPT_CHANGES: Final = 20_000
SHOWN_ALERTS: Final = 200


@dataclass(frozen=True, slots=True)
class Change:
    """``name`` is the event's name on the stream."""

    number: int
    name: str
    data: Any


@dataclass(slots=True)
class Picture:
    """``first_event_ms``: the server's clock at the first status, alert or pass that was shown."""

    schools: dict[str, dict[str, Any]] = field(default_factory=dict)
    devices: dict[str, dict[str, dict[str, Any]]] = field(default_factory=dict)
    alerts: dict[str, dict[str, Any]] = field(default_factory=dict)
    numbers: dict[str, Any] = field(default_factory=dict)
    first_event_ms: int | None = None
    changes: deque[Change] = field(default_factory=lambda: deque(maxlen=KEPT_CHANGES))
    last: int = 0
    _said: dict[str, set[int]] = field(default_factory=dict)
    _newest: dict[str, int] = field(default_factory=dict)
    _opened_ms: dict[str, int] = field(default_factory=dict)
    _statuses: dict[str, tuple[str, int]] = field(default_factory=dict)

    def registered(self, events: list[SchoolRegistered]) -> None:
        """Schools appear, or change what is known of them; their status stays.

        The topics are read side by side, so that a school's status may have come before it.
        """
        new = []
        for e in events:
            status, since_ms = self._statuses.get(e.school, (Status.UNKNOWN.value, 0))
            self.schools[e.school] = school = {
                "id": e.school,
                "names": e.names.model_dump(),
                "region": e.region,
                "district": e.district,
                "at": [round(e.longitude, 4), round(e.latitude, 4)],
                "pupils": e.pupils,
                "provider": e.provider,
                "private": e.ownership.value == "private",
                "special": e.special,
                "programs": [program.value for program in e.programs],
                "status": status,
                "since_ms": since_ms,
            }
            new.append(school)
        if new:
            self._add("schools", new)

    def status(self, changes: list[StatusChanged], now_ms: int) -> None:
        """Statuses of devices and schools; one change on the stream for all of them."""
        shown = []
        for c in changes:
            if c.device:
                of = self.devices.setdefault(c.school, {})
                of[c.device] = {"kind": c.kind, "status": c.status.value, "since_ms": c.since_ms}
                continue
            self._statuses[c.school] = (c.status.value, c.since_ms)
            if c.school in self.schools:
                school = self.schools[c.school]
                school["status"], school["since_ms"] = c.status.value, c.since_ms
                shown.append([c.school, c.status.value, c.since_ms])
        if shown:
            self._seen_event(now_ms)
            self._add("status", shown)

    def alert(self, change: AlertChanged, now_ms: int) -> None:
        """One transition of one alert; a panic's goes out alone and at once.

        The one with the highest number tells how the alert is now. One that comes after it can only
        move the opening back.
        """
        said = self._said.setdefault(change.id, set())
        if change.number in said:
            return
        said.add(change.number)
        newest = change.number > self._newest.get(change.id, -1)
        self._seen_event(now_ms)
        opened_before_ms = self._opened_ms.get(change.id, change.time_ms)
        self._opened_ms[change.id] = opened_ms = min(change.time_ms, opened_before_ms)
        if newest:
            self._newest[change.id] = change.number
            shown = {**change.model_dump(mode="json"), "received_ms": now_ms}
        elif change.id in self.alerts and opened_ms < opened_before_ms:
            shown = self.alerts[change.id]
        else:
            return
        shown = {**shown, "opened_ms": opened_ms}
        if shown["action"] == Action.RESOLVED.value:
            self.alerts.pop(change.id, None)
        else:
            self.alerts[change.id] = shown
        self._add("panic" if change.kind is AlertKind.PANIC else "alert", shown)

    def counted(self, numbers: dict[str, Any], now_ms: int) -> None:
        """Numbers from ClickHouse, each with the time when it was true."""
        if numbers.get("passes_last_minute"):
            self._seen_event(now_ms)
        if {**self.numbers, "at_ms": 0} != {**numbers, "at_ms": 0}:
            self._add("numbers", numbers)
        self.numbers = numbers

    def snapshot(self) -> dict[str, Any]:
        """Everything, for a browser that knows nothing yet."""
        open_panics = [a for a in self.alerts.values() if a["kind"] == AlertKind.PANIC.value]
        others = [a for a in self.alerts.values() if a["kind"] != AlertKind.PANIC.value]
        return {
            "last": self.last,
            "schools": list(self.schools.values()),
            "panics": sorted(open_panics, key=lambda a: a["opened_ms"], reverse=True),
            "alerts": sorted(others, key=lambda a: a["opened_ms"], reverse=True)[:SHOWN_ALERTS],
            "alerts_open": self.alerts_open(),
            "counts": self.counts(),
            "numbers": self.numbers,
            "first_event_ms": self.first_event_ms,
        }

    def counts(self) -> dict[str, int]:
        return dict(Counter(school["status"] for school in self.schools.values()))

    def alerts_open(self) -> int:
        """All but panics; more than the snapshot shows when there are very many."""
        return sum(a["kind"] != AlertKind.PANIC.value for a in self.alerts.values())

    def since(self, number: int) -> list[Change] | None:
        """The changes after this one; None when some of them are forgotten already."""
        if number > self.last or (self.changes and number < self.changes[0].number - 1):
            return None
        new = self.last - number
        return list(islice(reversed(self.changes), new))[::-1] if new else []

    def _seen_event(self, now_ms: int) -> None:
        if self.first_event_ms is None:
            self.first_event_ms = now_ms

    def _add(self, name: str, data: Any) -> None:
        self.last += 1
        self.changes.append(Change(self.last, name, data))
