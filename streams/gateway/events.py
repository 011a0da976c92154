"""The way of everything that is no press: Kafka, or the sender keeps it and comes again."""

import asyncio
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Final

from streams.gateway.limit import Limit, Recent
from streams.gateway.panics import Sends
from streams.gateway.read import Record
from streams.keys import Device

ACK_TIMEOUT_S: Final = 5.0
MAX_WAITING_BYTES: Final = 64 * 1024 * 1024
RETRY_AFTER_S: Final = 5.0
REMEMBERED: Final = 500_000


class ComeAgain(Exception):
    """Not now. ``after_s``: when; ``mad``: the device itself sends too much."""

    def __init__(self, after_s: float, *, mad: bool) -> None:
        super().__init__(after_s)
        self.after_s = after_s
        self.mad = mad


@dataclass(frozen=True, slots=True)
class BatchAnswer:
    accepted: int
    repeated: int


class Events:
    """Passes events on. A batch is answered for when the broker has all of it."""

    def __init__(
        self,
        kafka: Sends,
        limit: Limit,
        clock: Callable[[], float] = time.monotonic,
        ack_timeout_s: float = ACK_TIMEOUT_S,
    ) -> None:
        self._kafka = kafka
        self._limit = limit
        self._clock = clock
        self._ack_timeout_s = ack_timeout_s
        self._recent = Recent(REMEMBERED)
        self._sending: dict[tuple[object, ...], asyncio.Task[None]] = {}
        self._waiting_bytes = 0
        self.accepted = 0
        self.repeated = 0

    def admit(self, device: Device, events: int) -> None:
        """Count a device's events. Raises ComeAgain when they are too many."""
        wait_s = self._limit.wait_s(device, max(events, 0), self._clock())
        if wait_s > 0:
            raise ComeAgain(wait_s, mad=True)
        if self._waiting_bytes > MAX_WAITING_BYTES:
            raise ComeAgain(RETRY_AFTER_S, mad=False)

    async def take(self, records: Sequence[Record]) -> BatchAnswer:
        """Return when Kafka has them all. Raises ComeAgain when it takes too long.

        What the broker has not acknowledged by then is still on its way: the device sends it again
        and it joins the one that waits, or is known as a repeat.
        """
        new = [record for record in records if record.what not in self._recent]
        tasks = {self._sent(record) for record in new}
        if tasks:
            done, late = await asyncio.wait(tasks, timeout=self._ack_timeout_s)
            if late or any(task.cancelled() or task.exception() for task in done):
                raise ComeAgain(RETRY_AFTER_S, mad=False)
        passed = BatchAnswer(len(new), len(records) - len(new))
        self.accepted += passed.accepted
        self.repeated += passed.repeated
        return passed

    async def stop(self) -> None:
        for task in self._sending.values():
            task.cancel()
        await asyncio.gather(*self._sending.values(), return_exceptions=True)

    def _sent(self, record: Record) -> "asyncio.Task[None]":
        task = self._sending.get(record.what)
        if task is None:
            task = asyncio.create_task(self._send(record))
            self._sending[record.what] = task
        return task

    async def _send(self, record: Record) -> Any:
        size = len(record.value)
        self._waiting_bytes += size
        try:
            await self._kafka.send(record.topic, record.school.encode(), record.value)
            self._recent.add(record.what)
        finally:
            self._waiting_bytes -= size
            self._sending.pop(record.what, None)
