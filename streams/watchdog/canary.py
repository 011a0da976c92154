"""Synthetic heartbeats and presses, straight to Kafka, of schools that are none (events.is_canary)."""

import asyncio
import time
from collections.abc import Sequence
from contextlib import suppress
from typing import Final

from aiokafka import ConsumerRecord, TopicPartition
from aiokafka.errors import KafkaError
from pydantic import ValidationError

from schemas.alerts import NOTICE, AlertChanged
from schemas.events import DeviceKind, Heartbeat, PanicPressed
from schemas.ids import uuid7
from schemas.settings import KafkaSettings
from schemas.topics import ALERTS, HEARTBEATS, PANICS
from streams.runtime.kafka.bounded import partitions_of
from streams.runtime.kafka.reader import Followed, Reader
from streams.runtime.kafka.writer import Message, Writer

BEAT_PERIOD_S: Final = 5
ACK_WITHIN_S: Final = 5.0
BACK_MS: Final = 60_000
"""Where the reader begins, as an alert may come before it does."""
DEVICE: Final = "canary"
BY_GATEWAY: Final = -1
"""In place of the partition, of presses that go through the gateway."""


def school_of(partition: int) -> str:
    return f"KZ-00-9{partition:04d}"


def beat(partition: int, seq: int, boot: int, now_ms: int) -> Heartbeat:
    return Heartbeat(
        id=uuid7(now_ms),
        school=school_of(partition),
        device=DEVICE,
        time_ms=now_ms,
        boot=boot,
        seq=seq,
        kind=DeviceKind.GATEWAY,
        period_s=BEAT_PERIOD_S,
        link_pct=100,
        provider=DEVICE,
        buffered=0,
        clock_offset_ms=0,
    )


def press(partition: int, seq: int, boot: int, now_ms: int) -> PanicPressed:
    return PanicPressed(
        id=uuid7(now_ms),
        school=school_of(partition),
        device=DEVICE,
        time_ms=now_ms,
        boot=boot,
        seq=seq,
    )


class Canaries:
    """One run with one writer and one reader; after an error make another."""

    def __init__(self, settings: KafkaSettings) -> None:
        self._writer = Writer(settings, client_id="saqshy-canaries")
        self._settings = settings
        self._reader = Reader(
            settings, [Followed(ALERTS.name, BACK_MS)], self._hear, client_id="saqshy-canaries"
        )
        self._partitions: Sequence[int] = ()
        self._boot = int(time.time())
        self._seq = 0
        self._waiting: dict[str, tuple[int, float]] = {}
        """Partition, or BY_GATEWAY, and time of the presses that no alert names yet."""
        self.answered_after_s: float | None = None

    async def start(self) -> None:
        """Raises aiokafka's KafkaError when the broker or the topics are not there."""
        await self._writer.start()
        self._partitions = (await partitions_of(self._settings, [PANICS.name]))[PANICS.name]
        if not self._partitions:
            raise KafkaError(f"there is no topic {PANICS.name}")

    async def stop(self) -> None:
        await self._writer.stop()

    async def beat(self) -> tuple[int, ...]:
        """One heartbeat on each partition; the partitions that did not take theirs in time."""
        self._seq += 1
        now_ms = int(time.time() * 1000)
        taken = await asyncio.gather(
            *(
                self._send(HEARTBEATS.name, number, beat(number, self._seq, self._boot, now_ms))
                for number in self._partitions
            )
        )
        return tuple(
            number for number, done in zip(self._partitions, taken, strict=True) if not done
        )

    async def press(self) -> None:
        """One press, on another partition each time. What Kafka refuses waits all the same."""
        self._seq += 1
        number = self._partitions[self._seq % len(self._partitions)]
        event = press(number, self._seq, self._boot, int(time.time() * 1000))
        self.awaits(event.id, number)
        await self._send(PANICS.name, number, event)

    def awaits(self, event: str, number: int) -> None:
        """A press is sent now, by whichever way."""
        self._waiting[event] = (number, time.monotonic())

    def unanswered_since_s(self, *, by_gateway: bool = False) -> float | None:
        """When the oldest press of this way was sent that no alert names; monotonic."""
        return min(
            (
                sent_s
                for number, sent_s in self._waiting.values()
                if (number == BY_GATEWAY) is by_gateway
            ),
            default=None,
        )

    async def listen(self) -> None:
        """Until cancelled: which presses have become alerts."""
        await self._reader.run()

    async def _hear(self, _: TopicPartition, records: list[ConsumerRecord]) -> None:
        for record in records if self._waiting else ():
            with suppress(ValidationError):
                notice = NOTICE.validate_json(record.value or b"")
                if isinstance(notice, AlertChanged) and notice.event in self._waiting:
                    self._answered(notice.event)

    def _answered(self, event: str) -> None:
        number, sent_s = self._waiting.pop(event)
        self.answered_after_s = time.monotonic() - sent_s
        # What was lost before stays lost; that partition is heard again now.
        self._waiting = {
            event: (other, at_s)
            for event, (other, at_s) in self._waiting.items()
            if other != number or at_s > sent_s
        }

    async def _send(self, topic: str, partition: int, event: Heartbeat | PanicPressed) -> bool:
        try:
            async with asyncio.timeout(ACK_WITHIN_S):
                value = event.model_dump_json().encode()
                await self._writer.send(Message(topic, event.school.encode(), value, partition))
        except (KafkaError, OSError):
            return False
        return True
