"""Which turnstiles are alive but useless? Pure: passes and the partition's progress in, alerts out.

`no_passes`: in the arrival rush of a school day no pass was seen of a school whose turnstiles were
alive all the time. A rush is judged only when

- the partition's progress proved each moment of it: no span of more than GAP_MS, by whatever trouble
  of ours, without a record or the broker's word that there was none;
- on an earlier day of the last seven enough people came by the same bell: a school that was never
  seen passing is not missed on its first day;
- most of the schools around it were seen passing meanwhile: those of its region in the partition,
  or all of the partition when they are few. Else it is a day off that the registry doesn't know, or
  our gateway.

`stuck_open`: see streams.arrivals.turnstile. If many open at once, they are held: our fault
is likelier than that of all of them.

Time is Kafka's, and what is said depends on nothing but the records in their order, however they
were cut into batches. Each alert opens as number 0 and resolves as number 1.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field
from heapq import heappop, heappush
from typing import Final

from schemas.alerts import Action, AlertChanged, AlertKind, Severity, alert_id
from schemas.events import SchoolRegistered
from streams.arrivals.school import (
    AFTER_BELL_MS,
    BEFORE_BELL_MS,
    GRACE_MS,
    USUAL_LEAST,
    School,
    day_of,
    is_weekend,
    start_of,
)
from streams.arrivals.turnstile import (
    CALM_MINUTES,
    MINUTE_MS,
    MOST_PER_MINUTE,
    RATE_MINUTES,
    RUN,
    Turnstile,
)

GAP_MS: Final = 60_000
PEERS_LEAST: Final = 3
NEAR_BELL_MS: Final = 60 * 60_000
MASS_DEVICES: Final = 10
MASS_SHARE: Final = 0.2
_BEGIN: Final = 0
_JUDGE: Final = 1
_DAY: Final = 2


@dataclass(slots=True)
class Arrivals:
    """One partition. ``proven_ms``: everything stamped before was heard.

    ``said_to_ms``: what was decided up to then was said by a former owner. ``due_ms``: nothing is
    to be decided before. ``unproven`` and ``held``: rushes that were not judged for a gap, and
    alerts that were not opened since there were too many. ``minute_ms``: begin of the running minute.
    """

    said_to_ms: int = 0
    proven_ms: int = 0
    due_ms: int = 0
    schools: dict[str, School] = field(default_factory=dict)
    unproven: int = 0
    held: int = 0
    minute_ms: int = 0
    _gap_ms: int = 0
    _known: set[str] = field(default_factory=set)
    _agenda: list[tuple[int, int, str, int]] = field(default_factory=list)
    _heard: list[tuple[str, str, Turnstile]] = field(default_factory=list)

    # What is expected

    def register(self, name: str, record: SchoolRegistered | None) -> list[AlertChanged]:
        """A record of the registry, None when it takes the school out."""
        school = self.schools.get(name)
        if record is None:
            self.schools.pop(name, None)
            return [] if school is None else self._out_of_use(school, frozenset())
        if school is None:
            school = self.schools[name] = School(name)
        school.register(record)
        self._plan(school)
        return self._out_of_use(school, school.turnstiles)

    def adopt(self, school: School) -> None:
        """A school that was judged in another partition: here from the next rush on."""
        self.schools[school.name] = school
        school.began.clear()
        self._plan(school)

    def restore(self, alert: AlertChanged) -> None:
        """What was said before, in its order. Comes after the registry, before the passes."""
        self._known.add(alert.id)
        school = self.schools.setdefault(alert.school, School(alert.school))
        found = None if alert.action is Action.RESOLVED else alert
        if alert.kind is AlertKind.NO_PASSES:
            school.silent = found
        else:
            school.devices.setdefault(alert.device, Turnstile()).stuck = found

    def restored(self) -> list[AlertChanged]:
        """All was restored: alerts of turnstiles that the registry has dropped meanwhile end."""
        return [a for s in self.schools.values() for a in self._out_of_use(s, s.turnstiles)]

    def _out_of_use(self, school: School, in_use: frozenset[str]) -> list[AlertChanged]:
        said = []
        at_ms, note = max(self.proven_ms, self.said_to_ms), "no longer in the registry"
        if school.silent is not None and not in_use:
            said.append(school.silent.resolved(at_ms, note))
            school.silent = None
        for name, device in list(school.devices.items()):
            if device.stuck is not None and name not in in_use:
                said.append(device.stuck.resolved(at_ms, note))
                device.stuck = None
        return said

    # Time

    def advance(self, to_ms: int) -> list[AlertChanged]:
        """Everything stamped before ``to_ms`` was heard; what follows from it."""
        said: list[AlertChanged] = []
        if to_ms <= self.proven_ms:
            return said
        if to_ms - self.proven_ms > GAP_MS:
            self._gap_ms = to_ms
        if not self._agenda:
            heappush(self._agenda, (start_of(day_of(to_ms)), _DAY, "", 0))
        self.proven_ms = to_ms
        while True:
            at_ms, what, name, bell_ms = self._agenda[0]
            if self.minute_ms + MINUTE_MS <= min(at_ms, to_ms):
                said += self._close_minute(to_ms)
            if at_ms > to_ms:
                break
            heappop(self._agenda)
            if what == _DAY:
                self._begin_day(at_ms)
            elif (school := self.schools.get(name)) is None or bell_ms not in school.today:
                continue
            elif what == _BEGIN:
                school.began[bell_ms] = school.count
            else:
                said += self._judge(school, bell_ms, at_ms)
        self.due_ms = min(self._agenda[0][0], self.minute_ms + MINUTE_MS)
        return said

    def _begin_day(self, at_ms: int) -> None:
        day = day_of(at_ms)
        heappush(self._agenda, (start_of(day + 1), _DAY, "", 0))
        for school in self.schools.values():
            school.began.clear()
            self._plan(school, at_ms)

    def _plan(self, school: School, at_ms: int | None = None) -> None:
        """Today's rushes of a school, those that have not yet begun."""
        at_ms = self.proven_ms if at_ms is None else at_ms
        day = day_of(at_ms)
        rings = [start_of(day) + bell for bell in school.bells] if not is_weekend(day) else []
        school.today = tuple(b for b in rings if school.expects(b, school.turnstiles))
        for bell_ms in school.today:
            if bell_ms - BEFORE_BELL_MS >= at_ms > 0:
                heappush(self._agenda, (bell_ms - BEFORE_BELL_MS, _BEGIN, school.name, bell_ms))
                judged_ms = bell_ms + AFTER_BELL_MS + GRACE_MS
                heappush(self._agenda, (judged_ms, _JUDGE, school.name, bell_ms))

    # Rushes

    def _judge(self, school: School, bell_ms: int, at_ms: int) -> Iterator[AlertChanged]:
        began = school.began.pop(bell_ms, None)
        if began is None:
            return
        from_ms = bell_ms - BEFORE_BELL_MS
        came = school.count - began
        if came:
            if came >= USUAL_LEAST:
                day = day_of(bell_ms)
                school.usual[bell_ms - start_of(day)] = day
            return
        if not school.is_accustomed(bell_ms) or school.silent is not None:
            return
        if self._gap_ms > from_ms:
            self.unproven += 1
            return
        alive = school.alive(bell_ms)
        alert = alert_id(AlertKind.NO_PASSES, school.name, from_ms)
        if not alive or at_ms <= self.said_to_ms or alert in self._known:
            return
        if not self._others_pass(school, bell_ms):
            self.held += 1
            return
        school.silent = AlertChanged(
            id=alert,
            number=0,
            kind=AlertKind.NO_PASSES,
            severity=Severity.WARNING,
            action=Action.OPENED,
            school=school.name,
            time_ms=from_ms,
            decided_ms=at_ms,
            note=f"no pass in the arrival rush; alive: {', '.join(sorted(alive))}",
        )
        self._known.add(alert)
        yield school.silent

    def _others_pass(self, school: School, bell_ms: int) -> bool:
        """Whether most of those who are expected at about the same time were seen."""
        near = [
            other
            for other in self.schools.values()
            if other is not school
            and any(
                abs(b - bell_ms) <= NEAR_BELL_MS and other.is_accustomed(b) for b in other.today
            )
        ]
        around = [other for other in near if other.region == school.region]
        peers = around if len(around) >= PEERS_LEAST else near
        seen = sum(other.last_ms >= bell_ms - BEFORE_BELL_MS for other in peers)
        return seen * 2 > len(peers)

    def seen(self, school: School, stamp_ms: int) -> Iterator[AlertChanged]:
        """A pass of a school of which none was seen."""
        if school.silent is not None and self._ends(school.silent, stamp_ms):
            yield school.silent.resolved(stamp_ms)
            school.silent = None

    def _ends(self, alert: AlertChanged, at_ms: int) -> bool:
        """Whether this moment comes after all that was said; what is read again was heard before."""
        return at_ms > max(self.said_to_ms, alert.decided_ms)

    # Turnstiles

    def heard(self, school: str, device: str, turnstile: Turnstile) -> None:
        """It was heard for the first time in this minute."""
        turnstile.minute_ms = self.minute_ms
        self._heard.append((school, device, turnstile))

    def runs(
        self, school: str, device: str, it: Turnstile, stamp_ms: int
    ) -> Iterator[AlertChanged]:
        """One card came through too often in a row."""
        if it.stuck is None:
            note = f"one card granted {it.direction} {RUN} times in a row"
            yield from self._stuck(school, device, it, it.run_ms, stamp_ms, note)

    def refused(self, it: Turnstile, stamp_ms: int) -> Iterator[AlertChanged]:
        it.refused()
        if it.stuck is not None and self._ends(it.stuck, stamp_ms):
            yield it.stuck.resolved(stamp_ms, "it refused a card")
            it.stuck = None

    def _close_minute(self, to_ms: int) -> list[AlertChanged]:
        at_ms, heard = self.minute_ms + MINUTE_MS, self._heard
        self.minute_ms = to_ms - to_ms % MINUTE_MS
        self._heard, said = [], list[AlertChanged]()
        for _, _, turnstile in heard:
            turnstile.close()
        over = [found for found in heard if found[2].over >= RATE_MINUTES and not found[2].stuck]
        if len(over) >= MASS_DEVICES and len(over) > MASS_SHARE * len(heard):
            self.held += len(over)
            over = []
        for school, device, it in over:
            since_ms = at_ms - RATE_MINUTES * MINUTE_MS
            note = (
                f"more than {MOST_PER_MINUTE} granted one way a minute, for {RATE_MINUTES} minutes"
            )
            said += self._stuck(school, device, it, since_ms, at_ms, note)
        for _, _, it in heard:
            if it.stuck and it.calm >= CALM_MINUTES and self._ends(it.stuck, at_ms):
                said.append(it.stuck.resolved(at_ms))
                it.stuck = None
        return said

    def _stuck(
        self, school: str, device: str, it: Turnstile, since_ms: int, at_ms: int, note: str
    ) -> Iterator[AlertChanged]:
        alert = alert_id(AlertKind.STUCK_OPEN, f"{school}/{device}", since_ms)
        if at_ms <= self.said_to_ms or alert in self._known:
            return
        self._known.add(alert)
        it.calm = 0
        it.stuck = AlertChanged(
            id=alert,
            number=0,
            kind=AlertKind.STUCK_OPEN,
            severity=Severity.WARNING,
            action=Action.OPENED,
            school=school,
            device=device,
            time_ms=since_ms,
            decided_ms=at_ms,
            note=note,
        )
        yield it.stuck
