"""Who is silent? Pure: heartbeats and the stream's own progress in, statuses and alerts out.

Time is Kafka's. A deadline has passed only when the partition's watermark has passed it: either a
later record was read, or the broker said, after the deadline, that there was nothing more to read.
So while we lag, restart or rebalance, nobody falls silent. A span in which the stream itself proved
nothing (the broker was away, a clock stepped) counts against nobody: see MAX_GAP_MS.

State is per partition: one school's truth in one place. What is said follows from the records in
their order, however they were cut into batches.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from heapq import heappop, heappush
from typing import Final

from schemas.alerts import Status, StatusChanged
from streams.liveness.calendar import ALWAYS, Calendar
from streams.liveness.deadlines import HOURLY, Deadlines
from streams.liveness.device import TROUBLE, Device
from streams.liveness.findings import BUTTON, HOUR_MS, SKEW_CALM_MS, look, look_at_test, recount
from streams.liveness.school import Decision, School

MAX_GAP_MS: Final = 10_000
"""The longest step of the watermark that still proves silence to be the schools' own."""
UNHEARD_PERIOD_S: Final = 60
"""Of a device whose period neither the registry nor a heartbeat has told yet."""
NOTHING: Final[tuple[Decision, ...]] = ()


@dataclass(slots=True)
class Liveness:
    """The liveness of one partition's schools.

    ``misses`` heartbeats of a device may fail, and ``grace_ms`` more may pass, before it is
    offline. ``held``: deadlines are not judged, as our own evidence is impaired.
    """

    misses: int
    grace_ms: int
    held: bool = False
    schools: dict[str, School] = field(default_factory=dict)
    proven_ms: int = 0
    """The watermark; 0 before the first proof."""
    gap_ms: int = 0
    """When the last unproven span ended, 0 for never."""
    tests_from_ms: int = 0
    """Weekly tests before it are not known of; 0 when they are not known at all."""
    is_restored: bool = False
    """Whether a former owner's last words are known, and what follows from them is not said yet."""
    _deadlines: Deadlines = field(init=False)

    def __post_init__(self) -> None:
        self._deadlines = Deadlines(self.misses, self.grace_ms)

    # What is expected, and what was said before

    def restore(self, said: StatusChanged) -> None:
        """The last word of a former owner about this device or school."""
        school = self._school(said.school)
        self.is_restored = True
        if said.device:
            if said.status in (Status.RETIRED, Status.UNKNOWN):
                school.devices.pop(said.device, None)
                return
            device = self._watch(school, said.device, said.kind, UNHEARD_PERIOD_S)
            device.restore(said)
            return
        school.status, school.since_ms = said.status, said.since_ms
        school.decided_ms = said.decided_ms

    def register(
        self, school: str, devices: Iterable[tuple[str, str, int]], calendar: Calendar = ALWAYS
    ) -> list[Decision]:
        """The registry's (device, kind, period in s) of a school; whoever isn't listed is retired.

        The silence of a device that was never heard counts from now on. That of a device whose
        planned work is called off counts from now on, too.
        """
        its = self._school(school)
        listed = {name: (kind, period_s) for name, kind, period_s in devices}
        its.registered = frozenset(listed)
        changed, its.calendar = its.calendar != calendar, calendar
        for name, (kind, period_s) in listed.items():
            device = self._watch(its, name, kind, period_s)
            device.kind, device.period_s, device.expected = kind, period_s, True
            device.plain = device.plain and device.claimed_s <= period_s
            if changed and device.status is Status.MAINTENANCE:
                device.judged_ms = self.proven_ms
            self._deadlines.queue_if_sooner(device, its)
        retired: list[Decision] = []
        for name in its.devices.keys() - listed.keys():
            device = its.devices.pop(name)
            if device.status is not Status.UNKNOWN:
                retired.append(device.turn(Status.RETIRED, self.proven_ms, self.proven_ms))
        if not retired:
            return []
        statuses, alerts = its.judge(self.proven_ms)
        return [*alerts, *retired, *statuses]

    def tested(self, school: str, name: str, kafka_ms: int) -> None:
        """A button has passed its weekly test; what follows is said within the hour."""
        tests = self._school(school).tested_ms
        tests[name] = max(kafka_ms, tests.get(name, 0))

    # Schools that move between partitions

    def release(self, school: str) -> School:
        """It is judged in another partition from now on. Raises KeyError for a school of others."""
        return self.schools.pop(school)

    def adopt(self, school: School) -> None:
        """It is judged here from now on, and silence counts from now on: what was sent of late may wait
        in the partition that it came from.
        """
        self.schools[school.name] = school
        for device in school.devices.values():
            device.heard_ms = max(device.heard_ms, self.proven_ms)
            device.queued_ms = 0
            self._deadlines.queue_if_sooner(device, school)

    def claim(self, school: str) -> list[Decision]:
        """What another worker said of it, said again as ours, and what it may not have come to say."""
        its = self.schools[school]
        said: list[Decision] = [
            d.said(d.status) for d in its.devices.values() if d.status is not Status.UNKNOWN
        ]
        if its.status is not Status.UNKNOWN:
            said.append(its.said(its.status))
        return [*said, *self.review(school)]

    def review(self, school: str) -> list[Decision]:
        """Say again what follows from the statuses that were restored of it."""
        its = self.schools[school]
        openings = list(its.open_alerts())
        decided_ms = max((d.decided_ms for d in its.devices.values()), default=0)
        statuses, alerts = its.judge(max(decided_ms, its.decided_ms))
        return [*openings, *statuses, *alerts]

    # Records, and proof that there are none

    def recall(
        self,
        school: str,
        name: str,
        kind: str,
        period_s: int,
        event_ms: int,
        kafka_ms: int,
        offset_ms: int = 0,
        buffered: int = 0,
        boot: int = 0,
        seq: int | None = None,
    ) -> None:
        """A heartbeat on which a former owner has decided already: who was heard, and when."""
        self._move(kafka_ms)
        device = self._device(school, name, kind, period_s)
        if device is not None and device.hear(
            *(min(event_ms, kafka_ms), kafka_ms, self.grace_ms, self._deadlines.timeout_ms(device)),
            *(boot, seq),
        ):
            # What was found has been said: only the run of what it showed is needed.
            recount(device, offset_ms or event_ms - kafka_ms, buffered)

    def hear(
        self,
        school: str,
        name: str,
        kind: str,
        period_s: int,
        event_ms: int,
        kafka_ms: int,
        offset_ms: int = 0,
        buffered: int = 0,
        boot: int = 0,
        seq: int | None = None,
    ) -> Iterable[Decision]:
        """A heartbeat, which also proves that the stream has come to ``kafka_ms``.

        ``event_ms`` is by the device's clock, less ``offset_ms`` that it knows itself to be off. An
        old one (a replayed buffer) proves only its own time and brings nobody back, nor does one
        whose ``boot`` and ``seq`` are no news.
        """
        said: Iterable[Decision] = NOTHING
        if (
            not 0 <= kafka_ms - self.proven_ms <= MAX_GAP_MS
            or self.is_restored
            or ((heap := self._deadlines.heap) and heap[0][0] < kafka_ms)
        ):
            said = self.advance(kafka_ms)
        else:
            self.proven_ms = kafka_ms
        its = self.schools.get(school)
        device = None if its is None else its.devices.get(name)
        if device is None or device.claimed_s != period_s:
            device = self._device(school, name, kind, period_s)
            if device is None:
                return said
        skew_ms = offset_ms or event_ms - kafka_ms
        if event_ms > kafka_ms:
            event_ms = kafka_ms
        timeout_ms = self.misses * device.period_s * 1000 + self.grace_ms
        if not device.hear(event_ms, kafka_ms, self.grace_ms, timeout_ms, boot, seq):
            told = device.outage is not None and device.outage.ended_ms
            return [*said, *self._told(device, kafka_ms)] if told else said
        if (
            device.status is Status.ONLINE
            and device.plain
            and not buffered
            and -SKEW_CALM_MS < skew_ms < SKEW_CALM_MS
        ):
            return said
        if kafka_ms - event_ms > device.period_s * 1000 + self.grace_ms:
            event_ms = kafka_ms  # its clock is off
        return [*said, *self._alive(device, event_ms, skew_ms, buffered, kafka_ms)]

    def advance(self, watermark_ms: int, at_most: int | None = None) -> list[Decision]:
        """Everything up to the watermark was read: judge the deadlines that it has passed.

        ``at_most`` bounds the work; what is left is judged by the next call.
        """
        said = self._review() if self.is_restored else []
        self._move(watermark_ms)
        if self.held:
            return said
        judged = 0
        # An entry that moves may be due again in this very sweep, so their number is no bound.
        while self.is_due() and (at_most is None or judged < at_most):
            judged += 1
            said += self._due(*heappop(self._deadlines.heap))
        return said

    def is_due(self) -> bool:
        """Whether a deadline has passed that is not judged yet."""
        return bool(heap := self._deadlines.heap) and heap[0][0] < self.proven_ms

    def falling(self) -> int:
        """How many schools would be offline if the deadlines that have passed were judged."""
        if not self.is_due():
            return 0
        return sum(
            school.status is not Status.OFFLINE
            and all(
                self._deadlines.has_passed(device, school, self.proven_ms)
                for device in school.deciding()
            )
            for school in self.schools.values()
            if school.devices
        )

    def standing(self) -> int:
        """How many schools are not offline."""
        return sum(
            school.status is not Status.OFFLINE
            for school in self.schools.values()
            if school.devices
        )

    def forgive(self, *, unread: bool = True) -> None:
        """Nobody's silence counts from before now: they would not have been heard. ``unread``: since
        this partition was not, so that its evidence is impaired for a while."""
        gap_ms = self.gap_ms
        self._forgive(self.proven_ms)
        if not unread:
            self.gap_ms = gap_ms

    def longest_timeout_ms(self) -> int:
        devices = (d for school in self.schools.values() for d in school.devices.values())
        return max(map(self._deadlines.timeout_ms, devices), default=0)

    # Inside: who is heard

    def _school(self, name: str) -> School:
        return self.schools.setdefault(name, School(name))

    def _watch(self, school: School, name: str, kind: str, period_s: int) -> Device:
        device = school.devices.get(name)
        if device is None:
            device = Device(school.name, name, kind, period_s, self.proven_ms, period_s)
            school.devices[name] = device
            self._deadlines.queue_if_sooner(device, school)
        return device

    def _device(self, school: str, name: str, kind: str, period_s: int) -> Device | None:
        """The device that is heard, unless the registry knows its school without it."""
        its = self.schools.get(school) or self._school(school)
        device = its.devices.get(name)
        if device is None:
            if its.registered is not None and name not in its.registered:
                return None
            device = self._watch(its, name, kind, period_s)
        if device.claimed_s != period_s:
            device.claimed_s, device.plain = period_s, False
            if not device.expected:
                device.period_s = period_s
                self._deadlines.queue_if_sooner(device, its)
        return device

    def _alive(
        self, device: Device, event_ms: int, skew_ms: int, buffered: int, kafka_ms: int
    ) -> Iterator[Decision]:
        its = self.schools[device.school]
        opened, closed = look(device, skew_ms, buffered, kafka_ms)
        if device.status not in (Status.ONLINE, Status.FLAPPING):
            turned = device.back(event_ms, kafka_ms, self._deadlines.timeout_ms(device))
            self._deadlines.queue_if_sooner(device, its)
            statuses, alerts = its.judge(kafka_ms, device)
            # A resolution is said before the status that would hide that it was due.
            yield from alerts
            yield turned
            yield from statuses
        elif opened or closed:
            yield from self._found(its, [device], kafka_ms, opened)

    def _told(self, device: Device, kafka_ms: int) -> Iterator[Decision]:
        """Buffered heartbeats have told of a silence up to its end: say when it truly was."""
        outage, timeout_ms = device.outage, self._deadlines.timeout_ms(device)
        if outage is None or not outage.is_told(timeout_ms):
            return
        device.outage = None
        true = outage.true(timeout_ms)
        if true is None or device.status is not Status.ONLINE:
            return
        yield from self.schools[device.school].ended_truly(device, true, kafka_ms)
        yield device.turn(Status.ONLINE, true[1], kafka_ms)

    def _found(
        self, its: School, devices: list[Device], at_ms: int, opened: bool
    ) -> Iterator[Decision]:
        """Findings of these devices have changed."""
        said: list[Decision] = [device.said(device.status) for device in devices]
        _, alerts = its.judge(at_ms)
        yield from [*said, *alerts] if opened else [*alerts, *said]

    # Inside: who is not

    def _due(self, at_ms: int, school: str, name: str) -> Iterable[Decision]:
        if school == HOURLY:
            heappush(self._deadlines.heap, (at_ms + HOUR_MS, HOURLY, ""))
            return self._tests(at_ms)
        its = self.schools.get(school)
        device = None if its is None else its.devices.get(name)
        if its is None or device is None or device.queued_ms != at_ms:
            return NOTHING  # a dead entry: moved, retired, or queued anew for a shorter period
        due_ms = self._deadlines.next_ms(device, its)
        if due_ms > at_ms:
            device.queued_ms = due_ms  # heard since; the entry moves lazily
            heappush(self._deadlines.heap, (due_ms, school, name))
            return NOTHING
        device.queued_ms = 0
        turned = self._deadlines.turn(device, its, due_ms) if due_ms else None
        self._deadlines.queue_if_sooner(device, its)
        if turned is None:
            return NOTHING
        statuses, alerts = its.judge(due_ms, device if turned.status is Status.ONLINE else None)
        # A new owner learns from the status that an alert is due, even if we die between the two.
        if turned.status in TROUBLE:
            return [turned, *statuses, *alerts]
        return [*alerts, turned, *statuses]

    def _tests(self, now_ms: int) -> list[Decision]:
        said: list[Decision] = []
        for school in self.schools.values():
            opened, closed = list[Device](), list[Device]()
            for device in school.devices.values():
                if device.kind == BUTTON and device.status is not Status.UNKNOWN:
                    tested_ms = school.tested_ms.get(device.name, 0)
                    change = look_at_test(device, tested_ms, self.tests_from_ms, now_ms)
                    if change:
                        (opened if change > 0 else closed).append(device)
            if opened or closed:
                said += self._found(school, [*closed, *opened], now_ms, opened=bool(opened))
        return said

    def _move(self, watermark_ms: int) -> None:
        step_ms = watermark_ms - self.proven_ms
        if abs(step_ms) > MAX_GAP_MS:
            self._forgive(watermark_ms)
            self.proven_ms = watermark_ms
        elif step_ms > 0:
            self.proven_ms = watermark_ms

    def _forgive(self, from_ms: int) -> None:
        """Nobody's silence counts from before this moment."""
        if self.proven_ms:
            self.gap_ms = from_ms
        for school in self.schools.values():
            for device in school.devices.values():
                device.heard_ms = from_ms
        self._deadlines.begin_anew(from_ms, self.schools.values())

    def _review(self) -> list[Decision]:
        """After a restore: say again what follows from the statuses, for its owner may have died
        between saying a device's and its school's."""
        self.is_restored = False
        said: list[Decision] = []
        for school in self.schools:
            said += self.review(school)
        return said
