"""The way of a press: Kafka if it acknowledges in time, else the journal and everybody directly.

Theory of operation. Three things can fail on the way of a press: Kafka, the panic workers behind it, and
our own disk. None of them may lose a press or delay it by more than a second, and the device must learn
whether it may forget the press. So each press is written to the producer first, and a timer decides
about the rest. The same press may therefore be heard twice, from Kafka and directly: that is safe, since its
alert id and its number follow from the records alone, and every receiver folds by them (schemas.life).

There are two modes. Normally a press waits for Kafka's acknowledgement, and is told directly only
if that is late. After a press was late, the mode *doubted* holds (step 8): each press is journaled and told
directly at once, until a worker proves that Kafka and it are back. It is entered by itself and left by
itself; being in it costs duplicates, never a press.

What is not nice: the gateway decides the press a second time (streams.gateway.known) to know the id that
the worker will give. Both run the same pure function over the same topic. Step by step:

1. It is decided at once on what the gateway knows, so that its alert has an id.
2. It is handed to Kafka, whose producer holds it until it is there.
3. If the broker has not acknowledged it in time, it is written to the journal and told to console,
   dispatch and notify, both at once.
4. Whoever sent it is answered when Kafka or the journal has it, or, with the disk full, when somebody
   was told.
5. When Kafka has it, the journal is told so.
6. What Kafka acknowledged in time is told directly, too, if no panic worker speaks of it soon.
7. Of a device that presses madly, a press for which an earlier one speaks is answered with the open
   alarm, when that one is safe (streams.gateway.coalesce).
8. From a press that Kafka or the workers left waiting on, none waits for them (step 3 at once), until a
   worker has spoken again soon after Kafka had a press.
"""

import asyncio
import base64
import json
import time
from collections import OrderedDict
from collections.abc import Callable, Coroutine, Hashable
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Final, Protocol, TypeVar

import structlog

from schemas.alerts import Action, AlertChanged, AlertKind, Severity, alert_id
from schemas.topics import ALERTS, PANICS
from streams.gateway.coalesce import Coalescing, Said
from streams.gateway.direct import Direct
from streams.gateway.heard import Heard
from streams.gateway.keeper import Keeper
from streams.gateway.known import Known
from streams.gateway.read import Record
from streams.panic.decide import SAME_BYTES_MS, UNKNOWN_SCHOOL

log = structlog.get_logger(__name__)

T = TypeVar("T")

DISK_TIMEOUT_S: Final = 0.4
"""A disk that takes longer counts as full: who pressed waits for the answer."""
HEARD_WITHIN_S: Final = 0.5
"""A press that is acknowledged is an alert within milliseconds, unless something stands still."""
REMEMBERED: Final = 20_000
IMPAIRED_AGAIN_MS: Final = 10 * 60_000


class Kept(StrEnum):
    """Where a press is. ``memory``: the disk refused, and Kafka is down. ``coalesced``: in an earlier
    press of the same device, which said the same into the alarm that is open."""

    KAFKA = "kafka"
    JOURNAL = "journal"
    MEMORY = "memory"
    COALESCED = "coalesced"


@dataclass(frozen=True, slots=True)
class Taken:
    """``alerts`` are the ids that it raised or updated, ``told`` how many heard of it directly."""

    kept: Kept
    alerts: tuple[str, ...]
    told: int

    @property
    def safe(self) -> bool:
        """Whether whoever sent it may forget it."""
        return self.kept is not Kept.MEMORY or self.told > 0


class Sends(Protocol):
    async def send(self, topic: str, key: bytes, value: bytes) -> None:
        """Return when the broker has acknowledged it."""


def wall_ms() -> int:
    return int(time.time() * 1000)


class Panics:
    """Takes presses. ``ack_timeout_ms``: how long Kafka may take for one."""

    def __init__(
        self,
        kafka: Sends,
        keeper: Keeper,
        direct: Direct,
        known: Known,
        heard: Heard,
        ack_timeout_ms: int,
        now_ms: Callable[[], int] = wall_ms,
        mad: Callable[[Hashable], None] = lambda _: None,
    ) -> None:
        self._mad = mad
        self._coalescing: Coalescing[asyncio.Task[Taken]] = Coalescing()
        # Of each device that is coalesced, the press that is written next.
        self._latest: dict[Hashable, Record] = {}
        self._kafka = kafka
        self._keeper = keeper
        self._direct = direct
        self._known = known
        self._heard = heard
        self._ack_timeout_s = ack_timeout_ms / 1000
        self._now_ms = now_ms
        # Kafka was late, and has acknowledged nothing since.
        self._late = False
        # A press was left waiting, by Kafka or by the workers, and none was spoken of in time since. A
        # broker that is back acknowledges seconds before its readers are back.
        self._doubted = False
        self._taking: OrderedDict[tuple[object, ...], tuple[int, asyncio.Task[Taken]]] = (
            OrderedDict()
        )
        self._tasks: set[asyncio.Task[Any]] = set()
        self._impaired_ms = -IMPAIRED_AGAIN_MS
        self.count = dict.fromkeys(Kept, 0)
        self.refused = 0
        self.unheard = 0

    @property
    def kafka_late(self) -> bool:
        return self._late

    @property
    def doubted(self) -> bool:
        """Whether presses wait neither for Kafka nor for a worker."""
        return self._doubted

    async def take(self, record: Record) -> Taken:
        """Take one press. The same one again, as from a device that missed the answer, adds nothing."""
        now_ms = self._now_ms()
        known = self._taking.get(record.what)
        if known is None or (record.unread and now_ms - known[0] > SAME_BYTES_MS):
            said = self._known.foresee(record.school.encode(), record.value, now_ms)
            carrier = self._coalescing.carrier(record.sender, said, now_ms / 1000)
            if carrier is not None:
                return await self._coalesce(record, said, carrier)
            task = self._write(record, said, now_ms)
        else:
            task = known[1]
        try:
            # Shielded: a client that disconnects must not cancel the press.
            taken = await asyncio.shield(task)
        except Exception:
            self._taking.pop(record.what, None)
            raise
        if not taken.safe:
            self._taking.pop(record.what, None)
        return taken

    def is_mad(self, sender: Hashable) -> bool:
        """Whether this device pressed so much that its next press may be coalesced."""
        return self._coalescing.is_mad(sender, self._now_ms() / 1000)

    async def replay(self) -> int:
        """Take up what the journal holds from before, in its order; how many presses that were."""
        pending = await self._keeper.open()
        for number, payload in pending.items():
            said = json.loads(payload)
            key, value = said["school"].encode(), base64.b64decode(said["value"])
            # What it raised is said as it was said, or meant to be said, then.
            alerts = [AlertChanged.model_validate_json(alert) for alert in said["alerts"]]
            self._known.press(key, value, said["received_ms"])
            delivery = self._spawn(self._deliver(key, value))
            self._mark_when_there(delivery, number)
            self._spawn(self._tell_if_late(delivery, alerts))
        return len(pending)

    async def stop(self) -> None:
        await self._direct.stop()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await self._keeper.close()

    def _write(self, record: Record, said: Said | None, now_ms: int) -> "asyncio.Task[Taken]":
        # It is decided before any other is looked at, which may join its alarm.
        alerts = self._known.press(record.school.encode(), record.value, now_ms)
        task = self._spawn(self._take(record, alerts, now_ms))
        alarm = alerts[0].id if alerts else None
        self._coalescing.wrote(record.sender, said, alarm, task)
        self._latest.pop(record.sender, None)
        self._taking[record.what] = (now_ms, task)
        if len(self._taking) > REMEMBERED:
            self._taking.popitem(last=False)
        return task

    async def _coalesce(
        self, record: Record, said: Said | None, carrier: "asyncio.Task[Taken]"
    ) -> Taken:
        sender, now_s = record.sender, self._now_ms() / 1000
        if sender not in self._latest:
            self._mad(sender)
            self._spawn(self._write_latest(sender, self._coalescing.again_s(sender, now_s)))
        self._latest[sender] = record
        await asyncio.sleep(self._coalescing.pause_s(sender, now_s))
        carried = await asyncio.shield(carrier)
        if not carried.safe:
            return carried
        self.count[Kept.COALESCED] += 1
        alarm = said.alarm if said is not None else None
        return Taken(Kept.COALESCED, (alarm,) if alarm else carried.alerts, 0)

    async def _write_latest(self, sender: Hashable, after_s: float) -> None:
        """What was coalesced last, so that what the device said in the end is heard."""
        await asyncio.sleep(after_s)
        record = self._latest.pop(sender, None)
        if record is not None:
            await self.take(record)

    async def _take(self, record: Record, alerts: list[AlertChanged], now_ms: int) -> Taken:
        key = record.school.encode()
        ids = tuple(alert.id for alert in alerts)
        delivery = self._spawn(self._deliver(key, record.value))
        if await self._in_time(delivery):
            self.count[Kept.KAFKA] += 1
            self._spawn(self._tell_if_unheard(alerts))
            return Taken(Kept.KAFKA, ids, 0)
        self._spawn(self._trust_again(alerts, delivery))
        kept, told = await asyncio.gather(
            self._keep(record, now_ms, alerts, delivery), self._tell(alerts, delivery)
        )
        if kept is Kept.MEMORY and not told and await self._arrived(delivery):
            kept = Kept.KAFKA  # the doubt was in vain
        self.count[kept] += 1
        taken = Taken(kept, ids, told)
        self.refused += not taken.safe
        log.warning("press past kafka", school=record.school, kept=str(kept), told=told)
        return taken

    async def _in_time(self, delivery: "asyncio.Task[None]") -> bool:
        if self._doubted:
            return False
        if await self._arrived(delivery):
            return True
        self._late = self._doubted = True
        return False

    async def _arrived(self, delivery: "asyncio.Task[None]") -> bool:
        done, _ = await asyncio.wait({delivery}, timeout=self._ack_timeout_s)
        return bool(done)

    async def _keep(
        self,
        record: Record,
        now_ms: int,
        alerts: list[AlertChanged],
        delivery: "asyncio.Task[None]",
    ) -> Kept:
        value = base64.b64encode(record.value).decode()
        said = [alert.model_dump_json() for alert in alerts]
        entry = {"school": record.school, "value": value, "received_ms": now_ms, "alerts": said}
        keeping = self._spawn(self._keeper.keep(json.dumps(entry).encode()))
        done, _ = await asyncio.wait({keeping}, timeout=DISK_TIMEOUT_S)
        if not done or keeping.exception() is not None:
            error = repr(keeping.exception()) if done else "the disk does not answer"
            log.error("journal refused a press", school=record.school, error=error)
            self._spawn(self._say_impaired(error, now_ms))
            # The write may still succeed; it is marked then.
            keeping.add_done_callback(lambda kept: self._mark_kept(kept, delivery))
            return Kept.MEMORY
        self._mark_when_there(delivery, keeping.result())
        return Kept.JOURNAL

    def _mark_kept(self, keeping: "asyncio.Task[int]", delivery: "asyncio.Task[None]") -> None:
        if not keeping.cancelled() and keeping.exception() is None:
            self._mark_when_there(delivery, keeping.result())

    def _mark_when_there(self, delivery: "asyncio.Task[None]", number: int) -> None:
        def mark(task: "asyncio.Task[None]") -> None:
            if not task.cancelled() and task.exception() is None:
                self._keeper.done(number)

        delivery.add_done_callback(mark)

    async def _tell(self, alerts: list[AlertChanged], delivery: "asyncio.Task[None]") -> int:
        heard = await asyncio.gather(
            *(
                self._direct.tell(alert, lambda: self._doubted or not delivery.done())
                for alert in alerts
            )
        )
        return max(heard, default=0)

    async def _tell_if_late(
        self, delivery: "asyncio.Task[None]", alerts: list[AlertChanged]
    ) -> None:
        if not await self._in_time(delivery):
            await self._tell(alerts, delivery)

    async def _tell_if_unheard(self, alerts: list[AlertChanged]) -> None:
        if await self._heard.within([alert.event for alert in alerts], HEARD_WITHIN_S):
            return
        self.unheard += 1
        self._doubted = True
        log.warning("press told directly: no worker spoke of it", school=alerts[0].school)
        await asyncio.gather(*(self._direct.tell(alert) for alert in alerts))

    async def _trust_again(
        self, alerts: list[AlertChanged], delivery: "asyncio.Task[None]"
    ) -> None:
        await delivery
        events = [alert.event for alert in alerts]
        if events and await self._heard.within(events, HEARD_WITHIN_S):
            self._doubted = False

    async def _say_impaired(self, error: str, now_ms: int) -> None:
        """An alert that presses are not kept, said directly and, when it is back, through Kafka."""
        if now_ms - self._impaired_ms < IMPAIRED_AGAIN_MS:
            return
        self._impaired_ms = now_ms
        alert = AlertChanged(
            id=alert_id(AlertKind.MONITORING_IMPAIRED, "gateway-journal", now_ms),
            number=0,
            kind=AlertKind.MONITORING_IMPAIRED,
            severity=Severity.CRITICAL,
            action=Action.OPENED,
            school=UNKNOWN_SCHOOL,
            time_ms=now_ms,
            decided_ms=now_ms,
            note=f"Kafka is late and the gateway's journal refuses: presses are told directly "
            f"and kept in memory only. {error}"[:500],
        )
        value = alert.model_dump_json().encode()
        await asyncio.gather(
            self._direct.tell(alert), self._kafka.send(ALERTS.name, alert.school.encode(), value)
        )

    async def _deliver(self, key: bytes, value: bytes) -> None:
        await self._kafka.send(PANICS.name, key, value)
        self._late = False

    def _spawn(self, coroutine: Coroutine[Any, Any, T]) -> "asyncio.Task[T]":
        task = asyncio.create_task(coroutine)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task
