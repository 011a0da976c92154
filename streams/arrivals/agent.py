"""Feeds passes and the stream's progress to the decisions, and says what they decide.

On assignment the partition is read again from the school day before, so that the state is what a
former owner's was; what that one has said (the metadata of its commits tells until when) is not said
a second time, and what is open is read from the alerts.
"""

import asyncio
import time
from collections.abc import Iterable, Mapping
from functools import partial
from typing import Any, Final

import faust
import structlog
from faust.types import TP

from schemas.alerts import AlertChanged
from schemas.settings import Settings
from schemas.topics import ALERTS, PASSES, REGISTRY, STATUS
from streams.arrivals.decide import Arrivals
from streams.arrivals.feed import Feed, register, restore, status
from streams.arrivals.places import Places
from streams.arrivals.school import day_of, is_weekend, start_of
from streams.deciding import Following, handled_ms, sweep_every
from streams.liveness.calendar import DAY_MS
from streams.outbox import Message, Outbox
from streams.runtime.kafka.bounded import by_stamp, in_order, offsets_at, partitions_of
from streams.runtime.kafka.clock import KafkaClock
from streams.runtime.kafka.newest import Newest
from streams.transport import Abandoned, Batch, Committed, Consumer, batches
from streams.worker import worker

log = structlog.get_logger(__name__)

SWEEP_EVERY_S: Final = 1.0
COMMIT_EVERY_S: Final = 5.0
YIELD_EVERY: Final = 1_000
PAUSE_S: Final = 0.5
"""Between two small batches of a partition: a batch costs more than a pass."""
ALERTS_BACK_MS: Final = 30 * DAY_MS
"""What was opened earlier is not taken over any more."""


class Partition:
    """One partition of passes that this worker owns."""

    def __init__(self, arrivals: Arrivals, places: Places) -> None:
        self.arrivals = arrivals
        self.feed = Feed(arrivals, places)
        self.generation = -1
        self.committed_to = 0
        self.committed_s = 0.0


class Watch:
    """What one worker holds."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._partitions: dict[int, Partition] = {}
        self._clock = KafkaClock(time.time(), time.monotonic())
        self._following = Following(settings.kafka)
        self._count = 0
        self._places = Places({}, Arrivals())
        self.outbox = Outbox(settings.kafka)
        self.consumer: Consumer | None = None

    def counts(self) -> dict[str, float]:
        owned = self._partitions.values()
        return {
            "schools": sum(len(p.arrivals.schools) for p in owned),
            "unreadable": sum(p.feed.unreadable for p in owned),
            "rushes_unproven": sum(p.arrivals.unproven for p in owned),
            "findings_held": sum(p.arrivals.held for p in owned),
            "transitions_total": self.outbox.acknowledged,
        }

    async def stop(self) -> None:
        await self._following.stop()
        await self.outbox.stop()

    async def assigned(self, committed: Mapping[TP, Committed]) -> Mapping[TP, int]:
        """Rebuild before anything is judged: schools, statuses, open alerts; then passes come again."""
        await self._following.stop()
        self._partitions = {}
        kafka, now_ms = self._settings.kafka, int(time.time() * 1000)
        rebuilt = {tp.partition: Arrivals(handled_ms(at, now_ms)) for tp, at in committed.items()}
        for number in rebuilt:
            self.outbox.clear(number)
        count = len((await partitions_of(kafka, [PASSES.name]))[PASSES.name])
        places = Places(rebuilt, Arrivals())
        registry: dict[int, int] = {}
        newest = Newest()
        async for record in by_stamp(kafka, REGISTRY.name, registry):
            newest.takes(record)
            register(places.holder(_school(record), record.partition % count), record)
        statuses: dict[int, int] = {}
        async for record in by_stamp(kafka, STATUS.name, statuses):
            status(places.holder(_school(record), record.partition), record)
        async for record in in_order(kafka, ALERTS.name, now_ms - ALERTS_BACK_MS, None):
            restore(places.holder(_school(record), record.partition % count), record)
        for number, arrivals in rebuilt.items():
            self._put(number, arrivals.restored())
        starts = await offsets_at(kafka, dict.fromkeys(committed, _school_day_before_ms(now_ms)))
        self._count, self._places = count, places
        self._partitions = {
            number: Partition(arrivals, places) for number, arrivals in rebuilt.items()
        }
        self._following.begin(REGISTRY.name, registry, partial(self._registered, newest))
        self._following.begin(STATUS.name, statuses, self._told)
        return {
            tp: start if committed[tp].offset is None else min(start, committed[tp].offset or 0)
            for tp, start in starts.items()
        }

    def _registered(self, newest: Newest, record: Any) -> None:
        if newest.takes(record):
            holder = self._places.holder(_school(record), record.partition % self._count)
            said = register(holder, record)
            for number, arrivals in self._places.owned.items():
                if arrivals is holder:
                    self._put(number, said)

    def _told(self, record: Any) -> None:
        status(self._places.holder(_school(record), record.partition), record)

    async def handle(self, batch: Batch) -> None:
        """Hear a batch of passes. What follows waits in the outbox for the next sweep.

        Raises Abandoned.
        """
        number = batch.tp.partition
        owned = self._partitions[number]
        owned.generation = batch.generation
        for first in range(0, len(batch.records), YIELD_EVERY):
            if batch.abandoned.is_set():
                raise Abandoned(f"{batch.tp} was revoked")
            self._put(number, owned.feed.hear(batch.records[first : first + YIELD_EVERY]))
            await asyncio.sleep(0)
        self._clock.observe(batch.records[-1].timestamp, time.monotonic())
        owned.feed.next_offset = batch.next_offset
        # Not slept here: the actor is free for another partition meanwhile. Lag is read at full speed.
        pause_s = PAUSE_S if len(batch.records) < YIELD_EVERY else 0.0
        asyncio.get_running_loop().call_later(pause_s, batch.done)

    async def sweep(self) -> None:
        """Judge each partition as far as its own progress reaches, say it, and commit.

        Raises Abandoned, and aiokafka's KafkaError; what could not be said is said by the next sweep.
        """
        now_s = time.monotonic()
        for number, owned in list(self._partitions.items()):
            self._prove(number, owned, now_s)
            proven_ms, offset = owned.arrivals.proven_ms, owned.feed.next_offset
            await self.outbox.flush(number)
            if offset > owned.committed_to and now_s - owned.committed_s > COMMIT_EVERY_S:
                await self._commit(number, owned, offset, proven_ms)

    def _prove(self, number: int, owned: Partition, now_s: float) -> None:
        """Take the broker's word that there was nothing more to read."""
        assert self.consumer is not None
        progress = self.consumer.metrics.progress.get(TP(PASSES.name, number))
        if progress is not None and progress.caught_up_at_s is not None:
            proof_ms = self._clock.at_ms(progress.caught_up_at_s, time.time(), now_s)
            if proof_ms is not None:
                self._put(number, owned.arrivals.advance(proof_ms))

    async def _commit(self, number: int, owned: Partition, offset: int, proven_ms: int) -> None:
        """Both never move back: what is read again was said before."""
        assert self.consumer is not None
        owned.committed_s = time.monotonic()
        if proven_ms > owned.arrivals.said_to_ms:
            tp = TP(PASSES.name, number)
            await self.consumer.commit_at(tp, offset, str(proven_ms), owned.generation)
            owned.committed_to = offset

    def _put(self, partition: int, decided: Iterable[AlertChanged]) -> None:
        for said in decided:
            log.info("finding", kind=said.kind, action=said.action, school=said.school)
            message = Message(ALERTS.name, said.school.encode(), said.model_dump_json().encode())
            self.outbox.put(partition, [message])


def _school(record: Any) -> str:
    """Of a record of the registry, the statuses or the alerts: by its key."""
    school, _, _ = (record.key or b"").decode(errors="replace").partition("/")
    return school


def _school_day_before_ms(now_ms: int) -> int:
    """Where the last day before today began that is no weekend."""
    day = day_of(now_ms) - 1
    while is_weekend(day):
        day -= 1
    return start_of(day)


def app(settings: Settings) -> faust.App:
    """The arrivals worker."""
    watch = Watch(settings)
    it = worker("arrivals", settings, watch.counts)

    async def assigned(committed: Mapping[TP, Committed]) -> Mapping[TP, int]:
        watch.consumer = it.consumer
        return await watch.assigned(committed)

    channel = batches(it, [PASSES.name], on_assigned=assigned)

    @it.agent(channel)  # type: ignore[untyped-decorator]
    async def hear(stream: faust.StreamT[Batch]) -> None:
        async for batch in stream:
            try:
                await watch.handle(batch)
            except Abandoned:
                batch.done()
            except Exception:
                log.exception("a batch of passes failed and comes again")
                batch.retry()

    sweep_every(it, SWEEP_EVERY_S, watch.sweep, lambda: watch.consumer is not None)

    @it.on_before_shutdown.connect  # type: ignore[untyped-decorator]
    async def stop(*_: object, **__: object) -> None:
        await watch.stop()

    return it
