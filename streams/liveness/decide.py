"""Who is silent? Pure: heartbeats and the stream's own progress in, statuses and alerts out.

Time is Kafka's. A deadline has passed only when the partition's watermark has passed it: either a
later record was read, or the broker said, after the deadline, that there was nothing more to read.
So while we lag, restart or rebalance, nobody falls silent. A span in which the stream itself proved
nothing (the broker was away, a clock stepped) counts against nobody: see MAX_GAP_MS.

State is per partition: one school's truth in one place. What is said follows from the records in
their order, however they were cut into batches.
"""

from collections.abc import Iterable
from dataclasses import dataclass, field
from heapq import heapify, heappop, heappush
from typing import Final

from schemas.alerts import Status, StatusChanged
from streams.liveness.school import Decision, Device, School

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
    _deadlines: list[tuple[int, str, str]] = field(default_factory=list)
    _restored: bool = False

    # What is expected, and what was said before

    def restore(self, said: StatusChanged) -> None:
        """The last word of a former owner about this device or school."""
        school = self._school(said.school)
        self._restored = True
        target: School | Device = school
        if said.device:
            if said.status is Status.UNKNOWN:
                school.devices.pop(said.device, None)  # retired
                return
            target = self._watch(school, said.device, said.kind, UNHEARD_PERIOD_S)
            # A device that was never heard is said to be silent since its deadline.
            heard = said.status is not Status.OFFLINE or said.since_ms < said.decided_ms
            target.sign_ms = said.since_ms if heard else 0
        target.status = said.status
        target.since_ms, target.decided_ms = said.since_ms, said.decided_ms

    def register(self, school: str, devices: Iterable[tuple[str, str, int]]) -> list[Decision]:
        """The registry's (device, kind, period in s) of a school; whoever isn't listed is retired.

        The silence of a device that was never heard counts from now on.
        """
        its = self._school(school)
        listed = {name: (kind, period_s) for name, kind, period_s in devices}
        its.registered = frozenset(listed)
        for name, (kind, period_s) in listed.items():
            device = self._watch(its, name, kind, period_s)
            device.kind, device.period_s = kind, period_s
            self._queue_if_sooner(device)
        retired: list[Decision] = []
        for name in its.devices.keys() - listed.keys():
            device = its.devices.pop(name)
            if device.status is not Status.UNKNOWN:
                retired.append(device.turn(Status.UNKNOWN, self.proven_ms, self.proven_ms))
        if not retired:
            return []
        statuses, alerts = its.judge(self.proven_ms)
        return [*alerts, *retired, *statuses]

    # Records, and proof that there are none

    def recall(
        self, school: str, name: str, kind: str, period_s: int, event_ms: int, kafka_ms: int
    ) -> None:
        """A heartbeat on which a former owner has decided already: who was heard, and when."""
        self._move(kafka_ms)
        self._heard(self._school(school), name, kind, period_s, event_ms, kafka_ms)

    def hear(
        self, school: str, name: str, kind: str, period_s: int, event_ms: int, kafka_ms: int
    ) -> Iterable[Decision]:
        """A heartbeat, which also proves that the stream has come to ``kafka_ms``.

        An old one (a replayed buffer) proves only its own time and brings nobody back.
        """
        said: Iterable[Decision] = NOTHING
        if (
            not 0 <= kafka_ms - self.proven_ms <= MAX_GAP_MS
            or self._restored
            or (self._deadlines and self._deadlines[0][0] < kafka_ms)
        ):
            said = self.advance(kafka_ms)
        else:
            self.proven_ms = kafka_ms
        its = self.schools.get(school) or self._school(school)
        device = self._heard(its, name, kind, period_s, event_ms, kafka_ms)
        if device is None or device.status is Status.ONLINE:
            return said
        turned = device.turn(Status.ONLINE, event_ms, kafka_ms)
        statuses, alerts = its.judge(kafka_ms)
        # A resolution is said before the status that would hide that it was due.
        return [*said, *alerts, turned, *statuses]

    def advance(self, watermark_ms: int, at_most: int | None = None) -> list[Decision]:
        """Everything up to the watermark was read: judge the deadlines that it has passed.

        ``at_most`` bounds the work; what is left is judged by the next call.
        """
        said = self._review() if self._restored else []
        self._move(watermark_ms)
        if self.held:
            return said
        judged = 0
        # An entry that moves may be due again in this very sweep, so their number is no bound.
        while self.is_due() and (at_most is None or judged < at_most):
            judged += 1
            said += self._due(*heappop(self._deadlines))
        return said

    def is_due(self) -> bool:
        """Whether a deadline has passed that is not judged yet."""
        return bool(self._deadlines) and self._deadlines[0][0] < self.proven_ms

    def falling(self) -> int:
        """How many schools would be offline if the deadlines that have passed were judged."""
        if not self.is_due():
            return 0
        return sum(
            school.status is not Status.OFFLINE and all(map(self._is_silent, school.deciding()))
            for school in self.schools.values()
            if school.devices
        )

    def longest_timeout_ms(self) -> int:
        return max(
            (
                self._timeout_ms(d)
                for school in self.schools.values()
                for d in school.devices.values()
            ),
            default=0,
        )

    # Inside

    def _school(self, name: str) -> School:
        school = self.schools.get(name)
        if school is None:
            school = self.schools[name] = School(name)
        return school

    def _watch(self, school: School, name: str, kind: str, period_s: int) -> Device:
        device = school.devices.get(name)
        if device is None:
            device = Device(school.name, name, kind, period_s, self.proven_ms)
            school.devices[name] = device
            self._queue(device)
        return device

    def _heard(
        self, school: School, name: str, kind: str, period_s: int, event_ms: int, kafka_ms: int
    ) -> Device | None:
        """The device, if this proves it alive now."""
        device = school.devices.get(name)
        if device is None:
            if school.registered is not None and name not in school.registered:
                return None  # not the school's, as far as the registry knows
            device = self._watch(school, name, kind, period_s)
        device.period_s = period_s
        lag_ms = kafka_ms - event_ms
        newer = event_ms > device.sign_ms
        # A lag that stays is a clock that is off; a replayed buffer's shrinks by a period each.
        steady = newer and abs(lag_ms - device.lag_ms) <= period_s * 500
        device.lag_ms = lag_ms
        if newer:
            device.sign_ms = event_ms
        if lag_ms > period_s * 1000 + self.grace_ms and not steady:
            return None
        device.heard_ms = kafka_ms
        self._queue_if_sooner(device)
        return device

    def _timeout_ms(self, device: Device) -> int:
        return self.misses * device.period_s * 1000 + self.grace_ms

    def _queue(self, device: Device) -> None:
        device.queued_ms = device.heard_ms + self._timeout_ms(device)
        heappush(self._deadlines, (device.queued_ms, device.school, device.name))

    def _queue_if_sooner(self, device: Device) -> None:
        """A later deadline is found when the entry comes up; an earlier one would be missed."""
        if not 0 < device.queued_ms <= device.heard_ms + self._timeout_ms(device):
            self._queue(device)

    def _is_silent(self, device: Device) -> bool:
        return (
            device.status is Status.OFFLINE
            or device.heard_ms + self._timeout_ms(device) < self.proven_ms
        )

    def _due(self, at_ms: int, school: str, name: str) -> list[Decision]:
        its = self.schools[school]
        device = its.devices.get(name)
        if device is None or device.queued_ms != at_ms:
            return []  # a dead entry: retired, or queued anew for a shorter period
        device.queued_ms = 0
        deadline_ms = device.heard_ms + self._timeout_ms(device)
        if deadline_ms > at_ms:
            self._queue(device)  # heard since; the entry moves lazily
            return []
        if device.status is Status.OFFLINE:
            return []
        turned = device.turn(Status.OFFLINE, device.sign_ms or deadline_ms, deadline_ms)
        statuses, alerts = its.judge(deadline_ms)
        # A new owner learns from the status that the alert is due, even if we die between the two.
        return [turned, *statuses, *alerts]

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
        self._deadlines = []
        for school in self.schools.values():
            for device in school.devices.values():
                device.heard_ms, device.queued_ms = from_ms, 0
                if device.status is not Status.OFFLINE:
                    device.queued_ms = from_ms + self._timeout_ms(device)
                    self._deadlines.append((device.queued_ms, school.name, device.name))
        heapify(self._deadlines)

    def _review(self) -> list[Decision]:
        """After a restore: say again what follows from the statuses, for its owner may have died
        between saying a device's and its school's."""
        self._restored = False
        said: list[Decision] = []
        for school in self.schools.values():
            said += school.open_alerts()
            decided_ms = max((d.decided_ms for d in school.devices.values()), default=0)
            statuses, alerts = school.judge(max(decided_ms, school.decided_ms))
            said += [*statuses, *alerts]
        return said
