"""The gateway's way into Kafka. It is there before the broker is, and after it, too."""

import asyncio
from contextlib import suppress
from typing import Final

import structlog
from aiokafka import AIOKafkaProducer
from aiokafka.errors import KafkaError

from schemas.settings import KafkaSettings

log = structlog.get_logger(__name__)

RETRY_EVERY_S: Final = 0.5
STOP_WITHIN_S: Final = 3.0
# A connection on which nothing comes back is given up after it, and the batch sent anew under the
# same sequence number, so that the broker knows it.
REQUEST_TIMEOUT_MS: Final = 5_000
MAX_REQUEST_BYTES: Final = 1024 * 1024
METADATA_MAX_AGE_MS: Final = 5_000
"""So long after partitions were added, schools are still sent to where they were."""


class Kafka:
    """An idempotent producer with acks=all, started in the background and anew when it is spent."""

    def __init__(self, settings: KafkaSettings, topics: tuple[str, ...]) -> None:
        self._settings = settings
        self._topics = topics
        self._producer: AIOKafkaProducer | None = None
        self._up = asyncio.Event()
        self._running: asyncio.Task[None] | None = None
        self.acknowledged = 0
        self.waiting = 0

    @property
    def connected(self) -> bool:
        return self._up.is_set()

    def start(self) -> None:
        self._running = asyncio.create_task(self._connect())

    async def send(self, topic: str, key: bytes, value: bytes) -> None:
        """Return when the broker has acknowledged it, however long that takes.

        What the producer has taken it repeats under one sequence number, so the broker writes it
        once. Only a producer that is spent, which takes an error of ours or the broker's, is
        followed by another, and then readers know the repeat by its id.
        """
        self.waiting += 1
        try:
            while True:
                if await self._sent(topic, key, value):
                    break
                await asyncio.sleep(RETRY_EVERY_S)
        finally:
            self.waiting -= 1
        self.acknowledged += 1

    async def _sent(self, topic: str, key: bytes, value: bytes) -> bool:
        await self._up.wait()
        producer = self._producer
        if producer is None:
            return False
        try:
            acknowledgement = await producer.send(topic, value, key=key)
            await acknowledgement
        except Exception as error:  # of any kind: a press waits here
            log.warning("kafka refused", topic=topic, error=repr(error))
            retriable = isinstance(error, KafkaError) and error.retriable
            if not retriable and producer is self._producer:
                await self._renew()
            return False
        return True

    async def _renew(self) -> None:
        producer, self._producer = self._producer, None
        self._up.clear()
        self.start()
        if producer is not None:
            with suppress(KafkaError, TimeoutError):
                await asyncio.wait_for(producer.stop(), STOP_WITHIN_S)

    async def _connect(self) -> None:
        while True:
            producer = AIOKafkaProducer(
                **self._settings.aiokafka_kwargs(),
                enable_idempotence=True,
                acks="all",
                linger_ms=0,
                request_timeout_ms=REQUEST_TIMEOUT_MS,
                retry_backoff_ms=50,
                metadata_max_age_ms=METADATA_MAX_AGE_MS,
                max_request_size=MAX_REQUEST_BYTES,
            )
            try:
                await producer.start()
                for topic in self._topics:
                    await producer.partitions_for(topic)
            except (KafkaError, OSError) as error:
                log.warning("kafka does not answer yet", error=repr(error))
                await producer.stop()
                await asyncio.sleep(RETRY_EVERY_S)
            except BaseException:
                await producer.stop()
                raise
            else:
                self._producer = producer
                self._up.set()
                return

    async def stop(self) -> None:
        if self._running is not None:
            self._running.cancel()
            await asyncio.gather(self._running, return_exceptions=True)
        if self._producer is not None:
            # It would wait for what a broker that is down never acknowledges; that is journaled.
            with suppress(TimeoutError, KafkaError):
                await asyncio.wait_for(self._producer.stop(), STOP_WITHIN_S)
