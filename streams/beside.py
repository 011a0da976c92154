"""What a deciding lane reads beside its batches, and where it says what it decides.

``Topics`` is the seam: Kafka in a worker, a log in memory in the tests of the lanes.
"""

import asyncio
from collections.abc import AsyncIterator, Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from functools import partial
from typing import Final, Protocol

import structlog
from aiokafka.client import AIOKafkaClient
from aiokafka.errors import KafkaError
from faust.types import TP
from pydantic import ValidationError

from schemas.alerts import NOTICE, StatusChanged
from schemas.settings import KafkaSettings
from streams.outbox import Message, Sender
from streams.runtime.clock import Clock
from streams.runtime.kafka import clients
from streams.runtime.kafka.bounded import (
    by_stamp,
    everything,
    in_order,
    offsets_at,
    what_follows,
)
from streams.transport import Located

log = structlog.get_logger(__name__)

AGAIN_AFTER_S: Final = 1.0
COUNT_EVERY_S: Final = 1.0
COUNTS_HOLD_S: Final = 10.0


class Topics(Protocol):
    """Reads whole topics in no group, and sends. Everything raises aiokafka's KafkaError."""

    async def counts(self, topics: Iterable[str]) -> Mapping[str, int]:
        """How many partitions each topic has now; 0 for one that is not there."""

    async def offsets_at(self, since_ms: Mapping[TP, int]) -> Mapping[TP, int]:
        """The first offset with that Kafka time or a later one; the end where there is none."""

    def everything(
        self,
        topic: str,
        partitions: Iterable[int],
        ends: dict[int, int],
        starts: Mapping[TP, int] | None = None,
    ) -> AsyncIterator[Located]:
        """What is now in these partitions, from ``starts`` on. Fills ``ends`` with the offset after it."""

    def by_stamp(self, topic: str, ends: dict[int, int]) -> AsyncIterator[Located]:
        """What is now in all partitions, in the order of the stamps. Fills ``ends`` as above."""

    def in_order(
        self,
        topic: str,
        from_ms: int,
        before_ms: int | None,
        until: Mapping[int, int] | None = None,
    ) -> AsyncIterator[Located]:
        """Records stamped in [from_ms, before_ms), below the offsets ``until``, by their stamps."""

    def what_follows(self, topic: str, starts: Mapping[int, int]) -> AsyncIterator[Located]:
        """Records as they come, until the topic has partitions beside those of ``starts``."""

    async def send(self, partition: int, step: Sequence[Message]) -> None:
        """Return when the broker has acknowledged all of the step."""

    async def stop(self) -> None: ...


class KafkaTopics:
    """``Topics`` of a broker. Nothing is connected before the first call."""

    def __init__(self, kafka: KafkaSettings) -> None:
        self._kafka = kafka
        self._client: AIOKafkaClient | None = None
        self._asking = asyncio.Lock()
        self._sender = Sender(kafka)
        self.send = self._sender.send
        self.offsets_at = partial(offsets_at, kafka)
        self.everything = partial(everything, kafka)
        self.by_stamp = partial(by_stamp, kafka)
        self.in_order = partial(in_order, kafka)
        self.what_follows = partial(what_follows, kafka)

    async def counts(self, topics: Iterable[str]) -> Mapping[str, int]:
        async with self._asking:
            try:
                if self._client is None:
                    self._client = clients.client(self._kafka)
                    await self._client.bootstrap()
                return await clients.counts_of(self._client, topics)
            except BaseException:
                await self._disconnect()
                raise

    async def stop(self) -> None:
        await self._sender.stop()
        await self._disconnect()

    async def _disconnect(self) -> None:
        client, self._client = self._client, None
        if client is not None:
            await client.close()


class Following:
    """Reads small topics on, all their partitions and each record once; their lag delays nothing else.
    What follows from them is said by the next sweep.
    """

    def __init__(self, topics: Topics) -> None:
        self._topics = topics
        self._tasks: list[asyncio.Task[None]] = []

    def begin(self, topic: str, starts: Mapping[int, int], take: Callable[[Located], None]) -> None:
        """``starts``: the offset by partition, where the rebuild ended."""
        self._tasks.append(asyncio.create_task(self._follow(topic, dict(starts), take)))

    async def stop(self) -> None:
        for task in self._tasks:
            task.cancel()
        for task in self._tasks:
            with suppress(asyncio.CancelledError, KafkaError):
                await task
        self._tasks = []

    async def _follow(
        self, topic: str, position: dict[int, int], take: Callable[[Located], None]
    ) -> None:
        while True:
            try:
                for number in range((await self._topics.counts([topic]))[topic]):
                    position.setdefault(number, 0)  # what was added is new as a whole
                async for record in self._topics.what_follows(topic, position):
                    take(record)
                    position[record.partition] = record.offset + 1
            except KafkaError as error:
                why = repr(error)[:200]
                log.warning("read again from where it broke off", topic=topic, error=why)
                await asyncio.sleep(AGAIN_AFTER_S)


class Counted:
    """How many partitions some topics have, asked once a second from ``begin`` to ``stop``."""

    def __init__(self, topics: Topics, names: Iterable[str], clock: Clock) -> None:
        self._topics = topics
        self._names = tuple(names)
        self._clock = clock
        self._found: Mapping[str, int] = {}
        self._asked_s = 0.0
        self._task: asyncio.Task[None] | None = None

    @property
    def of(self) -> Mapping[str, int]:
        """By topic; empty while the last answer is older than COUNTS_HOLD_S."""
        is_old = self._clock.monotonic_s() - self._asked_s > COUNTS_HOLD_S
        return {} if is_old else self._found

    async def begin(self) -> Mapping[str, int]:
        """What the broker says just now. Raises KafkaError."""
        await self._ask()
        self._task = self._task or asyncio.create_task(self._count())
        return self._found

    async def stop(self) -> None:
        if self._task is not None:
            self._task.cancel()
            with suppress(asyncio.CancelledError):
                await self._task
            self._task = None

    async def _ask(self) -> None:
        asked_s = self._clock.monotonic_s()
        self._found = await self._topics.counts(self._names)
        self._asked_s = asked_s

    async def _count(self) -> None:
        while True:
            await asyncio.sleep(COUNT_EVERY_S)
            try:
                await self._ask()
            except (KafkaError, OSError) as error:
                log.warning("partitions can't be counted", error=repr(error)[:200])


def status_of(value: bytes | None) -> StatusChanged | None:
    """None for what is no status."""
    try:
        said = NOTICE.validate_json(value or b"")
    except ValidationError:
        return None
    return said if isinstance(said, StatusChanged) else None
