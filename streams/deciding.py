"""What the lanes that decide share: they follow small topics while they run, sweep on a timer, and give up
the process when its producer is spent.
"""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import suppress
from typing import Any, Final

import faust
import structlog
from aiokafka.errors import KafkaError

from schemas.settings import KafkaSettings
from streams.rebuild import what_follows
from streams.transport import Abandoned, Committed

log = structlog.get_logger(__name__)

AGAIN_AFTER_S: Final = 1.0


def handled_ms(committed: Committed, now_ms: int) -> int:
    """Kafka's time up to which the group has spoken, which its commits say in their first word; ``now_ms``
    before its first commit.
    """
    handled, _, _ = committed.metadata.partition(" ")
    return int(handled) if handled.isdecimal() else now_ms


class Following:
    """Reads small topics on, each record once; their lag delays nothing else. What follows from them is
    said by the next sweep.
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
                records: AsyncIterator[Any] = what_follows(self._kafka, topic, position)
                async for record in records:
                    take(record)
                    position[record.partition] = record.offset + 1
            except KafkaError:
                log.exception("read again from where it broke off", topic=topic)
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
