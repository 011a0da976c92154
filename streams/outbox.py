"""What was decided and is not yet acknowledged by Kafka.

A decision changes the state it was made from, so it can't be made again when it could not be said:
it waits here until the broker has it, and no input offset is committed before.
"""

import asyncio
from collections import defaultdict, deque
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import replace

from schemas.settings import KafkaSettings
from streams.runtime.kafka.writer import Message, Writer

__all__ = ["Message", "Outbox", "Send", "Sender"]

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
    """``Send`` to a broker. The writer starts with the first step."""

    def __init__(self, settings: KafkaSettings) -> None:
        self._writer = Writer(settings, client_id="saqshy-outbox")

    async def send(self, partition: int, step: Sequence[Message]) -> None:
        places = {m.topic: await self._place(m.topic, partition) for m in step}
        await self._writer.send_all([replace(m, partition=places[m.topic]) for m in step])

    async def stop(self) -> None:
        await self._writer.stop()

    async def _place(self, topic: str, partition: int) -> int:
        """The partition; where the topic has fewer, another one, for what was decided must be said."""
        known = await self._writer.partitions(topic, with_=partition)
        return partition if partition in known else partition % len(known)
