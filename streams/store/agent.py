"""The storing lanes: flow, incident and archive are this app with different topics."""

import asyncio
from collections.abc import Collection, Mapping
from typing import Final

import faust
from aiokafka.errors import UnknownTopicOrPartitionError
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
)
from streams.lane import Reads
from streams.lane import app as app_of
from streams.processes import by_name
from streams.store.clickhouse import ClickHouse, Poisoned
from streams.store.letters import DeadLetters
from streams.store.limit import TooManyDeadLetters
from streams.store.registry import Registry
from streams.store.store import Store
from streams.transport import Batch, Committed, Consumer

GATHER_S: Final = {
    # Who is inside, and what speaks for a panic: stored within 2 s.
    PASSES.name: 1.5,
    # Nobody waits for them: liveness reads its own.
    HEARTBEATS.name: 10.0,
    # Stored at once when one comes; more of them, as in an outage, share a block.
    **dict.fromkeys((PANICS.name, ALERTS.name, STEPS.name, STATUS.name), 0.5),
    **dict.fromkeys((INCIDENTS.name, FACILITIES.name, REGISTRY.name), 1.0),
}
"""For how long a topic's events wait for more: ClickHouse wants few large blocks."""
BLOCK_RECORDS: Final = 20_000
CONCURRENCY: Final = 4


class StoringLane:
    """One of the storing lanes; each partition begins and is stored by itself."""

    sweep_every_s = 0.0
    hopeless = (Poisoned, UnknownTopicOrPartitionError)
    """The last is of a topic of dead letters that isn't there: the producer has waited for it."""

    def __init__(self, settings: Settings, name: str) -> None:
        self.name = name
        names = [topic.name for topic in by_name()[name].topics]
        self.reads = Reads(
            names,
            BLOCK_RECORDS,
            CONCURRENCY,
            apart=True,
            stop_topic=(TooManyDeadLetters,),
            gather_s=GATHER_S,
        )
        self._registry, self._letters = Registry(settings.kafka), DeadLetters(settings.kafka)
        self._store = Store(ClickHouse(settings.clickhouse), self._registry, self._letters)
        self._starting = asyncio.Lock()

    def counts(self) -> Mapping[str, float]:
        return self._store.counts

    async def begin(
        self, consumer: Consumer, committed: Mapping[TP, Committed]
    ) -> Mapping[TP, int]:
        self._store.consumer = consumer
        async with self._starting:
            await self._registry.start()
            await self._letters.start()
        return await self._store.assigned(committed)

    async def take(self, batch: Batch) -> None:
        await self._store.handle(batch)

    async def sweep(self) -> None:
        """What is stored follows from records alone."""

    async def forget(self, revoked: Collection[TP]) -> None:
        """What the store knows of a partition is made anew by the next ``begin``."""

    async def stop(self) -> None:
        await self._registry.stop()
        await self._letters.stop()


def app(settings: Settings, lane: str) -> faust.App:
    """The worker of a storing lane: flow, incident or archive."""
    return app_of(StoringLane(settings, lane), settings)
