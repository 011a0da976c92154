"""The storing lanes: flow, incident and archive are this app with different topics."""

import asyncio
import time
from collections.abc import Mapping
from typing import Final

import faust
import structlog
from aiokafka.errors import KafkaError, UnknownTopicOrPartitionError
from faust.types import TP

from schemas.settings import Settings
from schemas.topics import (
    ALERTS,
    FACILITIES,
    HEARTBEATS,
    INCIDENTS,
    PANICS,
    PASSES,
    REGISTRY,
    STATUS,
    STEPS,
    Topic,
)
from streams.store.clickhouse import ClickHouse, Poisoned
from streams.store.letters import DeadLetters
from streams.store.limit import TooManyDeadLetters
from streams.store.registry import Registry
from streams.store.store import Store
from streams.transport import Abandoned, Batch, Committed, batches
from streams.worker import worker

log = structlog.get_logger(__name__)

TOPICS_OF: Final[dict[str, tuple[Topic, ...]]] = {
    "flow": (PASSES,),
    "incident": (INCIDENTS, FACILITIES, REGISTRY),
    "archive": (HEARTBEATS, PANICS, STATUS, ALERTS, STEPS),
}
PAUSE_S: Final = {"flow": 1.0, "incident": 2.0, "archive": 2.0}
"""Between two blocks of a partition while there is little to store: ClickHouse wants few large parts."""
BLOCK_RECORDS: Final = 20_000
CONCURRENCY: Final = 4


def app(settings: Settings, lane: str) -> faust.App:
    """The worker of a storing lane: flow, incident or archive."""
    registry, letters = Registry(settings.kafka), DeadLetters(settings.kafka)
    store = Store(ClickHouse(settings.clickhouse), registry, letters)
    stopped: dict[str, str] = {}
    standing: set[asyncio.Task[None]] = set()
    it = worker(
        lane, settings, lambda: {**store.counts, "topics_stopped": len(stopped)}, lambda: stopped
    )
    names = [topic.name for topic in TOPICS_OF[lane]]

    starting = asyncio.Lock()

    async def assigned(committed: Mapping[TP, Committed]) -> Mapping[TP, int]:
        store.consumer = it.consumer
        async with starting:
            await registry.start()
            await letters.start()
        try:
            return await store.assigned(committed)
        except Exception as error:
            await _end_if_hopeless(it, lane, error)
            raise

    channel = batches(it, names, max_records=BLOCK_RECORDS, on_assigned=assigned, apart=True)

    @it.agent(channel, concurrency=CONCURRENCY)  # type: ignore[untyped-decorator]
    async def store_batches(stream: faust.StreamT[Batch]) -> None:
        async for batch in stream:
            began_s = time.monotonic()
            try:
                await store.handle(batch)
            except Abandoned:
                batch.done()  # another owner finishes it
            except TooManyDeadLetters as error:
                topic = batch.tp.topic
                log.critical("topic stops: the fault is likely ours", topic=topic, why=str(error))
                stopped[topic] = str(error)
                # Never finished: the partition stands still, and the other topics go on.
                standing.add(asyncio.create_task(_left_when_taken(batch)))
            except Exception as error:
                await _end_if_hopeless(it, lane, error)
                log.exception("a batch failed and comes again", topic=batch.tp.topic)
                batch.retry()
            else:
                full = len(batch.records) >= BLOCK_RECORDS // 2
                pause_s = 0.0 if full else PAUSE_S[lane] - (time.monotonic() - began_s)
                # Not slept here: the actor is free for another partition meanwhile.
                asyncio.get_running_loop().call_later(max(0.0, pause_s), batch.done)

    @it.on_before_shutdown.connect  # type: ignore[untyped-decorator]
    async def stop(*_: object, **__: object) -> None:
        await registry.stop()
        await letters.stop()

    return it


async def _left_when_taken(batch: Batch) -> None:
    """To its next owner."""
    await batch.abandoned.wait()
    batch.done()


async def _end_if_hopeless(it: faust.App, lane: str, error: Exception) -> None:
    """End the process on what no further attempt can better; raises the error again then.

    Among that is a topic of dead letters that isn't there: the producer has waited for it.
    """
    refused = isinstance(error, KafkaError) and not error.retriable
    missing = isinstance(error, UnknownTopicOrPartitionError)
    if refused or missing or isinstance(error, Poisoned):
        log.critical("lane stops: trying again would not help", lane=lane, why=repr(error)[:500])
        await it.crash(error)
        raise error
