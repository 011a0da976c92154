"""What operators do goes to Kafka from here: acknowledged by all replicas, kept elsewhere, or an error.

What Kafka does not take soon is handed over to dispatch, which acts on it at once, keeps it on its disk
and says it to Kafka later. Until that is seen in Kafka every further step goes the same way, so that the
steps stay in the order in which they were taken.
"""

import asyncio
import time
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Final

import structlog
from aiokafka.errors import KafkaError

from schemas.audit import AuditHead
from schemas.events import DrillDeclared
from schemas.settings import KafkaSettings
from schemas.steps import StepTaken
from schemas.topics import AUDIT_HEADS, PANICS, STEPS
from streams.runtime.direct import Teller
from streams.runtime.kafka.writer import Message, Writer

log = structlog.get_logger(__name__)

WITHIN_S: Final = 5.0
HAND_OVER_AFTER_S: Final = 0.5
DIRECT_WITHIN_S: Final = 2.0
RETRY_S: Final = 1.0


class NotSaid(Exception):
    """Nobody took it in time. Kafka may still have it: the same id is said only once."""


class Kept(StrEnum):
    """Where a step is. ``memory``: Kafka is away and the disk of who was told refuses."""

    KAFKA = "kafka"
    DISPATCH = "dispatch"
    MEMORY = "memory"


@dataclass(frozen=True, slots=True)
class At:
    """When (Kafka's time, or ours while it is away, in ms) and where a step was taken down."""

    kafka_ms: int
    offset: int
    kept: Kept = Kept.KAFKA


class StepWriter:
    """One writer, started as soon as Kafka is there. ``direct_urls`` are told of a step
    that Kafka does not take, by the secret in ``secret_file``."""

    def __init__(
        self, kafka: KafkaSettings, direct_urls: Sequence[str], secret_file: Path | None
    ) -> None:
        self._writer = Writer(kafka, client_id="saqshy-console")
        self._teller = Teller(direct_urls, secret_file)
        self._handed_over: set[str] = set()
        self._sending: set[asyncio.Task[At]] = set()

    @property
    def handed_over(self) -> int:
        """Steps that are not seen in Kafka yet."""
        return len(self._handed_over)

    async def step(self, step: StepTaken) -> At:
        """Where it was taken down. Raises NotSaid."""
        if self._handed_over and (at := await self._hand_over(step)):
            return at
        sending = asyncio.create_task(self._send(STEPS.name, step.school, step.model_dump_json()))
        self._sending.add(sending)
        sending.add_done_callback(self._sent)
        await asyncio.wait({sending}, timeout=HAND_OVER_AFTER_S)
        in_kafka = sending.done() and sending.exception() is None
        if not in_kafka and (at := await self._hand_over(step)):
            return at
        return await asyncio.shield(sending)

    async def drill(self, drill: DrillDeclared) -> At:
        """The same for a drill, which only Kafka can take. Raises NotSaid."""
        return await self._send(PANICS.name, drill.school, drill.model_dump_json())

    async def audit_head(self, head: AuditHead) -> At:
        """The same for the audit log's last hash. Raises NotSaid."""
        return await self._send(AUDIT_HEADS.name, "console", head.model_dump_json())

    def seen(self, step: StepTaken) -> None:
        """Kafka has it."""
        self._handed_over.discard(step.id)

    async def _hand_over(self, step: StepTaken) -> At | None:
        """None when nobody has it."""
        body = step.model_dump_json().encode()
        told = await asyncio.gather(
            *(self._teller.tell(url, body, DIRECT_WITHIN_S) for url in self._teller.urls)
        )
        heard = [answer for answer in told if answer is not None]
        if not heard:
            log.warning("nobody could be told of a step", urls=self._teller.urls)
            return None
        kept = Kept.DISPATCH if any(answer.get("kept") for answer in heard) else Kept.MEMORY
        if kept is Kept.DISPATCH:
            self._handed_over.add(step.id)
        log.warning("a step past kafka", alert=step.alert, took=step.took.value, kept=str(kept))
        return At(time.time_ns() // 1_000_000, 0, kept)

    def _sent(self, sending: "asyncio.Task[At]") -> None:
        self._sending.discard(sending)
        if not sending.cancelled():
            sending.exception()  # who still waits for it is told; of what was handed over nobody asks

    async def _send(self, topic: str, key: str, value: str) -> At:
        try:
            async with asyncio.timeout(WITHIN_S):
                at = await self._writer.send(Message(topic, key.encode(), value.encode()))
        except (KafkaError, OSError, TimeoutError) as trouble:
            raise NotSaid(f"Kafka did not take it: {trouble or 'no answer'}") from trouble
        return At(int(at.timestamp), int(at.offset))

    async def ready(self) -> None:
        """Return when Kafka is known, so that the first act of a shift does not wait for it."""
        while True:
            try:
                await self._writer.start()
            except (KafkaError, OSError):
                await asyncio.sleep(RETRY_S)
            else:
                return

    async def stop(self) -> None:
        for sending in self._sending:
            sending.cancel()
        await asyncio.gather(*self._sending, return_exceptions=True)
        await self._teller.close()
        await self._writer.stop()
