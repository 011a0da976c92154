"""When a device's silence may mean something, and what it then means. Pure.

A device has at most one entry in the heap. When it is heard, its deadline moves on and the entry stays: it is
moved when it comes up, so that a heartbeat costs nothing here. Only an earlier deadline is queued anew.
"""

from collections.abc import Iterable
from dataclasses import dataclass, field
from heapq import heapify, heappush
from typing import Final

from schemas.alerts import Status, StatusChanged
from streams.liveness.device import CALM_TIMEOUTS, TROUBLE, Device
from streams.liveness.findings import HOUR_MS
from streams.liveness.school import School

HOURLY: Final = ""
"""Stands among the deadlines in place of a school: look at the weekly tests."""


@dataclass(slots=True)
class Deadlines:
    """``misses`` and ``grace_ms`` are those of ``Liveness``. ``heap``: (Kafka's ms, school, device)."""

    misses: int
    grace_ms: int
    heap: list[tuple[int, str, str]] = field(default_factory=list)

    def timeout_ms(self, device: Device) -> int:
        return self.misses * device.period_s * 1000 + self.grace_ms

    def next_ms(self, device: Device, school: School) -> int:
        """When the device's status may change if nothing is heard; 0 for never."""
        status, timeout_ms = device.status, self.timeout_ms(device)
        deadline_ms = max(device.heard_ms, device.judged_ms) + timeout_ms
        if status is Status.ONLINE and self.misses > 1:
            return deadline_ms - device.period_s * 1000
        if status is Status.OFFLINE:
            return school.calendar.excused_from_ms(device.name, device.kind, device.decided_ms)
        if status is Status.FLAPPING:
            return min(deadline_ms, device.decided_ms + CALM_TIMEOUTS * timeout_ms)
        return deadline_ms

    def queue_if_sooner(self, device: Device, school: School) -> None:
        """A later deadline is found when the entry comes up; an earlier one would be missed."""
        at_ms = self.next_ms(device, school)
        if at_ms and not 0 < device.queued_ms <= at_ms:
            device.queued_ms = at_ms
            heappush(self.heap, (at_ms, device.school, device.name))

    def begin_anew(self, from_ms: int, schools: Iterable[School]) -> None:
        """Queue all devices, whose silence counts from then on."""
        self.heap = [(from_ms - from_ms % HOUR_MS + HOUR_MS, HOURLY, "")]
        for school in schools:
            for device in school.devices.values():
                device.queued_ms = self.next_ms(device, school)
                if device.queued_ms:
                    self.heap.append((device.queued_ms, school.name, device.name))
        heapify(self.heap)

    def has_passed(self, device: Device, school: School, now_ms: int) -> bool:
        """Whether the device is silent, or would be if it was judged now."""
        return device.status in TROUBLE or (
            device.heard_ms + self.timeout_ms(device) < now_ms
            and not school.calendar.excused_until_ms(device.name, device.kind, now_ms)
        )

    def turn(self, device: Device, school: School, at_ms: int) -> StatusChanged | None:
        """What its silence up to now makes of a device; None when only its deadline moves."""
        calendar, timeout_ms = school.calendar, self.timeout_ms(device)
        deadline_ms = max(device.heard_ms, device.judged_ms) + timeout_ms
        if device.status is Status.FLAPPING and at_ms < deadline_ms:
            return device.turn(Status.ONLINE, device.decided_ms, at_ms)  # it is calm
        until_ms = calendar.excused_until_ms(device.name, device.kind, at_ms)
        if until_ms:
            device.judged_ms = until_ms
            if device.status is Status.MAINTENANCE:
                return None
            return device.turn(Status.MAINTENANCE, device.sign_ms or at_ms, at_ms)
        if at_ms < deadline_ms:
            return device.turn(Status.LATE, device.sign_ms or at_ms, at_ms)
        judged_ms = calendar.judged_from_ms(device.name, device.kind, at_ms)
        if judged_ms > max(device.heard_ms, device.judged_ms):
            device.judged_ms = judged_ms
            return None
        return device.fall(at_ms, timeout_ms)
