"""A school: its state by what its devices are, and the alerts that follow. Pure.

    offline   all its gateways (all its devices, when it has none) are silent, one of them unplanned
    degraded  another device is silent
    unknown   nothing was heard yet, or all the silence is planned
    online    otherwise

A flapping gateway holds its school's state down until it is calm: offline stays said, once.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field
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
from streams.liveness.calendar import ALWAYS, Calendar
from streams.liveness.device import TROUBLE, Device

Decision = StatusChanged | AlertChanged

GATEWAY: Final = "gateway"
PANIC_PATH: Final = frozenset({GATEWAY, "panic_button", "police_link"})
"""A school where one of these is silent can't call for help as it should: it is panic-blind."""
_SILENT: Final = TROUBLE | {Status.MAINTENANCE}


@dataclass(frozen=True, slots=True)
class Alert:
    """One that is open. Its opening is transition 0, its resolution 1, its true end 2 if that is
    known later."""

    id: str
    kind: AlertKind
    device: str
    time_ms: int
    decided_ms: int
    severity: Severity = Severity.CRITICAL


@dataclass(slots=True)
class School:
    """``registered``: the devices that the registry expects; None when it doesn't know the school.

    ``ended``: the last alerts that a device's return resolved, by kind. ``tested_ms``: Kafka's time
    of the last test that a button passed.
    """

    name: str
    devices: dict[str, Device] = field(default_factory=dict)
    registered: frozenset[str] | None = None
    calendar: Calendar = ALWAYS
    status: Status = Status.UNKNOWN
    since_ms: int = 0
    decided_ms: int = 0
    alerts: dict[tuple[AlertKind, str], Alert] = field(default_factory=dict)
    ended: dict[AlertKind, tuple[Alert, str]] = field(default_factory=dict)
    tested_ms: dict[str, int] = field(default_factory=dict)

    def deciding(self) -> list[Device]:
        """Whose silence is the school's: its gateways', or all when it has none."""
        devices = list(self.devices.values())
        return [device for device in devices if device.kind == GATEWAY] or devices

    def judge(
        self, decided_ms: int, back: Device | None = None
    ) -> tuple[list[StatusChanged], list[AlertChanged]]:
        """What changes for the school, by what its devices are now; ``back`` has just returned."""
        return list(self._turn(decided_ms)), list(self._alert(decided_ms, back))

    def open_alerts(self) -> Iterator[AlertChanged]:
        """The openings that follow from the statuses alone, as they were or should have been said.

        A crash can come between a status and its alert; readers keep the first of equal ones.
        """
        for key, alert in self._wanted():
            self.alerts[key] = alert
            yield self._opened(alert)

    def ended_truly(
        self, device: Device, hole: tuple[int, int], decided_ms: int
    ) -> Iterator[AlertChanged]:
        """What buffered heartbeats tell afterwards of the alerts that this device's return ended."""
        for kind, (alert, by) in list(self.ended.items()):
            if by == device.name:
                del self.ended[kind]
                note = f"by its buffered heartbeats silent from {hole[0]} to {hole[1]}"
                yield self._said(alert, Action.RESOLVED, 2, hole[1], decided_ms, note)

    def _turn(self, decided_ms: int) -> Iterator[StatusChanged]:
        status = self._status()
        if status is self.status:
            return
        previous, self.status = self.status, status
        self.decided_ms = self.since_ms = decided_ms
        if status is Status.OFFLINE:
            self.since_ms = max(d.since_ms for d in self.deciding() if d.status in TROUBLE)
        yield self.said(previous)

    def said(self, previous: Status) -> StatusChanged:
        return StatusChanged(
            school=self.name,
            status=self.status,
            previous=previous,
            since_ms=self.since_ms,
            decided_ms=self.decided_ms,
        )

    def _status(self) -> Status:
        deciding = {device.status for device in self.deciding()}
        if deciding & TROUBLE and deciding <= _SILENT:
            return Status.OFFLINE
        statuses = {device.status for device in self.devices.values()}
        if statuses & TROUBLE:
            return Status.DEGRADED
        if deciding == {Status.MAINTENANCE}:
            return Status.UNKNOWN
        return Status.ONLINE if statuses & {Status.ONLINE, Status.LATE} else Status.UNKNOWN

    def _alert(self, decided_ms: int, back: Device | None) -> Iterator[AlertChanged]:
        wanted = dict(self._wanted())
        for key, alert in list(self.alerts.items()):
            if key not in wanted or wanted[key].id != alert.id:
                del self.alerts[key]
                ended_ms = decided_ms
                if back is not None and alert.severity is Severity.CRITICAL:
                    self.ended[alert.kind] = alert, back.name
                    ended_ms = back.since_ms
                yield self._said(alert, Action.RESOLVED, 1, ended_ms, decided_ms)
        for key, alert in wanted.items():
            if key not in self.alerts:
                self.alerts[key] = alert
                self.ended.pop(alert.kind, None)
                yield self._opened(alert)

    def _wanted(self) -> Iterator[tuple[tuple[AlertKind, str], Alert]]:
        """A function of the statuses alone: they are all that a new owner has to go by."""
        if self.status is Status.OFFLINE:
            kind = AlertKind.SCHOOL_OFFLINE
            id_ = alert_id(kind, self.name, self.decided_ms)
            yield (kind, ""), Alert(id_, kind, "", self.since_ms, self.decided_ms)
        silent = [
            (device.fell_ms, device.name)
            for device in self.devices.values()
            if device.kind in PANIC_PATH and device.status in TROUBLE
        ]
        if silent:
            first = self.devices[min(silent)[1]]
            kind = AlertKind.PANIC_BLIND
            id_ = alert_id(kind, f"{self.name}/{first.name}", first.fell_ms)
            yield (kind, ""), Alert(id_, kind, first.name, first.since_ms, first.fell_ms)
        for device in self.devices.values():
            for found, since_ms in device.findings.items():
                kind = AlertKind(found)
                id_ = alert_id(kind, f"{self.name}/{device.name}", since_ms)
                yield (
                    (kind, device.name),
                    Alert(id_, kind, device.name, since_ms, since_ms, Severity.WARNING),
                )

    def _opened(self, alert: Alert) -> AlertChanged:
        return self._said(alert, Action.OPENED, 0, alert.time_ms, alert.decided_ms)

    def _said(
        self,
        alert: Alert,
        action: Action,
        number: int,
        time_ms: int,
        decided_ms: int,
        note: str = "",
    ) -> AlertChanged:
        return AlertChanged(
            id=alert.id,
            number=number,
            kind=alert.kind,
            severity=alert.severity,
            action=action,
            school=self.name,
            device=alert.device,
            time_ms=time_ms,
            decided_ms=decided_ms,
            note=note,
        )
