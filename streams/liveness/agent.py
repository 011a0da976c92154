"""Feeds heartbeats and the stream's progress to the liveness decisions, and says what they decide."""

import asyncio
from collections.abc import Collection, Iterable, Mapping
from functools import partial
from typing import Final

import faust
import structlog
from faust.types import TP

from schemas.alerts import StatusChanged
from schemas.settings import LivenessSettings, Settings
from schemas.topics import ALERTS, HEARTBEATS, PANICS, REGISTRY, STATUS
from streams.beside import Counted, Following, KafkaTopics, Topics, status_of
from streams.lane import YIELD_EVERY, Group, Proofs, Reads, handled_ms, named, numbers
from streams.lane import app as app_of
from streams.liveness.decide import Liveness
from streams.liveness.feed import register, tested
from streams.liveness.findings import TEST_EVERY_MS
from streams.liveness.guard import Guard, in_words, uneven
from streams.liveness.messages import message, steps
from streams.liveness.partition import Partition
from streams.liveness.places import Places
from streams.liveness.school import Decision
from streams.outbox import Outbox
from streams.runtime.clock import MACHINE, Clock
from streams.runtime.kafka.newest import Newest
from streams.transport import Abandoned, Batch, Committed, Located

log = structlog.get_logger(__name__)

SWEEP_AT_MOST: Final = 5_000
GATHER_S: Final = 0.5
"""A batch costs more than an event, and no decision is this urgent."""
PROVE_AFTER_S: Final = 5.0
"""A worker that slept for longer may have lost its partitions without knowing."""
EXTRA_WINDOW_MS: Final = 60_000
LONGEST_WINDOW_MS: Final = 3_600_000
CO_READ: Final = (HEARTBEATS.name, STATUS.name, REGISTRY.name, ALERTS.name, PANICS.name)
DIFFER_SAID_AFTER_S: Final = 10.0
"""Topics get their partitions one after the other; a moment's difference is no finding."""
TESTS_BACK_MS: Final = TEST_EVERY_MS + 86_400_000


class LivenessLane:
    """The schools of the partitions that this worker owns, and what is known of the others."""

    name = "liveness"
    reads = Reads([HEARTBEATS.name], concurrency=4, gather_s={HEARTBEATS.name: GATHER_S})
    sweep_every_s = 0.5
    hopeless = ()

    def __init__(self, topics: Topics, settings: LivenessSettings, clock: Clock = MACHINE) -> None:
        self._settings = settings
        self._topics = topics
        self._clock = clock
        self._partitions: dict[TP, Partition] = {}
        self._proofs = Proofs(clock)
        self._guard = Guard()
        self._following = Following(topics)
        self._counted = Counted(topics, CO_READ, clock)
        self._count = 0
        """Partitions of heartbeats, as this worker's share of them was made."""
        self._differ_since_s = 0.0
        self._differ_said = ""
        self._places = Places({}, self._unknown())
        self._outbox = Outbox(topics.send)
        self._group: Group | None = None
        self._unreadable = 0

    def counts(self) -> dict[str, float]:
        return {
            "unreadable_total": self._unreadable
            + sum(p.feed.unreadable for p in self._partitions.values()),
            "decisions_total": self._outbox.acknowledged,
            "schools": sum(len(p.liveness.schools) for p in self._partitions.values()),
        }

    async def stop(self) -> None:
        await self._following.stop()
        await self._counted.stop()
        await self._topics.stop()

    async def begin(self, group: Group, committed: Mapping[TP, Committed]) -> Mapping[TP, int]:
        """Rebuild before anything is judged: what was said last, what is expected, who was heard."""
        await self._following.stop()
        self._group, committed = await named(group, committed)
        topics = self._topics
        there = await self._counted.begin()
        self._count = there[HEARTBEATS.name]
        owned = {tp.partition: self._unknown() for tp in committed}
        for number in owned:
            self._outbox.clear(number)
        places = Places(owned, self._unknown())
        said: dict[int, int] = {}
        registry: dict[int, int] = {}
        newest = Newest()
        last: dict[tuple[str, str], tuple[int, StatusChanged]] = {}
        async for record in topics.by_stamp(STATUS.name, said):
            status = status_of(record.value)
            if status is not None:
                last.pop((status.school, status.device), None)
                last[status.school, status.device] = record.partition % self._count, status
        for home, status in reversed(last.values()):
            places.holder(status.school, home).restore(status)
        async for record in topics.by_stamp(REGISTRY.name, registry):
            newest.takes(record)
            self._register(places, record)
        panics = await self._tests(places, there[PANICS.name])
        now_ms = self._clock.wall_ms
        starts = await topics.offsets_at(
            {
                tp: handled_ms(at, now_ms) - _window_ms(owned[tp.partition])
                for tp, at in committed.items()
            },
        )
        now_s = self._clock.monotonic_s()
        self._unreadable += sum(p.feed.unreadable for p in self._partitions.values())
        grown = self._has_grown(committed)
        self._places = places
        self._partitions = {
            tp: Partition(owned[tp.partition], places, at.offset or 0, now_s, grown)
            for tp, at in committed.items()
        }
        self._guard.restore(_impaired_ms(at) for at in committed.values())
        self._following.begin(REGISTRY.name, registry, partial(self._registered, newest))
        self._following.begin(PANICS.name, panics, self._tested)
        if len(owned) < self._count:
            self._following.begin(STATUS.name, said, self._said_elsewhere)
        return {
            tp: start if committed[tp].offset is None else min(start, committed[tp].offset or 0)
            for tp, start in starts.items()
        }

    def _unknown(self) -> Liveness:
        settings = self._settings
        return Liveness(misses=settings.misses, grace_ms=int(settings.grace_s * 1000))

    def _has_grown(self, committed: Mapping[TP, Committed]) -> bool:
        """Whether a former owner knew another number of partitions: its schools may be anywhere."""
        counts = {numbers(at)[2] for at in committed.values() if at.offset is not None}
        return bool(counts) and counts != {self._count}

    async def _tests(self, places: Places, count: int) -> dict[int, int]:
        """Read the weekly tests of late; return the offsets from which new ones follow."""
        topics, numbers = self._topics, range(count)
        since_ms = self._clock.wall_ms - TESTS_BACK_MS
        starts = await topics.offsets_at({TP(PANICS.name, number): since_ms for number in numbers})
        for tp, offset in starts.items():
            # Where the topic is older than what is read of it, a missing test is missing.
            places.of(tp.partition).tests_from_ms = since_ms if offset else 0
        ends: dict[int, int] = {}
        async for record in topics.everything(PANICS.name, numbers, ends, starts):
            _heard_test(places, record)
        return ends

    def _register(self, places: Places, record: Located) -> None:
        school = (record.key or b"").decode(errors="replace")
        holder = places.holder(school, record.partition % self._count)
        decided = register(holder, record.key, record.value)
        number = next((n for n, owned in places.owned.items() if owned is holder), None)
        if number is not None:  # what others judge, they say
            self._put(number, decided)

    def _registered(self, newest: Newest, record: Located) -> None:
        if newest.takes(record):
            self._register(self._places, record)

    def _tested(self, record: Located) -> None:
        _heard_test(self._places, record)

    def _said_elsewhere(self, record: Located) -> None:
        """What another worker says is known here, should the school come to us."""
        said = status_of(record.value)
        if said is not None:
            self._places.claimed(said.school, record.partition)
            if said.school in self._places.elsewhere.schools:
                self._places.elsewhere.restore(said)

    async def take(self, batch: Batch) -> None:
        """Hear a batch of heartbeats, and return when all that follows is acknowledged.

        Raises Abandoned, and aiokafka's KafkaError: then the batch comes again, and what was
        decided waits in the outbox.
        """
        self._proofs.took(batch)
        owned = self._partitions[batch.tp]
        owned.generation = batch.generation
        if (
            self._clock.monotonic_s() - owned.committed_s > PROVE_AFTER_S
            and batch.first_offset >= owned.feed.speak_from
        ):
            await self._commit(batch.tp, owned, batch.first_offset)
        for first in range(0, len(batch.records), YIELD_EVERY):
            if batch.abandoned.is_set():
                raise Abandoned(f"{batch.tp} was revoked")
            records = batch.records[first : first + YIELD_EVERY]
            self._put(batch.tp.partition, owned.feed.hear(records))
            owned.ready |= owned.feed.spoke
            await asyncio.sleep(0)
        await self._outbox.flush(batch.tp.partition)
        owned.said_to = batch.next_offset

    async def forget(self, revoked: Collection[TP]) -> None:
        await self._following.stop()
        self._unreadable += sum(p.feed.unreadable for p in self._partitions.values())
        self._partitions, self._places = {}, Places({}, self._unknown())

    async def _commit_said(self) -> None:
        """Commit what was said. Many batches share a commit; after a crash, they are heard again."""
        await asyncio.gather(
            *(
                self._commit(tp, owned, owned.said_to)
                for tp, owned in self._partitions.items()
                if owned.said_to > max(owned.committed_to, owned.feed.speak_from)
            )
        )

    async def _commit(self, tp: TP, owned: Partition, offset: int) -> None:
        assert self._group is not None
        proven_ms, impaired_ms = owned.liveness.proven_ms, self._guard.opened_ms
        # Up to when we have spoken, when the alert was opened that is open, how many partitions there are.
        metadata = f"{proven_ms} {impaired_ms} {self._count}" if proven_ms else ""
        await self._group.commit_at(tp, offset, metadata, owned.generation)
        owned.committed_to, owned.committed_s = offset, self._clock.monotonic_s()

    async def sweep(self) -> None:
        """Judge each partition as far as its own progress reaches, no further; say it, and commit.

        Raises Abandoned, and aiokafka's KafkaError; what could not be said is said by the next sweep.
        """
        await self._judge_all()
        await self._commit_said()

    async def _judge_all(self) -> None:
        assert self._group is not None
        now_s, proofs = self._clock.monotonic_s(), self._proofs.of(self._group)
        for tp, owned in self._partitions.items():
            self._prove(tp.partition, owned, proofs.get(tp), now_s)
        ready = {tp: owned for tp, owned in self._partitions.items() if owned.ready}
        for owned in ready.values():
            if owned.grown:
                owned.liveness.forgive(unread=False)
                owned.grown = False
        counts = self._counted.of
        differ = self._differ(counts, now_s)
        troubled = {tp: why for tp, owned in ready.items() if (why := owned.trouble(now_s))}
        falling = sum(ready[tp].liveness.falling() for tp in troubled)
        standing = sum(ready[tp].liveness.standing() for tp in troubled)
        troubles = in_words({tp.partition: why for tp, why in troubled.items()})
        # Between two sweeps, batches judge for themselves where nothing is wrong.
        for tp, owned in ready.items():
            owned.liveness.held = not counts or differ is not None or tp in troubled
        held = self._guard.holds(falling, standing, troubles)
        for tp, owned in ready.items():
            waits = differ is not None or (held and tp in troubled)
            if owned.waited and not waits:
                owned.liveness.forgive()
            owned.waited = waits
        lost = any(owned.evidence.has_lost_canary(owned.feed.canary_ms) for owned in ready.values())
        troubles += [differ] if differ else []
        await self._guarded(ready, held or lost or bool(differ), falling, troubles, now_s)
        for tp, owned in ready.items():
            while (
                counts
                and not owned.waited
                and owned.liveness.is_due()
                and self._partitions.get(tp) is owned
            ):
                self._judge(tp.partition, owned.liveness)
                await asyncio.sleep(0)
            await self._outbox.flush(tp.partition)

    def _differ(self, counts: Mapping[str, int], now_s: float) -> str | None:
        """Why nobody may be judged: the topics that are read together have different numbers of
        partitions, or others than we know, so that a heartbeat may be where nobody reads it. None
        when that is not so; empty while it may be over in a moment.
        """
        if not counts or set(counts.values()) == {self._count}:
            self._differ_since_s, self._differ_said = 0.0, ""
            return None
        self._differ_since_s = self._differ_since_s or now_s
        if now_s - self._differ_since_s < DIFFER_SAID_AFTER_S:
            return ""
        why = f"{uneven(counts, self._count)}: nobody is judged; see `saqshy topics`"
        if why != self._differ_said:
            self._differ_said = why
            log.error("nobody is judged", why=why)
        return why

    async def _guarded(
        self,
        ready: Mapping[TP, Partition],
        impaired: bool,
        falling: int,
        troubles: list[str],
        now_s: float,
    ) -> None:
        """Say whether monitoring is impaired; whoever comes after us knows it from the commits."""
        if not ready:
            return
        notice = self._guard.say(impaired, falling, troubles, self._proofs.now_ms())
        if notice is None:
            return
        log.warning("evidence impaired", note=notice.note, action=notice.action)
        self._outbox.put(min(tp.partition for tp in ready), [message(notice)])
        for tp, owned in ready.items():
            if owned.said_to > owned.feed.speak_from:
                await self._commit(tp, owned, owned.said_to)

    def _judge(self, partition: int, liveness: Liveness) -> None:
        held, liveness.held = liveness.held, False
        self._put(partition, liveness.advance(liveness.proven_ms, SWEEP_AT_MOST))
        liveness.held = held

    def _prove(self, number: int, owned: Partition, proof_ms: int | None, now_s: float) -> None:
        """Take the broker's word that there was nothing more to read."""
        liveness = owned.liveness
        if proof_ms is not None and proof_ms > liveness.proven_ms:
            owned.ready = True
            self._put(number, liveness.advance(proof_ms, 0))
        owned.evidence.moved(liveness.proven_ms, now_s)

    def _put(self, partition: int, decided: Iterable[Decision]) -> None:
        for step in steps(decided):
            self._outbox.put(partition, step)


def _heard_test(places: Places, record: Located) -> None:
    here = places.of(record.partition)
    here.tests_from_ms = here.tests_from_ms or record.timestamp
    school = (record.key or b"").decode(errors="replace")
    tested(places.holder(school, record.partition), record)


def _impaired_ms(committed: Committed) -> int:
    return numbers(committed)[1]


def _window_ms(liveness: Liveness) -> int:
    return min(liveness.longest_timeout_ms() + EXTRA_WINDOW_MS, LONGEST_WINDOW_MS)


def app(settings: Settings) -> faust.App:
    """The liveness worker."""
    return app_of(LivenessLane(KafkaTopics(settings.kafka), settings.liveness), settings)
