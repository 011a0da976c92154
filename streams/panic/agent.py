"""Feeds the panic topic to the decisions and their transitions to the alerts topic.

Two of these run at the same time, in groups of their own, and say the same. Neither needs ClickHouse, the
registry or another lane.
"""

import time
from collections.abc import Mapping
from typing import Any

import faust
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition
from faust.types import TP

from schemas.settings import Settings
from schemas.topics import ALERTS, PANICS
from streams.panic.decide import REMEMBER_IDS_MS, PanicState, decide
from streams.transport import Batch, Committed, batches
from streams.worker import worker


class Panic:
    """What one worker holds: a state per partition, and from which offset on it may speak."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._states: dict[TP, PanicState] = {}
        self._speak_from: dict[TP, int] = {}
        self._producer: AIOKafkaProducer | None = None
        self.raised = 0

    async def stop(self) -> None:
        if self._producer is not None:
            await self._producer.stop()

    async def assigned(self, committed: Mapping[TP, Committed]) -> Mapping[TP, int]:
        """Start a day back, to know what was raised; what is committed was said already."""
        if self._producer is None:
            producer = AIOKafkaProducer(
                **self._settings.kafka.aiokafka_kwargs(),
                enable_idempotence=True,
                acks="all",
                linger_ms=0,
            )
            await producer.start()
            self._producer = producer
        starts = await self._a_day_back(list(committed))
        for tp, at in committed.items():
            self._states[tp] = PanicState()
            self._speak_from[tp] = at.offset or 0
            if at.offset is not None:
                starts[tp] = min(starts[tp], at.offset)
        return starts

    async def _a_day_back(self, tps: list[TP]) -> dict[TP, int]:
        since_ms = int(time.time() * 1000) - REMEMBER_IDS_MS
        consumer = AIOKafkaConsumer(**self._settings.kafka.aiokafka_kwargs())
        await consumer.start()
        try:
            partitions = [TopicPartition(tp.topic, tp.partition) for tp in tps]
            found = await consumer.offsets_for_times(dict.fromkeys(partitions, since_ms))
            ends = await consumer.end_offsets(partitions)
        finally:
            await consumer.stop()
        return {
            TP(tp.topic, tp.partition): at.offset if at is not None else ends[tp]
            for tp, at in found.items()
        }

    async def handle(self, batch: Batch) -> None:
        """Say what the batch means, and commit it when the broker has it all.

        Raises aiokafka's KafkaError when the broker refuses; then the batch comes again.
        """
        assert self._producer is not None
        state, speak_from = self._states[batch.tp], self._speak_from[batch.tp]
        said: list[Any] = []
        for record in batch.records:
            for transition in decide(state, record.key, record.value, record.timestamp):
                if record.offset < speak_from:
                    continue
                said.append(
                    await self._producer.send(
                        ALERTS.name,
                        transition.model_dump_json().encode(),
                        key=transition.school.encode(),
                        partition=batch.tp.partition,
                    )
                )
        for acknowledgement in said:
            await acknowledgement
        self.raised += len(said)
        if batch.next_offset > speak_from:
            await batch.commit()


def app(settings: Settings, replica: str) -> faust.App:
    """One of the two active workers; ``replica`` names its group."""
    panic = Panic(settings)
    it = worker(f"panic-{replica}", settings, lambda: {"transitions_total": panic.raised})
    channel = batches(it, [PANICS.name], max_records=500, on_assigned=panic.assigned)

    @it.agent(channel, concurrency=4)  # type: ignore[untyped-decorator]
    async def raise_panics(stream: faust.StreamT[Batch]) -> None:
        async for batch in stream:
            with batch:
                await panic.handle(batch)

    @it.on_before_shutdown.connect  # type: ignore[untyped-decorator]
    async def stop(*_: object, **__: object) -> None:
        await panic.stop()

    return it
