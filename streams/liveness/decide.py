"""Who is silent? Pure: heartbeats and the stream's own progress in, statuses and alerts out.

Time is Kafka's. A deadline has passed only when the partition's watermark has passed it: either a later
record was read, or the broker said, after the deadline, that there was nothing more to read. So while we
lag, restart or rebalance, nobody falls silent. State is per partition: one school's truth in one place.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field
from heapq import heapify, heappop, heappush
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

Decision = StatusChanged | AlertChanged

GATEWAY: Final = "gateway"
PANIC_PATH: Final = frozenset({GATEWAY, "panic_button", "police_link"})
"""A school where one of these is silent can't call for help as it should: it is panic-blind."""


@dataclass(slots=True)
class Device:
    """``heard_ms``: Kafka's time of the last heartbeat, or of the start of our watch if never heard.

    ``sign_ms``: event time of the last sign of life, 0 for never.
    """

    school: str
    name: str
    kind: str
    timeout_ms: int
    heard_ms: int
    sign_ms: int = 0
    status: Status = Status.UNKNOWN


@dataclass(slots=True)
class School:
    name: str
    devices: dict[str, Device] = field(default_factory=dict)
    status: Status = Status.UNKNOWN
    alerts: dict[AlertKind, tuple[str, int]] = field(default_factory=dict)
    """Open alerts: (id, number of the last transition)."""


@dataclass(slots=True)
class Liveness:
    """The liveness of one partition's schools.

    ``misses`` heartbeats of a device may fail, and ``grace_ms`` more may pass, before it is offline.
    """

    misses: int
    grace_ms: int
    schools: dict[str, School] = field(default_factory=dict)
    _deadlines: list[tuple[int, str, str]] = field(default_factory=list)
    _queued: dict[tuple[str, str], int] = field(default_factory=dict)

    def expect(self, school: str, name: str, kind: str, period_s: int, from_ms: int) -> None:
        """The registry says that this device exists: silence counts from ``from_ms`` on."""
        its = self.schools.setdefault(school, School(school))
        if name not in its.devices:
            timeout_ms = self._timeout_ms(period_s)
            its.devices[name] = device = Device(school, name, kind, timeout_ms, from_ms)
            self._queue(device)

    def restore(self, said: StatusChanged) -> None:
        """What was said of this device or school before we started."""
        school = self.schools.setdefault(said.school, School(said.school))
        if not said.device:
            school.status = said.status
            if said.status is Status.OFFLINE:
                id_ = alert_id(AlertKind.SCHOOL_OFFLINE, said.school, said.since_ms)
                school.alerts[AlertKind.SCHOOL_OFFLINE] = (id_, 0)
        elif said.device in school.devices:
            device = school.devices[said.device]
            device.status = said.status
            device.sign_ms = max(device.sign_ms, said.since_ms)

    def heartbeat(
        self, school: str, name: str, kind: str, period_s: int, event_ms: int, kafka_ms: int
    ) -> Iterator[Decision]:
        """A device was heard. An old heartbeat (a replayed buffer) proves only its own time."""
        its = self.schools.get(school)
        if its is None:
            its = self.schools[school] = School(school)
        device = its.devices.get(name)
        if device is None:
            timeout_ms = self._timeout_ms(period_s)
            device = its.devices[name] = Device(school, name, kind, timeout_ms, kafka_ms)
            self._queue(device)
        device.timeout_ms = self._timeout_ms(period_s)
        if event_ms > device.sign_ms:
            device.sign_ms = event_ms
        if kafka_ms - event_ms > device.timeout_ms:
            return  # sent late: it tells of the past, and says nothing of now
        device.heard_ms = kafka_ms
        if (school, name) not in self._queued:
            self._queue(device)
        if device.status is not Status.ONLINE:
            yield self._device(device, Status.ONLINE, event_ms, kafka_ms)
            yield from self._judge(its, kafka_ms)

    def sweep(self, watermark_ms: int) -> Iterator[Decision]:
        """What the stream has proven silent up to its watermark. At most one live entry per device."""
        touched: dict[str, int] = {}
        while self._deadlines and self._deadlines[0][0] < watermark_ms:
            at_ms, school, name = heappop(self._deadlines)
            del self._queued[school, name]
            device = self.schools[school].devices[name]
            deadline_ms = device.heard_ms + device.timeout_ms
            if deadline_ms > at_ms:
                self._queue(device)  # heard since; the entry moves lazily
                continue
            if device.status is not Status.OFFLINE:
                yield self._device(device, Status.OFFLINE, device.sign_ms, deadline_ms)
                touched[school] = max(deadline_ms, touched.get(school, 0))
        for school, decided_ms in touched.items():
            yield from self._judge(self.schools[school], decided_ms)

    def watch_from(self, kafka_ms: int) -> None:
        """We have just taken over: nobody's silence counts from before this moment."""
        for school in self.schools.values():
            for device in school.devices.values():
                device.heard_ms = max(device.heard_ms, kafka_ms)
        self._deadlines = [
            (device.heard_ms + device.timeout_ms, device.school, device.name)
            for school in self.schools.values()
            for device in school.devices.values()
            if device.status is not Status.OFFLINE
        ]
        heapify(self._deadlines)
        self._queued = {(school, name): at_ms for at_ms, school, name in self._deadlines}

    def _timeout_ms(self, period_s: int) -> int:
        return self.misses * period_s * 1000 + self.grace_ms

    def _queue(self, device: Device) -> None:
        at_ms = device.heard_ms + device.timeout_ms
        self._queued[device.school, device.name] = at_ms
        heappush(self._deadlines, (at_ms, device.school, device.name))

    def _device(
        self, device: Device, status: Status, since_ms: int, decided_ms: int
    ) -> StatusChanged:
        previous, device.status = device.status, status
        return StatusChanged(
            school=device.school,
            device=device.name,
            kind=device.kind,
            status=status,
            previous=previous,
            since_ms=since_ms,
            decided_ms=decided_ms,
        )

    def _judge(self, school: School, decided_ms: int) -> Iterator[Decision]:
        """What its devices say of the school, and the alerts that follow."""
        devices = school.devices.values()
        gateways = [device for device in devices if device.kind == GATEWAY]
        silent = [device for device in devices if device.status is Status.OFFLINE]
        deciding = gateways or list(devices)
        if all(device.status is Status.OFFLINE for device in deciding):
            status = Status.OFFLINE
        elif silent:
            status = Status.DEGRADED
        elif any(device.status is Status.ONLINE for device in deciding):
            status = Status.ONLINE
        else:
            status = Status.UNKNOWN
        sign_ms = max((device.sign_ms for device in deciding), default=0)
        if status is not school.status:
            previous, school.status = school.status, status
            since_ms = sign_ms if status is Status.OFFLINE else decided_ms
            yield StatusChanged(
                school=school.name,
                status=status,
                previous=previous,
                since_ms=since_ms,
                decided_ms=decided_ms,
            )
        offline = status is Status.OFFLINE
        yield from self._alert(school, AlertKind.SCHOOL_OFFLINE, offline, sign_ms, decided_ms)
        blind = not offline and any(device.kind in PANIC_PATH for device in silent)
        blind_ms = max((d.sign_ms for d in silent if d.kind in PANIC_PATH), default=0)
        yield from self._alert(school, AlertKind.PANIC_BLIND, blind, blind_ms, decided_ms)

    def _alert(
        self, school: School, kind: AlertKind, wanted: bool, epoch_ms: int, decided_ms: int
    ) -> Iterator[AlertChanged]:
        there = school.alerts.get(kind)
        if wanted and there is None:
            school.alerts[kind] = (alert_id(kind, school.name, epoch_ms), 0)
            action, time_ms = Action.OPENED, epoch_ms
        elif there is not None and not wanted:
            school.alerts[kind] = (there[0], there[1] + 1)
            action, time_ms = Action.RESOLVED, decided_ms
        else:
            return
        id_, number = school.alerts[kind]
        if action is Action.RESOLVED:
            del school.alerts[kind]
        yield AlertChanged(
            id=id_,
            number=number,
            kind=kind,
            severity=Severity.CRITICAL,
            action=action,
            school=school.name,
            time_ms=time_ms,
            decided_ms=decided_ms,
        )
