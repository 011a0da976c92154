"""Feeds the panic topic to the decisions and their transitions to the alerts topic.

Two of these run at the same time, in groups of their own, and say the same; readers keep the first.
Neither needs ClickHouse, the registry or another lane.
"""

import asyncio
import time
from collections.abc import Mapping
from typing import Any, Final

import faust
import structlog
from aiokafka.errors import KafkaError
from faust.types import TP

from schemas.alerts import AlertChanged
from schemas.settings import Settings
from schemas.topics import ALERTS, PANICS, REPLAY_OF_HEADER
from streams.deciding import handled_ms, not_said
from streams.outbox import Message, Outbox
from streams.panic.decide import REBUILD_MS, PanicState, decide
from streams.runtime.kafka.bounded import in_order, offsets_at
from streams.transport import Abandoned, Batch, Committed, batches
from streams.worker import worker

log = structlog.get_logger(__name__)

YIELD_EVERY: Final = 500


class Panic:
    """What one worker holds: one state, how far it knows each partition, and what waits for Kafka.

    The state is of all partitions together: after the topic got more of them, a school's next press
    comes in another one, and is still of the alarm that is open.
    """

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._state = PanicState()
        self._decided_to: dict[TP, int] = {}
        self.outbox = Outbox(settings.kafka)

    async def assigned(self, committed: Mapping[TP, Committed]) -> Mapping[TP, int]:
        """Know what was raised in the days before what is committed; that was said already."""
        now_ms = int(time.time() * 1000)
        since_ms = min(handled_ms(at, now_ms) for at in committed.values()) - REBUILD_MS
        new = [tp for tp, at in committed.items() if at.offset is None]
        starts = {tp: at.offset for tp, at in committed.items() if at.offset is not None}
        if new:
            starts |= await offsets_at(self._settings.kafka, dict.fromkeys(new, since_ms))
        said_to = {tp.partition: offset for tp, offset in starts.items()}
        state = PanicState()
        read = 0
        async for record in in_order(self._settings.kafka, PANICS.name, since_ms, None, said_to):
            _decided(state, record)
            read += 1
            if read % YIELD_EVERY == 0:
                await asyncio.sleep(0)
        self._state = state
        for tp, offset in starts.items():
            self._decided_to[tp] = offset
            self.outbox.clear(tp.partition)
        return starts

    async def handle(self, batch: Batch) -> None:
        """Say what the batch means, and commit it when the broker has it all.

        Raises Abandoned, and aiokafka's KafkaError: then the batch comes again, and what was
        decided waits in the outbox.
        """
        tp = batch.tp
        for record in batch.records:
            if record.offset < self._decided_to[tp]:
                continue
            transitions = _decided(self._state, record)
            self._decided_to[tp] = record.offset + 1
            self.outbox.put(
                tp.partition,
                [
                    Message(ALERTS.name, t.school.encode(), t.model_dump_json().encode())
                    for t in transitions
                ],
            )
        await self.outbox.flush(tp.partition)
        await batch.commit(str(batch.records[-1].timestamp))


def _decided(state: PanicState, record: Any) -> list[AlertChanged]:
    replayed = any(name == REPLAY_OF_HEADER for name, _ in record.headers)
    return decide(state, record.key, record.value, record.timestamp, replayed=replayed)


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
