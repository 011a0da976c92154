"""Feeds heartbeats and the stream's progress to the liveness decisions, and says what they decide."""

import asyncio
import time
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from typing import Final

import faust
import msgspec
import structlog
from aiokafka.errors import KafkaError
from faust.types import TP

from schemas.alerts import AlertChanged, StatusChanged
from schemas.settings import Settings
from schemas.topics import ALERTS, HEARTBEATS, REGISTRY, STATUS
from streams.clock import KafkaClock
from streams.liveness.decide import Liveness
from streams.liveness.guard import Guard
from streams.liveness.rebuild import everything, offsets_at, school_of, status_of, what_follows
from streams.liveness.school import Decision
from streams.outbox import Message, Outbox
from streams.transport import Abandoned, Batch, Committed, Consumer, Record, batches
from streams.worker import worker

log = structlog.get_logger(__name__)

SWEEP_EVERY_S: Final = 0.5
SWEEP_AT_MOST: Final = 5_000
YIELD_EVERY: Final = 1_000
PAUSE_S: Final = 0.1
"""Between two batches of a partition: a batch costs more than a heartbeat."""
AGAIN_AFTER_S: Final = 1.0
PROVE_AFTER_S: Final = 5.0
"""A worker that slept for longer may have lost its partitions without knowing."""
STUCK_AFTER_S: Final = 15.0
SETTLED_AFTER_S: Final = 30.0
GAP_COUNTS_MS: Final = 60_000
EXTRA_WINDOW_MS: Final = 60_000
LONGEST_WINDOW_MS: Final = 3_600_000


class Beat(msgspec.Struct, gc=False):
    """What liveness needs of a heartbeat; the archive lane judges the rest."""

    school: str
    device: str
    kind: str
    period_s: int
    time_ms: int
    clock_offset_ms: int
    type: str


_decode = msgspec.json.Decoder(Beat).decode


class Partition:
    """One partition of heartbeats that this worker owns."""

    def __init__(self, liveness: Liveness, speak_from: int, monotonic_s: float) -> None:
        self.liveness = liveness
        self.speak_from = speak_from
        """A former owner has said what follows from the records before."""
        self.decided_to = 0
        self.ready = False
        """Whether it has come to what no former owner has judged."""
        self.generation = -1
        self.said_to = 0
        """What follows from the records before is acknowledged."""
        self.committed_to = 0
        self.committed_s = 0.0
        self.assigned_s = self.moved_s = monotonic_s
        self.moved_to_ms = 0


class Watch:
    """What one worker holds."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._partitions: dict[TP, Partition] = {}
        self._clock = KafkaClock(time.time(), time.monotonic())
        self._guard = Guard()
        self._following: asyncio.Task[None] | None = None
        self.outbox = Outbox(settings.kafka)
        self.consumer: Consumer | None = None
        self.unreadable = 0

    def counts(self) -> dict[str, float]:
        return {
            "unreadable_total": self.unreadable,
            "decisions_total": self.outbox.acknowledged,
            "schools": sum(len(p.liveness.schools) for p in self._partitions.values()),
        }

    async def stop(self) -> None:
        await self._unfollow()
        await self.outbox.stop()

    async def assigned(self, committed: Mapping[TP, Committed]) -> Mapping[TP, int]:
        """Rebuild before anything is judged: what was said last, what is expected, who was heard."""
        await self._unfollow()
        kafka = self._settings.kafka
        rebuilt = {tp.partition: self._unknown() for tp in committed}
        for number in rebuilt:
            self.outbox.clear(number)
        async for record in everything(kafka, STATUS.name, rebuilt, {}):
            said = status_of(record.value)
            if said is not None:
                rebuilt[record.partition].restore(said)
        ends: dict[int, int] = {}
        async for record in everything(kafka, REGISTRY.name, rebuilt, ends):
            self._register(record.partition, rebuilt[record.partition], record.key, record.value)
        starts = await offsets_at(
            kafka,
            {
                tp: _handled_ms(at) - _window_ms(rebuilt[tp.partition])
                for tp, at in committed.items()
            },
        )
        now_s = time.monotonic()
        self._partitions = {
            tp: Partition(rebuilt[tp.partition], at.offset or 0, now_s)
            for tp, at in committed.items()
        }
        self._following = asyncio.create_task(self._follow_registry(ends))
        return {
            tp: start if committed[tp].offset is None else min(start, committed[tp].offset or 0)
            for tp, start in starts.items()
        }

    def _unknown(self) -> Liveness:
        liveness = self._settings.liveness
        return Liveness(misses=liveness.misses, grace_ms=int(liveness.grace_s * 1000))

    async def _follow_registry(self, starts: Mapping[int, int]) -> None:
        """Schools that change while we run. What follows is said by the next sweep."""
        position = dict(starts)
        while True:
            try:
                async for record in what_follows(self._settings.kafka, REGISTRY.name, position):
                    owned = self._partitions.get(TP(HEARTBEATS.name, record.partition))
                    if owned is not None:
                        self._register(record.partition, owned.liveness, record.key, record.value)
                    position[record.partition] = record.offset + 1
            except KafkaError:
                log.exception("the registry is read again from where it broke off")
                await asyncio.sleep(AGAIN_AFTER_S)

    async def _unfollow(self) -> None:
        if self._following is not None:
            self._following.cancel()
            with suppress(asyncio.CancelledError, KafkaError):
                await self._following
            self._following = None

    def _register(
        self, partition: int, liveness: Liveness, key: bytes | None, value: bytes | None
    ) -> None:
        school = school_of(key, value)
        if school is not None:
            expected = [(d.device, d.kind.value, d.period_s) for d in school.devices]
            self._put(partition, liveness.register(school.school, expected))

    async def handle(self, batch: Batch) -> None:
        """Hear a batch of heartbeats, and return when all that follows is acknowledged.

        Raises Abandoned, and aiokafka's KafkaError: then the batch comes again, and what was
        decided waits in the outbox.
        """
        owned = self._partitions[batch.tp]
        owned.generation = batch.generation
        began_s = time.monotonic()
        if began_s - owned.committed_s > PROVE_AFTER_S and batch.first_offset >= owned.speak_from:
            await self._commit(batch.tp, owned, batch.first_offset)
        for first in range(0, len(batch.records), YIELD_EVERY):
            if batch.abandoned.is_set():
                raise Abandoned(f"{batch.tp} was revoked")
            self._hear(owned, batch.tp.partition, batch.records[first : first + YIELD_EVERY])
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
                if owned.said_to > max(owned.committed_to, owned.speak_from)
            )
        )

    async def _commit(self, tp: TP, owned: Partition, offset: int) -> None:
        assert self.consumer is not None
        metadata = str(owned.liveness.proven_ms) if owned.liveness.proven_ms else ""
        await self.consumer.commit_at(tp, offset, metadata, owned.generation)
        owned.committed_to, owned.committed_s = offset, time.monotonic()

    def _hear(self, owned: Partition, partition: int, records: Sequence[Record]) -> None:
        hear, recall, decided = owned.liveness.hear, owned.liveness.recall, list[Decision]()
        for record in records:
            if record.offset < owned.decided_to:
                continue
            try:
                beat = _decode(record.value or b"")
            except (msgspec.DecodeError, UnicodeDecodeError):
                self.unreadable += 1
                continue
            if beat.type != "heartbeat" or record.key != beat.school.encode():
                self.unreadable += 1
                continue
            stamp_ms = record.timestamp
            event_ms = min(beat.time_ms - beat.clock_offset_ms, stamp_ms)
            if record.offset < owned.speak_from:
                recall(beat.school, beat.device, beat.kind, beat.period_s, event_ms, stamp_ms)
            else:
                owned.ready = True
                decided += hear(
                    beat.school, beat.device, beat.kind, beat.period_s, event_ms, stamp_ms
                )
        owned.decided_to = max(owned.decided_to, records[-1].offset + 1)
        self._put(partition, decided)

    async def sweep(self) -> None:
        """Judge each partition as far as its own progress reaches, no further.

        Raises aiokafka's KafkaError; what could not be said is said by the next sweep.
        """
        now_s = time.monotonic()
        for tp, owned in self._partitions.items():
            self._prove(tp, owned, now_s)
        ready = {tp: owned for tp, owned in self._partitions.items() if owned.ready}
        falling = sum(owned.liveness.falling() for owned in ready.values())
        schools = sum(len(owned.liveness.schools) for owned in ready.values())
        troubles = self._troubles(now_s)
        # Between two sweeps, batches judge for themselves while nothing is wrong.
        for owned in ready.values():
            owned.liveness.held = bool(troubles)
        held = self._guard.holds(falling, schools, troubles)
        notice = self._guard.say(held, falling, troubles, self._clock.now_ms(now_s))
        if notice is not None and ready:
            log.warning("evidence impaired", note=notice.note, action=notice.action)
            self._put(min(tp.partition for tp in ready), [notice])
        for tp, owned in ready.items():
            while not held and owned.liveness.is_due() and self._partitions.get(tp) is owned:
                self._judge(tp.partition, owned.liveness)
                await asyncio.sleep(0)
            await self.outbox.flush(tp.partition)

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
        if liveness.proven_ms != owned.moved_to_ms:
            owned.moved_to_ms, owned.moved_s = liveness.proven_ms, now_s

    def _troubles(self, now_s: float) -> list[str]:
        """What is wrong with our own evidence."""
        owned = self._partitions.items()
        stuck = [tp.partition for tp, p in owned if now_s - p.moved_s > STUCK_AFTER_S]
        new = [tp.partition for tp, p in owned if now_s - p.assigned_s < SETTLED_AFTER_S]
        gap = [
            tp.partition
            for tp, p in owned
            if p.liveness.gap_ms and p.liveness.proven_ms - p.liveness.gap_ms < GAP_COUNTS_MS
        ]
        return [
            f"{what}: partitions {', '.join(map(str, sorted(numbers)))}"
            for what, numbers in (
                ("no progress", stuck),
                ("just taken over", new),
                ("unread for a while", gap),
            )
            if numbers
        ]

    def _put(self, partition: int, decided: Iterable[Decision]) -> None:
        for step in steps(decided):
            self.outbox.put(partition, step)


def steps(decided: Iterable[Decision]) -> list[list[Message]]:
    """Messages in as few steps as keep, for each school, an alert after the status that opens it,
    and a status after the alert that it ends; each step is acknowledged before the next is sent."""
    found: list[list[Message]] = []
    level: dict[str, tuple[int, bool]] = {}
    for decision in decided:
        is_alert = isinstance(decision, AlertChanged)
        at, was_alert = level.get(decision.school, (0, is_alert))
        at += is_alert is not was_alert
        level[decision.school] = (at, is_alert)
        if at == len(found):
            found.append([])
        found[at].append(_message(decision))
    return found


def _message(decision: Decision) -> Message:
    value = decision.model_dump_json().encode()
    if isinstance(decision, StatusChanged):
        # Compaction keeps the last word about each device.
        return Message(STATUS.name, f"{decision.school}/{decision.device}".encode(), value)
    return Message(ALERTS.name, decision.school.encode(), value)


def _handled_ms(committed: Committed) -> int:
    """Kafka's time up to which the group has spoken; the wall's before its first commit."""
    if committed.metadata.isdecimal():
        return int(committed.metadata)
    return int(time.time() * 1000)


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

    async def trouble(what: str, error: KafkaError) -> None:
        log.exception(what)
        if not error.retriable:
            await it.crash(error)  # the producer is spent; a new process rebuilds everything

    @it.agent(channel, concurrency=4)  # type: ignore[untyped-decorator]
    async def hear(stream: faust.StreamT[Batch]) -> None:
        async for batch in stream:
            try:
                await watch.handle(batch)
            except Abandoned:
                batch.done()
            except KafkaError as error:
                batch.retry()
                await trouble("a batch of heartbeats comes again", error)
            except Exception:
                log.exception("a batch of heartbeats failed and comes again")
                batch.retry()

    @it.task  # type: ignore[untyped-decorator]
    async def sweep(app_: faust.App) -> None:
        while not app_.should_stop:
            await app_.sleep(SWEEP_EVERY_S)
            if watch.consumer is not None:
                try:
                    await watch.sweep()
                    await watch.commit()
                except Abandoned:
                    log.info("a partition is left to its next owner")
                except KafkaError as error:
                    await trouble("a sweep could not be said", error)

    @it.on_before_shutdown.connect  # type: ignore[untyped-decorator]
    async def stop(*_: object, **__: object) -> None:
        await watch.stop()

    return it
