"""Feeds passes and the stream's progress to the decisions, and says what they decide.

On assignment the partition is read again from the school day before, so that the state is what a
former owner's was; what that one has said (the metadata of its commits tells until when) is not said
a second time, and what is open is read from the alerts.
"""

import asyncio
from collections.abc import Collection, Iterable, Mapping
from functools import partial
from typing import Final

import faust
import structlog
from faust.types import TP

from schemas.alerts import AlertChanged
from schemas.settings import Settings
from schemas.topics import ALERTS, PASSES, REGISTRY, STATUS
from streams.arrivals.decide import Arrivals
from streams.arrivals.feed import Feed, register, restore, school_of, status
from streams.arrivals.places import Places
from streams.arrivals.school import school_day_before_ms
from streams.beside import Following, KafkaTopics, Topics
from streams.lane import YIELD_EVERY, Group, Proofs, Reads, handled_ms, named, numbers
from streams.lane import app as app_of
from streams.liveness.calendar import DAY_MS
from streams.outbox import Message, Outbox
from streams.runtime.clock import MACHINE, Clock
from streams.runtime.kafka.newest import Newest
from streams.transport import Abandoned, Batch, Committed, Located

log = structlog.get_logger(__name__)

COMMIT_EVERY_S: Final = 5.0
GATHER_S: Final = 1.0
"""A batch costs more than an event, and no decision is this urgent."""
ALERTS_BACK_MS: Final = 30 * DAY_MS
"""What was opened earlier is not taken over any more."""
LEARNED_AFTER_MS: Final = 3_600_000
"""Within that time all producers know of partitions that were added."""


class Partition:
    """One partition of passes that this worker owns."""

    def __init__(self, arrivals: Arrivals, places: Places, counts_from_ms: int) -> None:
        self.arrivals = arrivals
        self.feed = Feed(arrivals, places, counts_from_ms)
        self.generation = -1
        self.committed_to = 0
        self.committed_s = 0.0


class ArrivalsLane:
    """The schools of the partitions that this worker owns."""

    name = "arrivals"
    reads = Reads([PASSES.name], gather_s={PASSES.name: GATHER_S})
    sweep_every_s = 1.0
    hopeless = ()

    def __init__(self, topics: Topics, clock: Clock = MACHINE) -> None:
        self._topics = topics
        self._clock = clock
        self._partitions: dict[int, Partition] = {}
        self._proofs = Proofs(clock)
        self._following = Following(topics)
        self._count = 0
        self._counts_from_ms = 0
        self._places = Places({}, Arrivals())
        self._outbox = Outbox(topics.send)
        self._group: Group | None = None

    def counts(self) -> dict[str, float]:
        owned = self._partitions.values()
        return {
            "schools": sum(len(p.arrivals.schools) for p in owned),
            "unreadable": sum(p.feed.unreadable for p in owned),
            "rushes_unproven": sum(p.arrivals.unproven for p in owned),
            "findings_held": sum(p.arrivals.held for p in owned),
            "transitions_total": self._outbox.acknowledged,
        }

    async def stop(self) -> None:
        await self._following.stop()
        await self._topics.stop()

    async def begin(self, group: Group, committed: Mapping[TP, Committed]) -> Mapping[TP, int]:
        """Rebuild before anything is judged: schools, statuses, open alerts; then passes come again."""
        await self._following.stop()
        self._partitions = {}
        self._group, committed = await named(group, committed)
        topics, now_ms = self._topics, self._clock.wall_ms
        rebuilt = {tp.partition: Arrivals(handled_ms(at, now_ms)) for tp, at in committed.items()}
        for number in rebuilt:
            self._outbox.clear(number)
        count = (await topics.counts([PASSES.name]))[PASSES.name]
        places = Places(rebuilt, Arrivals())
        registry: dict[int, int] = {}
        newest = Newest()
        async for record in topics.by_stamp(REGISTRY.name, registry):
            newest.takes(record)
            register(places.holder(school_of(record), record.partition % count), record)
        statuses: dict[int, int] = {}
        async for record in topics.by_stamp(STATUS.name, statuses):
            status(places.holder(school_of(record), record.partition), record)
        async for record in topics.in_order(ALERTS.name, now_ms - ALERTS_BACK_MS, None):
            restore(places.holder(school_of(record), record.partition % count), record)
        for number, arrivals in rebuilt.items():
            self._put(number, arrivals.restored())
        starts = await topics.offsets_at(dict.fromkeys(committed, school_day_before_ms(now_ms)))
        self._count, self._places = count, places
        self._counts_from_ms = _counts_from_ms(committed.values(), count, now_ms)
        self._partitions = {
            number: Partition(arrivals, places, self._counts_from_ms)
            for number, arrivals in rebuilt.items()
        }
        self._following.begin(REGISTRY.name, registry, partial(self._registered, newest))
        self._following.begin(STATUS.name, statuses, self._told)
        return {
            tp: start if committed[tp].offset is None else min(start, committed[tp].offset or 0)
            for tp, start in starts.items()
        }

    def _registered(self, newest: Newest, record: Located) -> None:
        if newest.takes(record):
            holder = self._places.holder(school_of(record), record.partition % self._count)
            said = register(holder, record)
            for number, arrivals in self._places.owned.items():
                if arrivals is holder:
                    self._put(number, said)

    def _told(self, record: Located) -> None:
        status(self._places.holder(school_of(record), record.partition), record)

    async def take(self, batch: Batch) -> None:
        """Hear a batch of passes. What follows waits in the outbox for the next sweep.

        Raises Abandoned.
        """
        self._proofs.took(batch)
        number = batch.tp.partition
        owned = self._partitions[number]
        owned.generation = batch.generation
        for first in range(0, len(batch.records), YIELD_EVERY):
            if batch.abandoned.is_set():
                raise Abandoned(f"{batch.tp} was revoked")
            self._put(number, owned.feed.hear(batch.records[first : first + YIELD_EVERY]))
            await asyncio.sleep(0)
        owned.feed.next_offset = batch.next_offset

    async def sweep(self) -> None:
        """Judge each partition as far as its own progress reaches, say it, and commit.

        Raises Abandoned, and aiokafka's KafkaError; what could not be said is said by the next sweep.
        """
        assert self._group is not None
        proofs, now_s = self._proofs.of(self._group), self._clock.monotonic_s()
        for number, owned in list(self._partitions.items()):
            proof_ms = proofs.get(TP(PASSES.name, number))
            if proof_ms is not None:
                self._put(number, owned.arrivals.advance(proof_ms))
            proven_ms, offset = owned.arrivals.proven_ms, owned.feed.next_offset
            await self._outbox.flush(number)
            if offset > owned.committed_to and now_s - owned.committed_s > COMMIT_EVERY_S:
                await self._commit(self._group, number, owned, offset, proven_ms)

    async def forget(self, revoked: Collection[TP]) -> None:
        await self._following.stop()
        self._partitions, self._places = {}, Places({}, Arrivals())

    async def _commit(
        self, group: Group, number: int, owned: Partition, offset: int, proven_ms: int
    ) -> None:
        """Both never move back: what is read again was said before."""
        owned.committed_s = self._clock.monotonic_s()
        if proven_ms > owned.arrivals.said_to_ms:
            tp = TP(PASSES.name, number)
            metadata = f"{proven_ms} {self._count} {self._counts_from_ms}"
            await group.commit_at(tp, offset, metadata, owned.generation)
            owned.committed_to = offset

    def _put(self, partition: int, decided: Iterable[AlertChanged]) -> None:
        for said in decided:
            log.info("finding", kind=said.kind, action=said.action, school=said.school)
            message = Message(ALERTS.name, said.school.encode(), said.model_dump_json().encode())
            self._outbox.put(partition, [message])


def _counts_from_ms(committed: Iterable[Committed], count: int, now_ms: int) -> int:
    """Before when a pass is no evidence that its school's passes are still read in this partition.

    When there are more partitions, schools move, and whoever reads the old one would miss them. Commits say
    in their second word how many there were, and in their third what was the answer then.
    """
    known = [numbers(at) for at in committed]
    if any(before not in (0, count) for _, before, _ in known):
        return now_ms + LEARNED_AFTER_MS
    return max((from_ms for _, _, from_ms in known), default=0)


def app(settings: Settings) -> faust.App:
    """The arrivals worker."""
    return app_of(ArrivalsLane(KafkaTopics(settings.kafka)), settings)
