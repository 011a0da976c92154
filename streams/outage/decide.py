"""Which silences are one outage? Pure: changes of schools' statuses in, incidents out.

An outage is found from the burst itself: among the schools that share something (streams.outage.
scope), more fell silent within WINDOW_MS of each other than chance brings, judged against how often
schools fall silent otherwise. The burst is gathered for a moment before it is named, so that its
first members don't decide what it is. Of all that the schools share, what explains the burst best
names it; the rest of the silences is judged again, without its members, so that a second cause is a
second outage and a silence of its own stays alone.

The contract with who pages (streams.notify). Each silent school has its own `school_offline`, raised
at once by the liveness lane; it is paged only after a hold of HOLD_S, and not while an open outage
names the school among its ``members``. Number 0 opens, with the members found so far; an update adds
those who joined (all members, not the difference), and asks for no page; the resolution's
``members`` are those still silent, whose own alerts count from then on. A school has to be named
within HOLD_S of its deadline, so GATHER_MS and UPDATE_MS are shorter.

Time is Kafka's: ``advance`` and the changes come in the order of their stamps, and what is said
depends on nothing else.
"""

from bisect import bisect_left, bisect_right, insort
from collections import Counter, defaultdict, deque
from collections.abc import Iterator
from dataclasses import dataclass, field
from statistics import median_low
from typing import Final

from schemas.alerts import (
    Action,
    AlertChanged,
    AlertKind,
    Severity,
    Status,
    StatusChanged,
    alert_id,
)
from streams.outage.incident import Incident, Silence
from streams.outage.scope import Place, is_inside, preference, scopes
from streams.outage.surprise import surprise

HOLD_S: Final = 20
GATHER_MS: Final = 14_000
"""From the burst's first deadline to its naming; at least MIN_GATHER_MS after it is surprising."""
MIN_GATHER_MS: Final = 2_000
UPDATE_MS: Final = 15_000
"""After the opening, those who joined are named; later ones only when they are a burst again."""
WINDOW_MS: Final = 30_000
"""To either side. By the deadlines, so our own lag does not look like a burst."""
SURPRISING_NATS: Final = 20.0
"""By chance once in years: e^-20 for each of the 50,000 looks of a day."""
MIN_MEMBERS: Final = 3


USUAL_PER_SCHOOL_DAY: Final = 1.0
"""How often a school falls silent, as far as nothing is known; it weighs as much as MEMORY_MS."""
MEMORY_MS: Final = 6 * 3_600_000
DAY_MS: Final = 86_400_000

_LIVE: Final = frozenset({Status.ONLINE, Status.LATE, Status.DEGRADED, Status.FLAPPING})


@dataclass(slots=True)
class Outages:
    """The outages of the country. Feed it everything: one partition's truth is not enough.

    ``incidents``: those that are open, by scope.
    """

    places: dict[str, Place] = field(default_factory=dict)
    incidents: dict[str, Incident] = field(default_factory=dict)
    _statuses: dict[str, Status] = field(default_factory=dict)
    _live: Counter[str] = field(default_factory=Counter)
    """By scope: schools that can fall silent."""
    _recent: dict[str, Silence] = field(default_factory=dict)
    """Silences of late that belong to no outage, as they came, and by scope their deadlines."""
    _deadlines: dict[str, list[int]] = field(default_factory=lambda: defaultdict(list))
    _single: deque[int] = field(default_factory=deque)
    """When schools fell silent alone, for the usual rate, and since when we look."""
    _began_ms: int = 0
    now_ms: int = 0
    _gather: tuple[int, int] | None = None
    """When the burst under way is named, and a deadline amid it."""

    def register(self, school: str, place: Place) -> None:
        """Where the registry says that a school is."""
        old = self.places.get(school)
        if old == place:
            return
        self._leave(school)
        self._count(school, -1)
        self.places[school] = place
        self._count(school, 1)

    def restore(self, said: AlertChanged) -> None:
        """A transition of an outage that a former owner has said, in order; then ``recall``."""
        known = self.incidents.get(said.scope)
        if said.action is Action.RESOLVED:
            if known is not None and known.id == said.id:
                del self.incidents[said.scope]
            return
        opened_ms = known.opened_ms if known and known.id == said.id else said.decided_ms
        self.incidents[said.scope] = Incident(
            id=said.id,
            scope=said.scope,
            time_ms=said.time_ms,
            opened_ms=opened_ms,
            number=said.number,
            members=set(said.members),
            silent={s for s in said.members if self._statuses.get(s) not in _LIVE},
            named=len(said.members),
            burst_ms=[opened_ms] * len(said.members),
            returned_ms=said.decided_ms,
        )
        for school in said.members:
            self._leave(school)

    def recall(self, said: StatusChanged, kafka_ms: int) -> None:
        """As ``change``, of what a former owner has decided already."""
        self.now_ms = max(self.now_ms, kafka_ms)
        self._forget()
        if self._falls(said) and not self._is_member(said.school):
            self._stand_alone(Silence(said.decided_ms, said.school, said.since_ms, kafka_ms))

    def change(self, said: StatusChanged, kafka_ms: int) -> list[AlertChanged]:
        """A status, stamped by the broker. Devices don't count, nor schools without a place."""
        decided = self.advance(kafka_ms)
        if self._falls(said):
            self._fell(Silence(said.decided_ms, said.school, said.since_ms, kafka_ms))
        return decided

    def advance(self, now_ms: int) -> list[AlertChanged]:
        """Everything stamped up to now was read: name what was gathered, end what is over."""
        said: list[AlertChanged] = []
        while 0 < (due_ms := self.due_ms()) <= now_ms:
            self.now_ms = max(self.now_ms, due_ms)
            said += self._due()
        self.now_ms = max(self.now_ms, now_ms)
        self._forget()
        return said

    def due_ms(self) -> int:
        """When time alone decides something; 0 for never."""
        due = [self._gather[0]] if self._gather else []
        for incident in self.incidents.values():
            due += [at_ms for at_ms in (incident.update_ms, incident.cleared_ms()) if at_ms]
        return min(due, default=0)

    @property
    def has_unsaid(self) -> bool:
        """Whether records that were taken may yet open an outage, or be named as of one."""
        return self._gather is not None or any(one.update_ms for one in self.incidents.values())

    # Time

    def _due(self) -> Iterator[AlertChanged]:
        now_ms = self.now_ms
        if self._gather and self._gather[0] <= now_ms:
            (_, around_ms), self._gather = self._gather, None
            yield from self._name(around_ms)
        for incident in sorted(self.incidents.values(), key=lambda one: one.scope):
            if 0 < incident.update_ms <= now_ms:
                incident.update_ms = 0
                if len(incident.members) > incident.named:
                    yield self._said(incident, Action.UPDATED)
            if 0 < incident.cleared_ms() <= now_ms:
                del self.incidents[incident.scope]
                yield self._said(incident, Action.RESOLVED)

    def _forget(self) -> None:
        """A burst that is being gathered keeps what it began with."""
        if self._gather is None:
            for school, silence in list(self._recent.items()):
                if silence.kafka_ms >= self.now_ms - 2 * WINDOW_MS:
                    break
                self._leave(school)
                insort(self._single, silence.decided_ms)
        while self._single and self._single[0] < self.now_ms - MEMORY_MS:
            self._single.popleft()

    # Statuses

    def _falls(self, said: StatusChanged) -> bool:
        """Take note of a status; whether a school of the country fell silent by it."""
        if said.device:
            return False
        self._began_ms = self._began_ms or said.decided_ms
        was = self._statuses.get(said.school)
        self._count(said.school, -1)
        self._statuses[said.school] = said.status
        self._count(said.school, 1)
        silent = said.status is Status.OFFLINE
        if not silent and (silence := self._leave(said.school)) is not None:
            insort(self._single, silence.decided_ms)
        for incident in self.incidents.values():
            if said.school not in incident.members:
                continue
            if silent:
                incident.silent.add(said.school)
            elif said.school in incident.silent:
                incident.silent.discard(said.school)
                incident.returned_ms = max(incident.returned_ms, self.now_ms)
        # Who was never heard, or was planned to be silent, did not fall silent.
        fell = silent and was is not Status.OFFLINE and said.previous in _LIVE
        return fell and said.school in self.places

    def _count(self, school: str, by: int) -> None:
        place = self.places.get(school)
        if place is not None and self._statuses.get(school) in _LIVE:
            for scope in scopes(place):
                self._live[scope] += by

    def _fell(self, silence: Silence) -> None:
        if self._is_member(silence.school):
            return  # again, within the outage that it is in
        incident = self._joins(silence)
        if incident is not None:
            incident.members.add(silence.school)
            incident.silent.add(silence.school)
            incident.burst_ms.append(silence.decided_ms)
            incident.update_ms = incident.opened_ms + UPDATE_MS
            return
        self._stand_alone(silence)
        if self._gather is None:
            self._gather_a_burst(silence)

    def _is_member(self, school: str) -> bool:
        return any(school in incident.members for incident in self.incidents.values())

    def _joins(self, silence: Silence) -> Incident | None:
        """The open outage whose burst this silence is still part of."""
        for scope in scopes(self.places[silence.school]):
            incident = self.incidents.get(scope)
            if incident is None or silence.kafka_ms > incident.opened_ms + UPDATE_MS:
                continue
            near = sum(abs(at_ms - silence.decided_ms) < WINDOW_MS for at_ms in incident.burst_ms)
            schools = self._live[scope] + len(incident.silent) + 1
            if surprise(near + 1, schools, self._rate()) > SURPRISING_NATS:
                return incident
        return None

    def _stand_alone(self, silence: Silence) -> None:
        self._leave(silence.school)
        self._recent[silence.school] = silence
        for scope in scopes(self.places[silence.school]):
            insort(self._deadlines[scope], silence.decided_ms)

    def _leave(self, school: str) -> Silence | None:
        """It is no silence by itself any more: back, in an outage, or long ago."""
        silence = self._recent.pop(school, None)
        if silence is not None:
            for scope in scopes(self.places[school]):
                times = self._deadlines[scope]
                del times[bisect_left(times, silence.decided_ms)]
        return silence

    # Bursts

    def _gather_a_burst(self, silence: Silence) -> None:
        around_ms = silence.decided_ms
        for scope in scopes(self.places[silence.school]):
            if self._nats(scope, around_ms) > SURPRISING_NATS:
                first_ms = self._near(scope, around_ms)[0]
                due_ms = max(first_ms + GATHER_MS, silence.kafka_ms + MIN_GATHER_MS)
                if self._gather is None or due_ms < self._gather[0]:
                    self._gather = due_ms, around_ms

    def _near(self, scope: str, around_ms: int) -> list[int]:
        times = self._deadlines.get(scope, [])
        first = bisect_right(times, around_ms - WINDOW_MS)
        return times[first : bisect_left(times, around_ms + WINDOW_MS)]

    def _nats(self, scope: str, around_ms: int, without: str = "") -> float:
        """How surprising the silences of a scope are, or of what is left ``without`` a part."""
        silent = len(self._near(scope, around_ms))
        schools = self._live[scope] + silent
        if without:
            part = len(self._near(without, around_ms))
            silent, schools = silent - part, schools - self._live[without] - part
        if silent < MIN_MEMBERS:
            return 0.0
        return surprise(silent, schools, self._rate())

    def _rate(self) -> float:
        """The probability that a school falls silent within a window, as it usually does."""
        schools = max(1, len(self.places))
        usual = USUAL_PER_SCHOOL_DAY * schools * MEMORY_MS / DAY_MS
        looked_ms = min(MEMORY_MS, max(0, self.now_ms - self._began_ms))
        falls = usual + len(self._single)
        return min(0.5, falls * 2 * WINDOW_MS / (schools * (MEMORY_MS + looked_ms)))

    def _name(self, around_ms: int) -> Iterator[AlertChanged]:
        """What explains most first; then again without its members."""
        while True:
            found = {
                scope: nats
                for scope in self._deadlines
                if (nats := self._nats(scope, around_ms)) > SURPRISING_NATS
            }
            if not found:
                return
            best = min(found, key=lambda scope: (-found[scope], preference(scope)))
            yield self._open(self._narrowed(best, found, around_ms), around_ms)

    def _narrowed(self, scope: str, found: dict[str, float], around_ms: int) -> str:
        """The part of a scope without which its rest is explained better: two causes, not one."""
        while True:
            gains = {
                part: nats + self._nats(scope, around_ms, without=part) - found[scope]
                for part, nats in found.items()
                if is_inside(part, scope)
            }
            best = max(gains, key=lambda part: (gains[part], -preference(part)), default=scope)
            if gains.get(best, 0.0) <= SURPRISING_NATS:
                return scope
            scope = best

    def _open(self, scope: str, around_ms: int) -> AlertChanged:
        """A new outage, or the growth of one that is open."""
        near = self._near(scope, around_ms)
        schools = self._live[scope] + len(near)
        burst = sorted(
            s
            for s in self._recent.values()
            if near[0] <= s.decided_ms <= near[-1] and scope in scopes(self.places[s.school])
        )
        for silence in burst:
            self._leave(silence.school)
        incident = self.incidents.get(scope)
        action = Action.OPENED if incident is None else Action.UPDATED
        if incident is None:
            incident = self.incidents[scope] = Incident(
                id=alert_id(AlertKind.OUTAGE, scope, burst[0].decided_ms),
                scope=scope,
                time_ms=median_low(silence.since_ms for silence in burst),
                opened_ms=self.now_ms,
                number=-1,
                members=set(),
                silent=set(),
                named=0,
                returned_ms=self.now_ms,
            )
        incident.members |= {silence.school for silence in burst}
        incident.silent |= {silence.school for silence in burst}
        incident.burst_ms += near
        return self._said(incident, action, f"{len(incident.members)} of {schools} schools")

    def _said(self, incident: Incident, action: Action, note: str = "") -> AlertChanged:
        incident.number += 1
        incident.named = len(incident.members)
        over = action is Action.RESOLVED
        members = incident.silent if over else incident.members
        if over and members:
            note = f"{len(members)} of {len(incident.members)} members are still silent"
        return AlertChanged(
            id=incident.id,
            number=incident.number,
            kind=AlertKind.OUTAGE,
            severity=Severity.CRITICAL,
            action=action,
            school="",
            time_ms=incident.returned_ms if over else incident.time_ms,
            decided_ms=self.now_ms,
            count=len(incident.members),
            note=note,
            scope=incident.scope,
            members=sorted(members),
        )
