"""Feeds heartbeats and the stream's progress to the liveness decisions, and says what they decide."""

import asyncio
import time
from collections.abc import Iterable, Mapping
from functools import partial
from typing import Any, Final

import faust
import structlog
from aiokafka.errors import KafkaError
from faust.types import TP

from schemas.alerts import StatusChanged
from schemas.settings import Settings
from schemas.topics import ALERTS, HEARTBEATS, PANICS, REGISTRY, STATUS
from streams.deciding import Counted, Following, handled_ms, not_said, sweep_every
from streams.liveness.decide import Liveness
from streams.liveness.feed import register, tested
from streams.liveness.findings import TEST_EVERY_MS
from streams.liveness.guard import Guard, in_words, uneven
from streams.liveness.messages import message, steps
from streams.liveness.partition import Partition
from streams.liveness.places import Places
from streams.liveness.school import Decision
from streams.outbox import Outbox
from streams.rebuild import status_of
from streams.runtime.kafka.bounded import by_stamp, everything, offsets_at, partitions_of
from streams.runtime.kafka.clock import KafkaClock
from streams.runtime.kafka.newest import Newest
from streams.transport import Abandoned, Batch, Committed, Consumer, batches
from streams.worker import worker

log = structlog.get_logger(__name__)

SWEEP_EVERY_S: Final = 0.5
SWEEP_AT_MOST: Final = 5_000
YIELD_EVERY: Final = 1_000
PAUSE_S: Final = 0.1
"""Between two batches of a partition: a batch costs more than a heartbeat."""
PROVE_AFTER_S: Final = 5.0
"""A worker that slept for longer may have lost its partitions without knowing."""
EXTRA_WINDOW_MS: Final = 60_000
LONGEST_WINDOW_MS: Final = 3_600_000
CO_READ: Final = (HEARTBEATS.name, STATUS.name, REGISTRY.name, ALERTS.name, PANICS.name)
DIFFER_SAID_AFTER_S: Final = 10.0
"""Topics get their partitions one after the other; a moment's difference is no finding."""
TESTS_BACK_MS: Final = TEST_EVERY_MS + 86_400_000


class Watch:
    """What one worker holds."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._partitions: dict[TP, Partition] = {}
        self._clock = KafkaClock(time.time(), time.monotonic())
        self._guard = Guard()
        self._following = Following(settings.kafka)
        self._counted = Counted(settings.kafka, CO_READ)
        self._count = 0
        """Partitions of heartbeats, as this worker's share of them was made."""
        self._differ_since_s = 0.0
        self._differ_said = ""
        self._places = Places({}, self._unknown())
        self.outbox = Outbox(settings.kafka)
        self.consumer: Consumer | None = None
        self._unreadable = 0

    def counts(self) -> dict[str, float]:
        return {
            "unreadable_total": self._unreadable
            + sum(p.feed.unreadable for p in self._partitions.values()),
            "decisions_total": self.outbox.acknowledged,
            "schools": sum(len(p.liveness.schools) for p in self._partitions.values()),
        }

    async def stop(self) -> None:
        await self._following.stop()
        await self._counted.stop()
        await self.outbox.stop()

    async def assigned(self, committed: Mapping[TP, Committed]) -> Mapping[TP, int]:
        """Rebuild before anything is judged: what was said last, what is expected, who was heard."""
        await self._following.stop()
        kafka = self._settings.kafka
        there = await partitions_of(kafka, CO_READ)
        self._count = len(there[HEARTBEATS.name])
        self._counted.begin({topic: len(partitions) for topic, partitions in there.items()})
        owned = {tp.partition: self._unknown() for tp in committed}
        for number in owned:
            self.outbox.clear(number)
        places = Places(owned, self._unknown())
        said: dict[int, int] = {}
        registry: dict[int, int] = {}
        newest = Newest()
        last: dict[tuple[str, str], tuple[int, StatusChanged]] = {}
        async for record in by_stamp(kafka, STATUS.name, said):
            status = status_of(record.value)
            if status is not None:
                last.pop((status.school, status.device), None)
                last[status.school, status.device] = record.partition % self._count, status
        for home, status in reversed(last.values()):
            places.holder(status.school, home).restore(status)
        async for record in by_stamp(kafka, REGISTRY.name, registry):
            newest.takes(record)
            self._register(places, record)
        panics = await self._tests(places, there[PANICS.name])
        now_ms = int(time.time() * 1000)
        starts = await offsets_at(
            kafka,
            {
                tp: handled_ms(at, now_ms) - _window_ms(owned[tp.partition])
                for tp, at in committed.items()
            },
        )
        now_s = time.monotonic()
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
        liveness = self._settings.liveness
        return Liveness(misses=liveness.misses, grace_ms=int(liveness.grace_s * 1000))

    def _has_grown(self, committed: Mapping[TP, Committed]) -> bool:
        """Whether a former owner knew another number of partitions: its schools may be anywhere."""
        counts = {_words(at)[2] for at in committed.values() if at.offset is not None}
        return bool(counts) and counts != {self._count}

    async def _tests(self, places: Places, partitions: Iterable[int]) -> dict[int, int]:
        """Read the weekly tests of late; return the offsets from which new ones follow."""
        kafka, since_ms = self._settings.kafka, int(time.time() * 1000) - TESTS_BACK_MS
        numbers = list(partitions)
        starts = await offsets_at(kafka, {TP(PANICS.name, number): since_ms for number in numbers})
        for tp, offset in starts.items():
            # Where the topic is older than what is read of it, a missing test is missing.
            places.of(tp.partition).tests_from_ms = since_ms if offset else 0
        ends: dict[int, int] = {}
        async for record in everything(kafka, PANICS.name, numbers, ends, starts):
            _heard_test(places, record)
        return ends

    def _register(self, places: Places, record: Any) -> None:
        school = (record.key or b"").decode(errors="replace")
        holder = places.holder(school, record.partition % self._count)
        decided = register(holder, record.key, record.value)
        number = next((n for n, owned in places.owned.items() if owned is holder), None)
        if number is not None:  # what others judge, they say
            self._put(number, decided)

    def _registered(self, newest: Newest, record: Any) -> None:
        if newest.takes(record):
            self._register(self._places, record)

    def _tested(self, record: Any) -> None:
        _heard_test(self._places, record)

    def _said_elsewhere(self, record: Any) -> None:
        """What another worker says is known here, should the school come to us."""
        said = status_of(record.value)
        if said is not None:
            self._places.claimed(said.school, record.partition)
            if said.school in self._places.elsewhere.schools:
                self._places.elsewhere.restore(said)

    async def handle(self, batch: Batch) -> None:
        """Hear a batch of heartbeats, and return when all that follows is acknowledged.

        Raises Abandoned, and aiokafka's KafkaError: then the batch comes again, and what was
        decided waits in the outbox.
        """
        owned = self._partitions[batch.tp]
        owned.generation = batch.generation
        began_s = time.monotonic()
        if (
            began_s - owned.committed_s > PROVE_AFTER_S
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
        self._clock.observe(batch.records[-1].timestamp, began_s)
        await self.outbox.flush(batch.tp.partition)
        owned.said_to = batch.next_offset
        # Not slept here: the actor is free for another partition meanwhile. Lag is read at full speed.
        pause_s = PAUSE_S if len(batch.records) < YIELD_EVERY else 0.0
        asyncio.get_running_loop().call_later(pause_s, batch.done)

    async def commit(self) -> None:
        """Commit what was said. Many batches share a commit; after a crash, they are heard again."""
        await asyncio.gather(
            *(
                self._commit(tp, owned, owned.said_to)
                for tp, owned in self._partitions.items()
                if owned.said_to > max(owned.committed_to, owned.feed.speak_from)
            )
        )

    async def _commit(self, tp: TP, owned: Partition, offset: int) -> None:
        assert self.consumer is not None
        proven_ms, impaired_ms = owned.liveness.proven_ms, self._guard.opened_ms
        metadata = f"{proven_ms} {impaired_ms} {self._count}" if proven_ms else ""
        await self.consumer.commit_at(tp, offset, metadata, owned.generation)
        owned.committed_to, owned.committed_s = offset, time.monotonic()

    async def sweep(self) -> None:
        """Judge each partition as far as its own progress reaches, no further.

        Raises aiokafka's KafkaError; what could not be said is said by the next sweep.
        """
        now_s = time.monotonic()
        for tp, owned in self._partitions.items():
            self._prove(tp, owned, now_s)
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
            await self.outbox.flush(tp.partition)

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
        notice = self._guard.say(impaired, falling, troubles, self._clock.now_ms(now_s))
        if notice is None:
            return
        log.warning("evidence impaired", note=notice.note, action=notice.action)
        self.outbox.put(min(tp.partition for tp in ready), [message(notice)])
        for tp, owned in ready.items():
            if owned.said_to > owned.feed.speak_from:
                await self._commit(tp, owned, owned.said_to)

    def _judge(self, partition: int, liveness: Liveness) -> None:
        held, liveness.held = liveness.held, False
        self._put(partition, liveness.advance(liveness.proven_ms, SWEEP_AT_MOST))
        liveness.held = held

    def _prove(self, tp: TP, owned: Partition, now_s: float) -> None:
        """Take the broker's word that there was nothing more to read."""
        assert self.consumer is not None
        progress = self.consumer.metrics.progress.get(tp)
        liveness = owned.liveness
        if progress is not None and progress.caught_up_at_s is not None:
            proof_ms = self._clock.at_ms(progress.caught_up_at_s, time.time(), now_s)
            if proof_ms is not None and proof_ms > liveness.proven_ms:
                owned.ready = True
                self._put(tp.partition, liveness.advance(proof_ms, 0))
        owned.evidence.moved(liveness.proven_ms, now_s)

    def _put(self, partition: int, decided: Iterable[Decision]) -> None:
        for step in steps(decided):
            self.outbox.put(partition, step)


def _heard_test(places: Places, record: Any) -> None:
    here = places.of(record.partition)
    here.tests_from_ms = here.tests_from_ms or record.timestamp
    school = (record.key or b"").decode(errors="replace")
    tested(places.holder(school, record.partition), record)


def _words(committed: Committed) -> tuple[int, int, int]:
    """Of the metadata of a commit: up to when its owner has spoken, when the alert was opened that it
    left open, and of how many partitions it knew; 0 for what is not said."""
    words = [int(word) if word.isdecimal() else 0 for word in committed.metadata.split(" ")]
    proven_ms, impaired_ms, count = [*words, 0, 0, 0][:3]
    return proven_ms, impaired_ms, count


def _impaired_ms(committed: Committed) -> int:
    return _words(committed)[1]


def _window_ms(liveness: Liveness) -> int:
    return min(liveness.longest_timeout_ms() + EXTRA_WINDOW_MS, LONGEST_WINDOW_MS)


def app(settings: Settings) -> faust.App:
    """The liveness worker."""
    watch = Watch(settings)
    it = worker("liveness", settings, watch.counts)

    async def assigned(committed: Mapping[TP, Committed]) -> Mapping[TP, int]:
        watch.consumer = it.consumer
        return await watch.assigned(committed)

    channel = batches(it, [HEARTBEATS.name], on_assigned=assigned)

    @it.agent(channel, concurrency=4)  # type: ignore[untyped-decorator]
    async def hear(stream: faust.StreamT[Batch]) -> None:
        async for batch in stream:
            try:
                await watch.handle(batch)
            except Abandoned:
                batch.done()
            except KafkaError as error:
                batch.retry()
                await not_said(it, error)
            except Exception:
                log.exception("a batch of heartbeats failed and comes again")
                batch.retry()

    async def sweep() -> None:
        await watch.sweep()
        await watch.commit()

    sweep_every(it, SWEEP_EVERY_S, sweep, lambda: watch.consumer is not None)

    @it.on_before_shutdown.connect  # type: ignore[untyped-decorator]
    async def stop(*_: object, **__: object) -> None:
        await watch.stop()

    return it
