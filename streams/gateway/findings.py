"""Security alerts for requests without a valid key and for buttons that flood, bounded per hour.

They never go near the panic topic. The first attempt of an hour from one place against one device is
an alert; the others are counted, and so are all beyond MOST_PER_HOUR.
"""

import asyncio
import time
from collections.abc import Callable, Hashable
from typing import Final

import structlog

from schemas.alerts import Action, AlertChanged, AlertKind, Severity, alert_id
from schemas.topics import ALERTS
from streams.gateway.panics import Sends, wall_ms
from streams.keys import Device
from streams.panic.decide import UNKNOWN_SCHOOL

log = structlog.get_logger(__name__)

HOUR_MS: Final = 3_600_000
MOST_PER_HOUR: Final = 60
SAY_WITHIN_S: Final = 60.0


class Findings:
    def __init__(self, kafka: Sends, now_ms: Callable[[], int] = wall_ms) -> None:
        self._kafka = kafka
        self._now_ms = now_ms
        self._hour = 0
        # Apart, so that strangers who knock at many doors hide no mad button.
        self._strangers: set[str] = set()
        self._buttons: set[str] = set()
        self._sending: set[asyncio.Task[None]] = set()
        self.count = 0

    def found(self, what: str, address: str, device: Device | None) -> None:
        """``device`` is who the sender said it was, when it is one of ours."""
        self.count += 1
        self._once(self._strangers, what, f", from {address}", device)

    def mad(self, sender: Hashable) -> None:
        """A device presses more than anybody can. It is heard all the same, and nothing is muted."""
        device = sender[0] if isinstance(sender, tuple) else sender
        if isinstance(device, Device):
            what = "mad button: its presses are coalesced into its open alarm"
            self._once(self._buttons, what, "", device)

    def _once(self, said: set[str], what: str, where: str, device: Device | None) -> None:
        now_ms = self._now_ms()
        if now_ms // HOUR_MS != self._hour:
            self._hour = now_ms // HOUR_MS
            self._strangers.clear()
            self._buttons.clear()
        school = device.school if device else UNKNOWN_SCHOOL
        name = device.device if device else ""
        alert = AlertChanged(
            id=alert_id(AlertKind.SECURITY, f"gateway|{school}|{name}|{where}|{what}", self._hour),
            number=0,
            kind=AlertKind.SECURITY,
            severity=Severity.WARNING,
            action=Action.OPENED,
            school=school,
            device=name,
            time_ms=now_ms,
            decided_ms=now_ms,
            note=what + where,
        )
        if alert.id in said or len(said) >= MOST_PER_HOUR:
            return
        said.add(alert.id)
        log.warning("security finding", what=what, where=where, school=school, device=name)
        task = asyncio.create_task(self._say(alert))
        self._sending.add(task)
        task.add_done_callback(self._sending.discard)

    async def _say(self, alert: AlertChanged) -> None:
        started_s = time.monotonic()
        try:
            sending = self._kafka.send(
                ALERTS.name, alert.school.encode(), alert.model_dump_json().encode()
            )
            await asyncio.wait_for(sending, SAY_WITHIN_S)
        except TimeoutError:
            log.warning("finding unsaid", after_s=round(time.monotonic() - started_s))

    async def stop(self) -> None:
        for task in self._sending:
            task.cancel()
        await asyncio.gather(*self._sending, return_exceptions=True)
