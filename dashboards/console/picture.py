"""What the console shows, as state. Pure: records in, changes out, each with a growing number.

How an alert stands is schemas.life.Life, from what the lanes said and what was done about it. Two
panic workers say every transition, and the gateway may have said it before them: the first of equal
(id, number) counts, the others are nothing.
"""

from collections import Counter, OrderedDict, deque
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from itertools import islice
from typing import Any, Final

from dashboards.console.standing import SHOWN_MEMBERS, standing
from schemas.alerts import Action, AlertChanged, AlertKind, Status, StatusChanged
from schemas.events import SchoolRegistered, is_canary
from schemas.life import Life, Stamped, seen_by
from schemas.steps import StepTaken

KEPT_CHANGES: Final = 20_000
SHOWN_ALERTS: Final = 200
SHOWN_RECENT: Final = 50
KEPT_OVER_MS: Final = 6 * 3_600_000
"""So long after its end an alert can still be opened again from the screen."""
KEPT_NAMES: Final = 200_000
"""Of alerts that are over and forgotten: what is said of them again is nothing new."""
KEPT_TRANSITIONS: Final = 32
"""Of one alert. A mad button makes thousands; how the alert stands follows from few of them."""
KEPT_WORDS: Final = 8
"""The first press after each of so many last steps is kept: it may open again what they closed."""

Sees = Callable[[str], bool]
"""Whether somebody may see this school."""


def everything(_: str) -> bool:
    return True


@dataclass(frozen=True, slots=True)
class Change:
    """``name`` is the event's name on the stream."""

    number: int
    name: str
    data: Any


@dataclass(slots=True)
class Held:
    """One alert: its life, the numbers that were said, when we heard the newest, how it is shown."""

    life: Life
    numbers: set[int] = field(default_factory=set)
    received_ms: int = 0
    shown: dict[str, Any] = field(default_factory=dict)


@dataclass(slots=True)
class Picture:
    """``first_event_ms``: the server's clock at the first status, alert or pass that was shown.

    ``expected``: (device, kind, place, period in s) of what the registry says that a school has.
    ``silent`` counts the offline devices of a school. ``panics``, ``others`` and ``over`` hold the same
    alerts as ``held``, by how they stand. ``touched``: all schools that an outage ever had.
    ``looking``: names of who looks at an alarm now.
    """

    schools: dict[str, dict[str, Any]] = field(default_factory=dict)
    devices: dict[str, dict[str, dict[str, Any]]] = field(default_factory=dict)
    expected: dict[str, list[tuple[str, str, str, int]]] = field(default_factory=dict)
    coordinates: dict[str, list[float]] = field(default_factory=dict)
    held: dict[str, Held] = field(default_factory=dict)
    panics: dict[str, dict[str, Any]] = field(default_factory=dict)
    others: dict[str, dict[str, Any]] = field(default_factory=dict)
    over: OrderedDict[str, dict[str, Any]] = field(default_factory=OrderedDict)
    numbers: dict[str, Any] = field(default_factory=dict)
    silent: Counter[str] = field(default_factory=Counter)
    touched: dict[str, set[str]] = field(default_factory=dict)
    device_changes: int = 0
    looking: dict[str, list[str]] = field(default_factory=dict)
    first_event_ms: int | None = None
    changes: deque[Change] = field(default_factory=lambda: deque(maxlen=KEPT_CHANGES))
    last: int = 0
    _forgotten: OrderedDict[str, int] = field(default_factory=OrderedDict)
    _statuses: dict[str, tuple[str, int]] = field(default_factory=dict)
    _counts: Counter[str] = field(default_factory=Counter)

    def registered(self, events: list[SchoolRegistered]) -> None:
        """Schools appear, or change what is known of them; their status stays.

        The topics are read side by side, so that a school's status may have come before it.
        """
        new = []
        for e in events:
            if is_canary(e.school):
                continue
            status, since_ms = self._statuses.get(e.school, (Status.UNKNOWN.value, 0))
            self._counts[status] += e.school not in self.schools
            self.schools[e.school] = school = {
                "id": e.school,
                "names": e.names.model_dump(),
                "region": e.region,
                "district": e.district,
                "center": e.center,
                "at": [round(e.longitude, 4), round(e.latitude, 4)],
                "pupils": e.pupils,
                "provider": e.provider,
                "private": e.ownership.value == "private",
                "special": e.special,
                "programs": [program.value for program in e.programs],
                "status": status,
                "since_ms": since_ms,
            }
            self.expected[e.school] = [
                (d.device, d.kind.value, d.place, d.period_s) for d in e.devices
            ]
            self.coordinates[e.school] = [e.latitude, e.longitude]
            new.append(school)
        if new:
            self._add("schools", new)

    def status(self, changes: list[StatusChanged], now_ms: int) -> None:
        """Statuses of devices and schools; one change on the stream for all of them."""
        shown = []
        for c in changes:
            if is_canary(c.school):
                continue
            if c.device:
                self._device(c)
                continue
            self._statuses[c.school] = (c.status.value, c.since_ms)
            if c.school in self.schools:
                school = self.schools[c.school]
                self._counts[school["status"]] -= 1
                self._counts[c.status.value] += 1
                school["status"], school["since_ms"] = c.status.value, c.since_ms
                shown.append([c.school, c.status.value, c.since_ms])
        if shown:
            self._seen_event(now_ms)
            self._add("status", shown)

    def _device(self, c: StatusChanged) -> None:
        of = self.devices.setdefault(c.school, {})
        self.device_changes += 1
        before = of.get(c.device, {}).get("status")
        self.silent[c.school] += (c.status is Status.OFFLINE) - (before == Status.OFFLINE.value)
        of[c.device] = {"kind": c.kind, "status": c.status.value, "since_ms": c.since_ms}

    def alert(self, change: AlertChanged, now_ms: int) -> None:
        """One transition of one alert; a panic's goes out alone and at once.

        The one with the highest number tells how the alert is now. One that comes after it can only
        change what follows from all of them.
        """
        held = self.held.get(change.id)
        if is_canary(change.school) or change.number <= self._forgotten.get(change.id, -1):
            return
        if held is None:
            held = self.held[change.id] = Held(Life(change.id))
        if change.number in held.numbers:
            # Said again: news only where it was decided earlier than what we have.
            if held.life.transitions.get(change.number, change) != change:
                held.life.changed(change)
                self._show(held, "life")
            return
        newest = change.number > max(held.life.transitions, default=-1)
        held.numbers.add(change.number)
        if change.members:
            self.touched.setdefault(change.id, set()).update(change.members)
        held.life.changed(change)
        self._forgotten.pop(change.id, None)
        if len(held.life.transitions) > KEPT_TRANSITIONS:
            _compact(held.life)
        self._seen_event(now_ms)
        if newest:
            held.received_ms = now_ms
        name = "panic" if change.kind is AlertKind.PANIC else "alert"
        self._show(held, name if newest else "life")

    def step(self, step: StepTaken, kafka_ms: int, offset: int) -> None:
        """What somebody did about an alert. It may have come before the alert itself."""
        if is_canary(step.school) or step.alert in self._forgotten:
            return
        held = self.held.setdefault(step.alert, Held(Life(step.alert)))
        known = held.life.steps.get(step.id)
        held.life.took(step, kafka_ms, offset)
        if held.life.transitions and held.life.steps[step.id] is not known:
            self._show(held, "life")

    def _show(self, held: Held, name: str) -> None:
        shown = standing(held.life, held.received_ms)
        if shown == held.shown:
            return
        held.shown = shown
        id_ = shown["id"]
        for where in (self.panics, self.others, self.over):
            where.pop(id_, None)
        if shown["state"] in ("closed", "resolved"):
            self.over[id_] = shown
        elif shown["kind"] == AlertKind.PANIC.value:
            self.panics[id_] = shown
        else:
            self.others[id_] = shown
        self._add(name, shown)

    def forget(self, now_ms: int) -> None:
        """Let go of alerts that were over long ago. Their names are kept: a worker may repeat them."""
        # Steps of an alert of which nothing was said yet wait as long.
        gone = [id_ for id_, h in self.held.items() if _over_ms(h) < now_ms - KEPT_OVER_MS]
        for id_ in gone:
            self.over.pop(id_, None)
            self.touched.pop(id_, None)
            self._forgotten[id_] = max(self.held.pop(id_).numbers, default=-1)
        while len(self._forgotten) > KEPT_NAMES:
            self._forgotten.popitem(last=False)

    def counted(self, numbers: dict[str, Any], now_ms: int) -> None:
        """Numbers from ClickHouse, each with the time when it was true."""
        if numbers.get("passes_last_minute"):
            self._seen_event(now_ms)
        if {**self.numbers, "at_ms": 0} != {**numbers, "at_ms": 0}:
            self._add("numbers", numbers)
        self.numbers = numbers

    def present(self, alarm: str, people: tuple[str, ...]) -> None:
        """Who looks at an alarm now."""
        held = self.held.get(alarm)
        if held is not None and held.shown:
            self.looking[alarm] = list(people)
            if not people:
                del self.looking[alarm]
            self._add(
                "presence", {"alarm": alarm, "people": list(people), "school": held.shown["school"]}
            )

    def snapshot(self, sees: Sees = everything) -> dict[str, Any]:
        """Everything that somebody may see, for a browser that knows nothing yet."""
        recent = [a for a in self.over.values() if a["kind"] == AlertKind.PANIC.value]
        others = [seen for a in self.others.values() if (seen := self.within(sees, a)) is not None]
        return {
            "last": self.last,
            "schools": [s for id_, s in self.schools.items() if sees(id_)],
            "panics": _newest_first(a for a in self.panics.values() if sees(a["school"])),
            "alerts": _newest_first(others)[:SHOWN_ALERTS],
            "recent": [a for a in reversed(recent) if sees(a["school"])][:SHOWN_RECENT],
            "alerts_open": len(others),
            "counts": self.counts(sees),
            "numbers": self.numbers,
            "presence": {
                id_: list(people)
                for id_, people in self.looking.items()
                if id_ in self.panics and sees(self.panics[id_]["school"])
            },
            "first_event_ms": self.first_event_ms,
        }

    def within(self, sees: Sees, alert: dict[str, Any]) -> dict[str, Any] | None:
        """What somebody may see of an alert; None for nothing. An outage is for whom one of its schools
        is, with their schools alone: how many there are elsewhere is not theirs to know.
        """
        touched = self.touched.get(alert["id"], alert["members"])
        if sees is everything or not touched:
            return alert if sees(alert["school"]) else None
        if not any(map(sees, touched)):
            return None
        held = self.held.get(alert["id"])
        members = held.life.last.members if held else alert["members"]
        own = [school for school in members if sees(school)]
        shown = {"members": own[:SHOWN_MEMBERS], "members_count": len(own), "count": len(own)}
        return {**alert, **shown, "note": ""}

    def counts(self, sees: Sees = everything) -> dict[str, int]:
        """Schools by status."""
        if sees is not everything:
            return dict(Counter(s["status"] for id_, s in self.schools.items() if sees(id_)))
        return {status: count for status, count in self._counts.items() if count}

    def silent_devices(self, sees: Sees = everything) -> int:
        """Devices that were heard once and are offline now."""
        if sees is everything:
            return sum(self.silent.values())
        return sum(count for school, count in self.silent.items() if sees(school))

    def alerts_open(self, sees: Sees = everything) -> int:
        """All but panics; more than the snapshot shows when there are very many."""
        if sees is everything:
            return len(self.others)
        return sum(self.within(sees, a) is not None for a in self.others.values())

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


def _newest_first(alerts: Any) -> list[dict[str, Any]]:
    return sorted(alerts, key=lambda a: int(a["opened_ms"]), reverse=True)


def _over_ms(held: Held) -> float:
    """When it was last heard of, if it is over or was never raised; else the end of time."""
    return float("inf") if held.life.open else held.life.newest_ms


def _compact(life: Life) -> None:
    """Leave out the updates in the middle from which nothing follows."""
    said = [life.transitions[n] for n in sorted(life.transitions)]
    wanted: list[Callable[[AlertChanged], object]] = [
        lambda t: t.late,
        lambda t: t.duress,
        lambda t: not t.drill,
        *(partial(_unseen_by, s) for s in life.timeline()[-KEPT_WORDS:]),
    ]
    firsts = (next((t for t in said if condition(t)), said[0]) for condition in wanted)
    keep = {t.number for t in (said[0], *said[-KEPT_TRANSITIONS // 2 :], *firsts)}
    keep |= {t.number for t in said if t.action is not Action.UPDATED}
    keep.add(min(said, key=lambda t: t.time_ms).number)
    keep.add(max(said, key=lambda t: -1 if t.score is None else t.score).number)
    for number in set(life.transitions) - keep:
        del life.transitions[number]


def _unseen_by(step: Stamped, transition: AlertChanged) -> bool:
    return not seen_by(step, transition)
