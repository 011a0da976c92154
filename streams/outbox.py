"""What was decided and is not yet acknowledged by Kafka.

A decision changes the state it was made from, so it can't be made again when it could not be said:
it waits here until the broker has it, and no input offset is committed before.
"""

import asyncio
from collections import defaultdict, deque
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Final

from aiokafka import AIOKafkaProducer

from schemas.settings import KafkaSettings

MAX_MESSAGE_BYTES: Final = 1024 * 1024


@dataclass(frozen=True, slots=True)
class Message:
    topic: str
    key: bytes
    value: bytes


Send = Callable[[int, Sequence[Message]], Awaitable[None]]
"""Returns when the broker has acknowledged all of a partition's step; raises aiokafka's KafkaError."""


class Outbox:
    """Of one worker. Steps of a partition are sent in order, each when the one before is acknowledged."""

    def __init__(self, send: Send) -> None:
        self._send = send
        self._steps: dict[int, deque[Sequence[Message]]] = defaultdict(deque)
        self._locks: dict[int, asyncio.Lock] = defaultdict(asyncio.Lock)
        self.acknowledged = 0

    def put(self, partition: int, step: Sequence[Message]) -> None:
        if step:
            self._steps[partition].append(list(step))

    def clear(self, partition: int) -> None:
        """Forget what a former owner's state decided; the records come again."""
        self._steps[partition] = deque()

    async def flush(self, partition: int) -> None:
        """Return when the broker has acknowledged everything that was put.

        Raises aiokafka's KafkaError; then it all stays here and is sent again by the next flush.
        """
        async with self._locks[partition]:
            steps = self._steps[partition]
            while steps:
                await self._send(partition, steps[0])
                self.acknowledged += len(steps.popleft())


class Sender:
    """``Send`` to a broker. The producer is idempotent with acks=all and does not linger. It starts with
    the first step.
    """

    def __init__(self, settings: KafkaSettings) -> None:
        self._settings = settings
        self._starting = asyncio.Lock()
        self._producer: AIOKafkaProducer | None = None

    async def send(self, partition: int, step: Sequence[Message]) -> None:
        producer = await self._started()
        places = {m.topic: await _place(producer, m.topic, partition) for m in step}
        sent: list[asyncio.Future[object]] = [
            await producer.send(m.topic, m.value, key=m.key, partition=places[m.topic])
            for m in step
        ]
        for outcome in await asyncio.gather(*sent, return_exceptions=True):
            if isinstance(outcome, BaseException):
                raise outcome

    async def _started(self) -> AIOKafkaProducer:
        async with self._starting:
            if self._producer is None:
                producer = AIOKafkaProducer(
                    **self._settings.aiokafka_kwargs(),
                    enable_idempotence=True,
                    acks="all",
                    linger_ms=0,
                    max_request_size=MAX_MESSAGE_BYTES,
                )
                try:
                    await producer.start()
                except BaseException:
                    await producer.stop()
                    raise
                self._producer = producer
            return self._producer

    async def stop(self) -> None:
        if self._producer is not None:
            await self._producer.stop()


async def _place(producer: AIOKafkaProducer, topic: str, partition: int) -> int:
    """The partition; where the topic has fewer, another one, for what was decided must be said."""
    known = await producer.partitions_for(topic)
    if partition not in known:  # it may have been added since the producer asked last
        await producer.client.force_metadata_update()
        known = await producer.partitions_for(topic)
    return partition if partition in known else partition % len(known)
