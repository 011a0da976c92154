"""What operators do goes to Kafka from here: acknowledged by all replicas, or an error."""

import asyncio
from typing import Final

from aiokafka import AIOKafkaProducer
from aiokafka.errors import KafkaError

from schemas.events import DrillDeclared
from schemas.settings import KafkaSettings
from schemas.steps import StepTaken
from schemas.topics import PANICS, STEPS

WITHIN_S: Final = 5.0
RETRY_S: Final = 1.0


class NotSaid(Exception):
    """Kafka did not take it in time. It may still have it: the same id is said only once."""


class Said:
    """One idempotent producer, started as soon as Kafka is there."""

    def __init__(self, kafka: KafkaSettings) -> None:
        self._kafka = kafka
        self._producer: AIOKafkaProducer | None = None
        self._starting = asyncio.Lock()

    async def step(self, step: StepTaken) -> tuple[int, int]:
        """(Kafka's time in ms, offset) of the step. Raises NotSaid."""
        return await self._send(STEPS.name, step.school, step.model_dump_json())

    async def drill(self, drill: DrillDeclared) -> tuple[int, int]:
        """The same for a drill. Raises NotSaid."""
        return await self._send(PANICS.name, drill.school, drill.model_dump_json())

    async def _send(self, topic: str, key: str, value: str) -> tuple[int, int]:
        try:
            async with asyncio.timeout(WITHIN_S):
                producer = await self._started()
                at = await producer.send_and_wait(topic, value.encode(), key=key.encode())
        except (KafkaError, OSError, TimeoutError) as trouble:
            if isinstance(trouble, KafkaError) and not trouble.retriable:
                await self.stop()  # an idempotent producer is spent after such an error
            raise NotSaid(f"Kafka did not take it: {trouble or 'no answer'}") from trouble
        return int(at.timestamp), int(at.offset)

    async def _started(self) -> AIOKafkaProducer:
        async with self._starting:
            if self._producer is None:
                producer = AIOKafkaProducer(
                    **self._kafka.aiokafka_kwargs(),
                    acks="all",
                    enable_idempotence=True,
                    linger_ms=0,
                    request_timeout_ms=int(WITHIN_S * 1000),
                )
                try:
                    await producer.start()
                except BaseException:
                    await producer.stop()
                    raise
                self._producer = producer
            return self._producer

    async def ready(self) -> None:
        """Return when Kafka is known, so that the first act of a shift does not wait for it."""
        while True:
            try:
                await self._started()
            except (KafkaError, OSError):
                await asyncio.sleep(RETRY_S)
            else:
                return

    async def stop(self) -> None:
        producer, self._producer = self._producer, None
        if producer is not None:
            await producer.stop()
