"""What the lanes that decide share: they follow small topics while they run, sweep on a timer, and give up
the process when its producer is spent.
"""

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Mapping
from contextlib import suppress
from typing import Any, Final

import faust
import structlog
from aiokafka.errors import KafkaError

from schemas.settings import KafkaSettings
from streams.runtime.kafka import clients
from streams.runtime.kafka.bounded import partitions_of, what_follows
from streams.transport import Abandoned, Committed

log = structlog.get_logger(__name__)

AGAIN_AFTER_S: Final = 1.0
COUNT_EVERY_S: Final = 1.0
COUNTS_HOLD_S: Final = 10.0


def handled_ms(committed: Committed, now_ms: int) -> int:
    """Kafka's time up to which the group has spoken, which its commits say in their first word; ``now_ms``
    before its first commit.
    """
    handled, _, _ = committed.metadata.partition(" ")
    return int(handled) if handled.isdecimal() else now_ms


class Following:
    """Reads small topics on, all their partitions and each record once; their lag delays nothing else.
    What follows from them is said by the next sweep.
    """

    def __init__(self, kafka: KafkaSettings) -> None:
        self._kafka = kafka
        self._tasks: list[asyncio.Task[None]] = []

    def begin(self, topic: str, starts: Mapping[int, int], take: Callable[[Any], None]) -> None:
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
        self, topic: str, position: dict[int, int], take: Callable[[Any], None]
    ) -> None:
        while True:
            try:
                for number in (await partitions_of(self._kafka, [topic]))[topic]:
                    position.setdefault(number, 0)  # what was added is new as a whole
                records: AsyncIterator[Any] = what_follows(self._kafka, topic, position)
                async for record in records:
                    take(record)
                    position[record.partition] = record.offset + 1
            except KafkaError:
                log.exception("read again from where it broke off", topic=topic)
                await asyncio.sleep(AGAIN_AFTER_S)


class Counted:
    """How many partitions some topics have, asked once a second from ``begin`` to ``stop``."""

    def __init__(self, kafka: KafkaSettings, topics: Iterable[str]) -> None:
        self._kafka = kafka
        self._topics = tuple(topics)
        self._found: dict[str, int] = {}
        self._asked_s = 0.0
        self._task: asyncio.Task[None] | None = None

    @property
    def of(self) -> Mapping[str, int]:
        """By topic; empty while the last answer is older than COUNTS_HOLD_S."""
        return self._found if time.monotonic() - self._asked_s <= COUNTS_HOLD_S else {}

    def begin(self, counts: Mapping[str, int]) -> None:
        """``counts``: what the broker has said just now."""
        self._found, self._asked_s = dict(counts), time.monotonic()
        self._task = self._task or asyncio.create_task(self._count())

    async def stop(self) -> None:
        if self._task is not None:
            self._task.cancel()
            with suppress(asyncio.CancelledError):
                await self._task

    async def _count(self) -> None:
        while True:
            client = clients.client(self._kafka)
            try:
                await client.bootstrap()
                while True:
                    asked_s = time.monotonic()
                    self._found = await clients.counts_of(client, self._topics)
                    self._asked_s = asked_s
                    await asyncio.sleep(COUNT_EVERY_S)
            except (KafkaError, OSError) as error:
                log.warning("partitions can't be counted", error=repr(error)[:200])
            finally:
                await client.close()
            await asyncio.sleep(AGAIN_AFTER_S)


def sweep_every(
    it: faust.App, every_s: float, sweep: Callable[[], Awaitable[None]], ready: Callable[[], bool]
) -> None:
    """Sweep while the app runs, once it is ``ready``. What could not be said is said by the next one."""

    @it.task  # type: ignore[untyped-decorator]
    async def sweeping(app: faust.App) -> None:
        while not app.should_stop:
            await app.sleep(every_s)
            if not ready():
                continue
            try:
                await sweep()
            except Abandoned:
                log.info("a partition is left to its next owner")
            except KafkaError as error:
                await not_said(app, error)


async def not_said(it: faust.App, error: KafkaError) -> None:
    """What Kafka did not take comes again; when the producer is spent, by a new process, which rebuilds
    everything and is up before anything else could help.
    """
    log.exception("what was decided could not be said")
    if not error.retriable:
        await it.crash(error)
