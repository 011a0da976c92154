"""Open alarms as the gateway sees them, so that it can predict the panic workers' alert ids: the same
decisions over the same topic, and over its own presses at once.

The open alarms are also written to a file, for a gateway that restarts while Kafka is down.
"""

import asyncio
import time
from collections.abc import AsyncIterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final

import structlog
from aiokafka.errors import KafkaError
from pydantic import TypeAdapter, ValidationError

from schemas.alerts import Action, AlertChanged
from schemas.settings import KafkaSettings
from schemas.topics import PANICS, REPLAY_OF_HEADER
from streams.gateway.coalesce import Said
from streams.gateway.limit import Recent
from streams.panic.decide import (
    ALARM_LASTS_MS,
    REBUILD_MS,
    Alarm,
    Drill,
    PanicState,
    decide,
)
from streams.runtime.kafka.bounded import ends_of, in_order, what_follows

log = structlog.get_logger(__name__)

CLOSED_REMEMBERED: Final = 20_000
RETRY_EVERY_S: Final = 1.0
WAIT_MS: Final = 100
AT_ONCE: Final = 200
REMEMBER_EVERY_S: Final = 0.2
REMEMBER_SHARE: Final = 0.05
"""So much of the time at most goes into remembering."""


@dataclass(frozen=True, slots=True)
class Open:
    """``alarms``: (school, drill, alarm)."""

    alarms: list[tuple[str, bool, Alarm]]
    drills: dict[str, list[Drill]]


_OPEN: Final = TypeAdapter(Open)


class Known:
    """Presses are decided on what is known so far; how it was before is read beside that."""

    def __init__(self) -> None:
        self._state = PanicState()
        self._rebuilding: PanicState | None = PanicState()
        self._meanwhile: list[tuple[bytes, bytes, int]] = []
        self._closed = Recent(CLOSED_REMEMBERED)
        self.changes = 0

    def remembered(self, now_ms: int) -> bytes:
        """What is open now, for ``remember``."""
        alarms = [
            (school, drill, alarm)
            for (school, drill), alarm in self._state.alarms.items()
            if now_ms - alarm.last_press_ms <= ALARM_LASTS_MS
        ]
        return _OPEN.dump_json(Open(alarms, self._state.drills))

    def remember(self, remembered: bytes) -> None:
        """Begin with what was open when this was said. Raises ValueError for something else."""
        was = _OPEN.validate_json(remembered)
        self._state.alarms = {(school, drill): alarm for school, drill, alarm in was.alarms}
        self._state.drills = was.drills

    @property
    def caught_up(self) -> bool:
        return self._rebuilding is None

    def press(self, key: bytes, value: bytes, now_ms: int) -> list[AlertChanged]:
        """The transitions of a press of our own; none when it was known already."""
        if self._rebuilding is not None:
            self._meanwhile.append((key, value, now_ms))
        self.changes += 1
        alerts = decide(self._state, key, value, now_ms)
        for alert in alerts:
            self._closed.discard(alert.id)
        return alerts

    def foresee(self, key: bytes, value: bytes, now_ms: int) -> Said | None:
        """What a press would say into which alarm, without saying it; None for what raises nothing."""
        state = self._state
        school = key.decode()
        there = PanicState(drills={school: state.drills.get(school, [])})
        for drill in (False, True):
            if (alarm := state.alarms.get((school, drill))) is not None:
                there.alarms[school, drill] = replace(alarm, devices=set(alarm.devices))
        said = decide(there, key, value, now_ms)
        if not said or said[0].cancels:
            return None
        (press,) = said
        return Said(
            alarm=None if press.action is Action.OPENED else press.id,
            closed=press.id in self._closed,
            late=press.late,
            unidentified=press.unidentified,
            duress=press.duress,
            place=press.place,
            repeat=(press.school, "panic.pressed", press.event) in state.ids,
        )

    def closed(self, alert: str) -> None:
        """A person has closed this alarm; the next press of any device raises it again."""
        self._closed.add(alert)

    def record(
        self, key: bytes | None, value: bytes | None, kafka_ms: int, *, replayed: bool
    ) -> None:
        """What the topic says; the panic workers speak of it."""
        state = self._state if self._rebuilding is None else self._rebuilding
        self.changes += 1
        decide(state, key, value, kafka_ms, replayed=replayed)

    def forget(self) -> None:
        """The past is read from its begin; until then what is known so far counts."""
        self._rebuilding, self._meanwhile = PanicState(), []

    def rebuilt(self) -> None:
        """The past is read: our own presses of the meantime come after it."""
        if self._rebuilding is None:
            return
        for key, value, now_ms in self._meanwhile:
            decide(self._rebuilding, key, value, now_ms)
        self._state, self._rebuilding, self._meanwhile = self._rebuilding, None, []


def recall(known: Known, path: Path) -> None:
    """Begin with what lies in the file, if anything does."""
    try:
        known.remember(path.read_bytes())
    except FileNotFoundError:
        return
    except (OSError, ValidationError) as error:
        log.warning("open alarms not recalled", path=str(path), error=str(error)[:200])


async def keep_remembered(known: Known, path: Path) -> None:
    """Write what is open to the file whenever it changed, until cancelled."""
    written = -1
    while True:
        began_s = time.monotonic()
        if known.changes != written:
            written = known.changes
            try:
                await asyncio.to_thread(_write, path, known.remembered(int(time.time() * 1000)))
            except OSError as error:
                log.warning("open alarms not written", path=str(path), error=str(error))
        took_s = time.monotonic() - began_s
        await asyncio.sleep(max(REMEMBER_EVERY_S, took_s / REMEMBER_SHARE))


def _write(path: Path, remembered: bytes) -> None:
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    draft = path.with_name(f".{path.name}.draft")
    draft.write_bytes(remembered)
    draft.replace(path)


async def follow(settings: KafkaSettings, known: Known) -> None:
    """Feed the panic topic to ``known`` until cancelled, from days before now on.

    The past comes in Kafka's order, as a school's records lie in two partitions after the topic got
    more; when that happens, it is read again.
    """
    while True:
        try:
            known.forget()
            ends = await ends_of(settings, PANICS.name)
            since_ms = int(time.time() * 1000) - REBUILD_MS
            await _tell(known, in_order(settings, PANICS.name, since_ms, None, ends))
            known.rebuilt()
            await _tell(known, what_follows(settings, PANICS.name, ends, WAIT_MS))
        except (KafkaError, OSError) as error:
            log.warning("panic topic unread", error=repr(error))
            await asyncio.sleep(RETRY_EVERY_S)


async def _tell(known: Known, records: AsyncIterator[Any]) -> None:
    told = 0
    async for record in records:
        replayed = any(name == REPLAY_OF_HEADER for name, _ in record.headers)
        known.record(record.key, record.value, record.timestamp, replayed=replayed)
        told += 1
        if told % AT_ONCE == 0:
            await asyncio.sleep(0)
