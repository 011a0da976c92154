"""Feeds the panic topic to the decisions and their transitions to the alerts topic.

Two of these run at the same time, in groups of their own, and say the same; readers keep the first.
Neither needs ClickHouse, the registry or another lane.
"""

import asyncio
from collections.abc import Collection, Mapping
from typing import Final

import faust
from faust.types import TP

from schemas.alerts import AlertChanged
from schemas.settings import Settings
from schemas.topics import ALERTS, PANICS, REPLAY_OF_HEADER
from streams.beside import KafkaTopics, Topics
from streams.lane import Group, Reads, handled_ms, named
from streams.lane import app as app_of
from streams.outbox import Message, Outbox
from streams.panic.decide import REBUILD_MS, PanicState, decide
from streams.runtime.clock import MACHINE, Clock
from streams.transport import Batch, Committed, Record

YIELD_EVERY: Final = 500


class PanicLane:
    """One state, how far it knows each partition, and what waits for Kafka. ``replica`` names its group.

    The state is of all partitions together: after the topic got more of them, a school's next press
    comes in another one, and is still of the alarm that is open.
    """

    reads = Reads([PANICS.name], max_records=500, concurrency=4)
    sweep_every_s = 0.0
    hopeless = ()

    def __init__(self, topics: Topics, replica: str, clock: Clock = MACHINE) -> None:
        self.name = f"panic-{replica}"
        self._topics = topics
        self._clock = clock
        self._state = PanicState()
        self._decided_to: dict[TP, int] = {}
        self._outbox = Outbox(topics.send)
        self._group: Group | None = None

    def counts(self) -> dict[str, float]:
        return {"transitions_total": self._outbox.acknowledged}

    async def begin(self, group: Group, committed: Mapping[TP, Committed]) -> Mapping[TP, int]:
        """Know what was raised in the days before what is committed; that was said already."""
        self._group, committed = await named(group, committed)
        now_ms = self._clock.wall_ms
        since_ms = min(handled_ms(at, now_ms) for at in committed.values()) - REBUILD_MS
        new = [tp for tp, at in committed.items() if at.offset is None]
        starts = {tp: at.offset for tp, at in committed.items() if at.offset is not None}
        if new:
            starts |= await self._topics.offsets_at(dict.fromkeys(new, since_ms))
        said_to = {tp.partition: offset for tp, offset in starts.items()}
        state = PanicState()
        read = 0
        async for record in self._topics.in_order(PANICS.name, since_ms, None, said_to):
            _decided(state, record)
            read += 1
            if read % YIELD_EVERY == 0:
                await asyncio.sleep(0)
        self._state = state
        for tp, offset in starts.items():
            self._decided_to[tp] = offset
            self._outbox.clear(tp.partition)
        return starts

    async def take(self, batch: Batch) -> None:
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
            self._outbox.put(
                tp.partition,
                [
                    Message(ALERTS.name, t.school.encode(), t.model_dump_json().encode())
                    for t in transitions
                ],
            )
        await self._outbox.flush(tp.partition)
        assert self._group is not None
        said_to = str(batch.records[-1].timestamp)
        await self._group.commit_at(tp, batch.next_offset, said_to, batch.generation)

    async def sweep(self) -> None:
        """Time alone decides nothing here."""

    async def forget(self, revoked: Collection[TP]) -> None:
        """The state is made anew by the next ``begin``; a batch that is still out may need it."""

    async def stop(self) -> None:
        await self._topics.stop()


def _decided(state: PanicState, record: Record) -> list[AlertChanged]:
    replayed = any(name == REPLAY_OF_HEADER for name, _ in record.headers)
    return decide(state, record.key, record.value, record.timestamp, replayed=replayed)


def app(settings: Settings, replica: str) -> faust.App:
    """One of the two active workers."""
    return app_of(PanicLane(KafkaTopics(settings.kafka), replica), settings)
