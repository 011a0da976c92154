"""A school and its devices: what is known of them, and what follows for the school. Pure."""

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

Decision = StatusChanged | AlertChanged

GATEWAY: Final = "gateway"
PANIC_PATH: Final = frozenset({GATEWAY, "panic_button", "police_link"})
"""A school where one of these is silent can't call for help as it should: it is panic-blind."""


@dataclass(slots=True)
class Device:
    """``heard_ms``: Kafka's time of the last heartbeat, or from when on silence counts.

    ``sign_ms``: event time of the last sign of life, 0 for never. ``lag_ms``: how late the last
    heartbeat came. ``queued_ms``: its one live entry among the deadlines, 0 for none.
    ``since_ms`` and ``decided_ms`` are those of the status.
    """

    school: str
    name: str
    kind: str
    period_s: int
    heard_ms: int
    sign_ms: int = 0
    lag_ms: int = 0
    queued_ms: int = 0
    status: Status = Status.UNKNOWN
    since_ms: int = 0
    decided_ms: int = 0

    def turn(self, status: Status, since_ms: int, decided_ms: int) -> StatusChanged:
        previous, self.status = self.status, status
        self.since_ms, self.decided_ms = since_ms, decided_ms
        return StatusChanged(
            school=self.school,
            device=self.name,
            kind=self.kind,
            status=status,
            previous=previous,
            since_ms=since_ms,
            decided_ms=decided_ms,
        )


@dataclass(frozen=True, slots=True)
class Alert:
    """One that is open; its opening is transition 0, its resolution 1."""

    id: str
    kind: AlertKind
    device: str
    time_ms: int
    decided_ms: int


@dataclass(slots=True)
class School:
    """``registered``: the devices that the registry expects; None when it doesn't know the school."""

    name: str
    devices: dict[str, Device] = field(default_factory=dict)
    registered: frozenset[str] | None = None
    status: Status = Status.UNKNOWN
    since_ms: int = 0
    decided_ms: int = 0
    alerts: dict[AlertKind, Alert] = field(default_factory=dict)

    def deciding(self) -> list[Device]:
        """Whose silence is the school's: its gateways', or all when it has none."""
        devices = list(self.devices.values())
        return [device for device in devices if device.kind == GATEWAY] or devices

    def judge(self, decided_ms: int) -> tuple[list[StatusChanged], list[AlertChanged]]:
        """What changes for the school, by what its devices are now."""
        return list(self._turn(decided_ms)), list(self._alert(decided_ms))

    def open_alerts(self) -> Iterator[AlertChanged]:
        """The openings that follow from the statuses alone, as they were or should have been said.

        A crash can come between a status and its alert; readers keep the first of equal ones.
        """
        for alert in self._wanted():
            self.alerts[alert.kind] = alert
            yield self._opened(alert)

    def _turn(self, decided_ms: int) -> Iterator[StatusChanged]:
        status = self._status()
        if status is self.status:
            return
        previous, self.status = self.status, status
        self.decided_ms = self.since_ms = decided_ms
        if status is Status.OFFLINE:
            self.since_ms = max(device.sign_ms for device in self.deciding()) or decided_ms
        yield StatusChanged(
            school=self.name,
            status=status,
            previous=previous,
            since_ms=self.since_ms,
            decided_ms=decided_ms,
        )

    def _status(self) -> Status:
        deciding = self.deciding()
        if deciding and all(device.status is Status.OFFLINE for device in deciding):
            return Status.OFFLINE
        statuses = {device.status for device in self.devices.values()}
        if Status.OFFLINE in statuses:
            return Status.DEGRADED
        return Status.ONLINE if Status.ONLINE in statuses else Status.UNKNOWN

    def _alert(self, decided_ms: int) -> Iterator[AlertChanged]:
        wanted = {alert.kind: alert for alert in self._wanted()}
        for kind, alert in list(self.alerts.items()):
            if kind not in wanted or wanted[kind].id != alert.id:
                del self.alerts[kind]
                yield self._said(alert, Action.RESOLVED, 1, decided_ms, decided_ms)
        for kind, alert in wanted.items():
            if kind not in self.alerts:
                self.alerts[kind] = alert
                yield self._opened(alert)

    def _wanted(self) -> Iterator[Alert]:
        """A function of the statuses alone: they are all that a new owner has to go by."""
        if self.status is Status.OFFLINE:
            kind = AlertKind.SCHOOL_OFFLINE
            id_ = alert_id(kind, self.name, self.since_ms)
            yield Alert(id_, kind, "", self.since_ms, self.decided_ms)
        silent = [
            (device.decided_ms, device.name)
            for device in self.devices.values()
            if device.kind in PANIC_PATH and device.status is Status.OFFLINE
        ]
        if silent:
            first = self.devices[min(silent)[1]]
            kind = AlertKind.PANIC_BLIND
            id_ = alert_id(kind, f"{self.name}/{first.name}", first.since_ms)
            yield Alert(id_, kind, first.name, first.since_ms, first.decided_ms)

    def _opened(self, alert: Alert) -> AlertChanged:
        return self._said(alert, Action.OPENED, 0, alert.time_ms, alert.decided_ms)

    def _said(
        self, alert: Alert, action: Action, number: int, time_ms: int, decided_ms: int
    ) -> AlertChanged:
        return AlertChanged(
            id=alert.id,
            number=number,
            kind=alert.kind,
            severity=Severity.CRITICAL,
            action=action,
            school=self.name,
            device=alert.device,
            time_ms=time_ms,
            decided_ms=decided_ms,
        )
