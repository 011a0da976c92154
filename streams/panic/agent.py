"""Feeds the panic topic to the decisions and their transitions to the alerts topic.

Two of these run at the same time, in groups of their own, and say the same; readers keep the first.
Neither needs ClickHouse, the registry or another lane.
"""

import time
from collections.abc import Mapping

import faust
import structlog
from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.errors import KafkaError
from faust.types import TP

from schemas.settings import Settings
from schemas.topics import ALERTS, PANICS, REPLAY_OF_HEADER
from streams.deciding import handled_ms, not_said
from streams.outbox import Message, Outbox
from streams.panic.decide import REBUILD_MS, PanicState, decide
from streams.transport import Abandoned, Batch, Committed, batches
from streams.worker import worker

log = structlog.get_logger(__name__)


class Panic:
    """What one worker holds: a state per partition, how far it knows and from where it may speak."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._states: dict[TP, PanicState] = {}
        self._decided_to: dict[TP, int] = {}
        self._speak_from: dict[TP, int] = {}
        self.outbox = Outbox(settings.kafka)

    async def assigned(self, committed: Mapping[TP, Committed]) -> Mapping[TP, int]:
        """Start days before what is committed, to know what was raised; that was said already."""
        found = await self._days_before(committed)
        starts = {
            tp: start if committed[tp].offset is None else min(start, committed[tp].offset or 0)
            for tp, start in found.items()
        }
        for tp, at in committed.items():
            self._states[tp] = PanicState()
            self._decided_to[tp] = 0
            self._speak_from[tp] = at.offset or 0
            self.outbox.clear(tp.partition)
        return starts

    async def _days_before(self, committed: Mapping[TP, Committed]) -> dict[TP, int]:
        consumer = AIOKafkaConsumer(**self._settings.kafka.aiokafka_kwargs())
        await consumer.start()
        try:
            now_ms = int(time.time() * 1000)
            since = {
                TopicPartition(tp.topic, tp.partition): handled_ms(at, now_ms) - REBUILD_MS
                for tp, at in committed.items()
            }
            found = await consumer.offsets_for_times(since)
            ends = await consumer.end_offsets(list(since))
        finally:
            await consumer.stop()
        return {
            TP(tp.topic, tp.partition): ends[tp] if at is None else at.offset
            for tp, at in found.items()
        }

    async def handle(self, batch: Batch) -> None:
        """Say what the batch means, and commit it when the broker has it all.

        Raises Abandoned, and aiokafka's KafkaError: then the batch comes again, and what was
        decided waits in the outbox.
        """
        tp = batch.tp
        state, speak_from = self._states[tp], self._speak_from[tp]
        for record in batch.records:
            if record.offset < self._decided_to[tp]:
                continue
            replayed = any(name == REPLAY_OF_HEADER for name, _ in record.headers)
            transitions = decide(
                state, record.key, record.value, record.timestamp, replayed=replayed
            )
            self._decided_to[tp] = record.offset + 1
            if record.offset >= speak_from:
                self.outbox.put(
                    tp.partition,
                    [
                        Message(ALERTS.name, t.school.encode(), t.model_dump_json().encode())
                        for t in transitions
                    ],
                )
        await self.outbox.flush(tp.partition)
        if batch.next_offset > speak_from:
            await batch.commit(str(batch.records[-1].timestamp))


def app(settings: Settings, replica: str) -> faust.App:
    """One of the two active workers; ``replica`` names its group."""
    panic = Panic(settings)
    it = worker(
        f"panic-{replica}", settings, lambda: {"transitions_total": panic.outbox.acknowledged}
    )
    channel = batches(it, [PANICS.name], max_records=500, on_assigned=panic.assigned)

    @it.agent(channel, concurrency=4)  # type: ignore[untyped-decorator]
    async def raise_panics(stream: faust.StreamT[Batch]) -> None:
        async for batch in stream:
            try:
                with batch:
                    await panic.handle(batch)
            except Abandoned:
                log.info("panics left to their next owner", partition=batch.tp.partition)
            except KafkaError as error:
                await not_said(it, error)
                if not error.retriable:
                    raise

    @it.on_before_shutdown.connect  # type: ignore[untyped-decorator]
    async def stop(*_: object, **__: object) -> None:
        await panic.outbox.stop()

    return it
