"""The gateway's way into Kafka. It is there before the broker is, and after it, too."""

import asyncio
from typing import Final

import structlog
from aiokafka.errors import KafkaError

from schemas.settings import KafkaSettings
from streams.runtime.kafka.writer import Message, Writer

log = structlog.get_logger(__name__)

RETRY_EVERY_S: Final = 0.5


class Kafka:
    """A writer that is connected in the background, and knows its topics before the first record."""

    def __init__(self, settings: KafkaSettings, topics: tuple[str, ...]) -> None:
        self._topics = topics
        self._writer = Writer(settings, client_id="saqshy-gateway")
        self._running: asyncio.Task[None] | None = None
        self.acknowledged = 0
        self.waiting = 0

    @property
    def connected(self) -> bool:
        return self._writer.connected

    def start(self) -> None:
        self._running = asyncio.create_task(self._connect())

    async def send(self, topic: str, key: bytes, value: bytes) -> None:
        """Return when the broker has acknowledged it, however long that takes; see Writer.insist."""
        self.waiting += 1
        try:
            await self._writer.insist(Message(topic, key, value))
        finally:
            self.waiting -= 1
        self.acknowledged += 1

    async def _connect(self) -> None:
        while True:
            try:
                for topic in self._topics:
                    await self._writer.partitions(topic)
            except (KafkaError, OSError) as error:
                log.warning("kafka does not answer yet", error=repr(error))
                await asyncio.sleep(RETRY_EVERY_S)
            else:
                return

    async def stop(self) -> None:
        """What a broker that is down never acknowledges is journaled."""
        if self._running is not None:
            self._running.cancel()
            await asyncio.gather(self._running, return_exceptions=True)
        await self._writer.stop()
