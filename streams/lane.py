"""A lane: what it is asked, and the one Faust app that asks it.

A lane is a class of its own folder. Nobody but ``app`` calls it, and in this order: ``begin`` with what its
group has committed, when partitions were assigned; ``take`` with one batch of each partition at a time, and
``sweep`` on a timer, in between; ``forget`` when the partitions are revoked; ``stop`` at the end. A lane
commits by itself, what the broker has acknowledged (see streams/outbox.py) or what is stored, never more.

Theory of operation of the error policy, which is the same for all lanes:

1. **Abandoned**: the partition has another owner now, or its generation is over. The batch is dropped, as
   nothing of it was committed; its next owner reads it again.
2. **What may pass** (a broker or database that does not answer, a bug that one batch meets): a batch comes
   again after a second, a start after a second, a sweep at the next tick. That goes on for as long as it
   takes. Other partitions go on meanwhile. It is seen as ``saqshy_retries_total``, a lag that grows, and the
   watchdog's ``frozen:GROUP``.
3. **What no attempt can better** ends the process with one line, ``lane stops``: the supervisor's restarts
   are seen, an endless turn is not, and a new process rebuilds everything from Kafka. That is an error which
   Kafka calls final (a producer that is spent, a refusal by its access rules), but not a time-out of a
   start, as nothing was sent then; and what the lane itself names in ``hopeless``.
4. **A sweep that fails by anything but Kafka** ends the process as well. A decision changes the state that it
   was made from; what a sweep had decided when it failed is neither said nor decided again, unless a new
   process rebuilds the state.
5. **What speaks against one topic** (too many of its records become dead letters: the fault is likely ours)
   stops that topic alone: ``topic stops``, ``saqshy_topics_stopped``, and a /health that is not ready.
6. **A record never stops its partition**, whatever its bytes are. That is not decided here but by each lane:
   what can't be read is counted, raised as unidentified, or stored as a dead letter.
"""

import asyncio
from collections.abc import Awaitable, Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final, Generic, Protocol, TypeVar

import faust
import structlog
from aiokafka.errors import KafkaError, KafkaTimeoutError
from faust.types import TP

from schemas.settings import Settings
from streams.runtime.clock import Clock
from streams.runtime.kafka.clock import KafkaClock
from streams.transport import Abandoned, Batch, Committed, Consumer, Metrics, Timeline, batches
from streams.worker import worker

log = structlog.get_logger(__name__)

YIELD_EVERY: Final = 1_000
"""Records that a lane takes before it lets others run, and below which a batch is a small one."""

LIFE: Final = "life="


class Group(Protocol):
    """This worker's membership in the group of its lane, as far as a deciding lane needs it."""

    @property
    def metrics(self) -> Metrics: ...

    async def timeline(self, tp: TP) -> Timeline:
        """Which log the partition is. Raises Abandoned when it isn't ours any more."""

    async def commit_at(self, tp: TP, offset: int, metadata: str, generation: int) -> None:
        """Raises Abandoned when the partition isn't ours in this generation, and KafkaError."""


@dataclass(frozen=True, slots=True)
class Reads:
    """What a lane reads in batches, and how. ``concurrency``: partitions that are handled at a time.
    ``apart``: each partition begins by itself (see streams.transport.batches). ``stop_topic``: errors after
    which nothing more of the batch's topic is taken, while the other topics go on. ``gather_s``: by topic,
    for how long what comes after a batch waits for more, unless there is much to do.
    """

    topics: Sequence[str]
    max_records: int = 10_000
    concurrency: int = 1
    apart: bool = False
    stop_topic: tuple[type[Exception], ...] = ()
    gather_s: Mapping[str, float] = field(default_factory=dict)


G = TypeVar("G", contravariant=True)


class Lane(Protocol[G]):
    """What ``app`` needs to know of a lane, and what it asks. ``G``: what the lane needs of its group."""

    @property
    def name(self) -> str:
        """Its consumer group without the prefix, and the label of its metrics."""

    @property
    def reads(self) -> Reads: ...

    @property
    def sweep_every_s(self) -> float:
        """0 for a lane that never sweeps."""

    @property
    def hopeless(self) -> tuple[type[Exception], ...]:
        """Errors of its own that no further attempt can better."""

    def counts(self) -> Mapping[str, float]:
        """Its own figures by Prometheus name, asked at each scrape."""

    async def begin(self, group: G, committed: Mapping[TP, Committed]) -> Mapping[TP, int]:
        """Rebuild what it must know of newly assigned partitions; return the offsets to read from.

        Bears repetition after any exception.
        """

    async def take(self, batch: Batch) -> None:
        """Take in a batch. Raises Abandoned. After another exception the same batch comes again."""

    async def sweep(self) -> None:
        """Say, and commit, what follows from the time that has passed. Raises Abandoned, KafkaError."""

    async def forget(self, revoked: Collection[TP]) -> None:
        """Hold nothing more of these partitions; they may be another worker's at once."""

    async def stop(self) -> None:
        """Let go of connections and tasks."""


class ErrorPolicy(Generic[G]):
    """Asks a lane, and does with its exceptions what the text above says. ``end`` ends the process."""

    def __init__(self, lane: Lane[G], end: Callable[[Exception], Awaitable[None]]) -> None:
        self._lane = lane
        self._end = end
        self._begun = False
        self._ending = False
        self._standing: set[asyncio.Task[None]] = set()
        self.stopped: dict[str, str] = {}
        """The topics that stand still, and why."""

    async def begin(self, group: G, committed: Mapping[TP, Committed]) -> Mapping[TP, int]:
        """Raises what the lane raises: whoever calls tries again."""
        try:
            starts = await self._lane.begin(group, committed)
        except Exception as error:
            if self._is_hopeless(error) and not isinstance(error, KafkaTimeoutError):
                await self._ends(error)
            raise
        self._begun = True
        return starts

    async def take(self, batch: Batch) -> None:
        try:
            await self._lane.take(batch)
        except Abandoned:
            log.info("a batch is left to its next owner", partition=batch.tp.partition)
            batch.done()
        except self._lane.reads.stop_topic as error:
            topic = batch.tp.topic
            log.critical("topic stops: the fault is likely ours", topic=topic, why=str(error))
            self.stopped[topic] = str(error)
            # Not finished before another worker has the partition: so nothing more of it comes.
            self._standing.add(asyncio.create_task(_left_when_taken(batch)))
        except Exception as error:
            batch.retry()
            if self._is_hopeless(error):
                await self._ends(error)
            else:
                log.exception("a batch failed and comes again", topic=batch.tp.topic)
        else:
            batch.done()

    async def sweep(self) -> None:
        if not self._begun:
            return
        try:
            await self._lane.sweep()
        except Abandoned:
            log.info("a partition is left to its next owner")
        except Exception as error:
            if self._is_hopeless(error) or not isinstance(error, KafkaError):
                await self._ends(error)
            else:
                log.warning("what was decided could not be said", error=repr(error)[:200])

    async def forget(self, revoked: Collection[TP]) -> None:
        self._begun = False
        await self._lane.forget(revoked)

    def _is_hopeless(self, error: Exception) -> bool:
        is_final = isinstance(error, KafkaError) and not error.retriable
        return is_final or isinstance(error, self._lane.hopeless)

    async def _ends(self, error: Exception) -> None:
        if not self._ending:
            self._ending = True
            why = repr(error)[:500]
            log.critical("lane stops: trying again would not help", lane=self._lane.name, why=why)
            await self._end(error)


def app(lane: Lane[Consumer], settings: Settings) -> faust.App:
    """The worker of a lane."""

    def counts() -> Mapping[str, float]:
        return {**lane.counts(), "topics_stopped": len(policy.stopped)}

    it = worker(lane.name, settings, counts, lambda: policy.stopped)
    policy, reads = ErrorPolicy(lane, it.crash), lane.reads

    async def begin(committed: Mapping[TP, Committed]) -> Mapping[TP, int]:
        return await policy.begin(it.consumer, committed)

    channel = batches(
        it,
        reads.topics,
        max_records=reads.max_records,
        on_assigned=begin,
        apart=reads.apart,
        gather_s=reads.gather_s,
    )

    @it.agent(channel, concurrency=reads.concurrency)  # type: ignore[untyped-decorator]
    async def take(stream: faust.StreamT[Batch]) -> None:
        async for batch in stream:
            await policy.take(batch)

    @it.on_partitions_revoked.connect  # type: ignore[untyped-decorator]
    async def forget(_: faust.App, revoked: set[TP], **__: object) -> None:
        await policy.forget(revoked)

    @it.on_before_shutdown.connect  # type: ignore[untyped-decorator]
    async def stop(*_: object, **__: object) -> None:
        await lane.stop()

    if lane.sweep_every_s:

        @it.task  # type: ignore[untyped-decorator]
        async def sweep(running: faust.App) -> None:
            while not running.should_stop:
                await running.sleep(lane.sweep_every_s)
                await policy.sweep()

    return it


async def _left_when_taken(batch: Batch) -> None:
    await batch.abandoned.wait()
    batch.done()


class Named:
    """A group whose commits name the topic's life, as the last word of their metadata.

    An offset means nothing in a topic that was made anew (KIP-516): then nothing is committed, and it is
    read as a new one. Commits of earlier versions name no life, and are trusted.
    """

    def __init__(self, group: Group, lives: Mapping[TP, str]) -> None:
        self._group = group
        self._lives = lives
        self.metrics = group.metrics

    async def timeline(self, tp: TP) -> Timeline:
        return await self._group.timeline(tp)

    async def commit_at(self, tp: TP, offset: int, metadata: str, generation: int) -> None:
        named = f"{metadata} {LIFE}{self._lives[tp]}"
        await self._group.commit_at(tp, offset, named, generation)


async def named(
    group: Group, committed: Mapping[TP, Committed]
) -> tuple[Named, dict[TP, Committed]]:
    """The group for newly assigned partitions, and what is committed in the log that each is now."""
    timelines = await asyncio.gather(*map(group.timeline, committed))
    lives = {tp: now.topic_id for tp, now in zip(committed, timelines, strict=True)}
    found: dict[TP, Committed] = {}
    for tp, at in committed.items():
        metadata, _, life = at.metadata.partition(f" {LIFE}")
        if life and lives[tp] and life != lives[tp]:
            log.error("made anew: read as a new topic", topic=tp.topic, committed=at.offset)
            found[tp] = Committed(None)
        else:
            found[tp] = Committed(at.offset, metadata)
    return Named(group, lives), found


def numbers(committed: Committed, most: int = 3) -> list[int]:
    """The first words of a commit's metadata; 0 for what is no number, or not said."""
    said = [int(word) if word.isdecimal() else 0 for word in committed.metadata.split(" ")]
    return [*said, *[0] * most][:most]


def handled_ms(committed: Committed, now_ms: int) -> int:
    """Kafka's time up to which the group has spoken, which its commits say in their first word; ``now_ms``
    before its first commit.
    """
    handled, _, _ = committed.metadata.partition(" ")
    return int(handled) if handled.isdecimal() else now_ms


class Proofs:
    """What the broker's word that there is nothing more to read proves, in Kafka's time."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._kafka = KafkaClock(clock.wall_s(), clock.monotonic_s())

    def took(self, batch: Batch) -> None:
        """A batch was handed to us just now."""
        self._kafka.observe(batch.records[-1].timestamp, self._clock.monotonic_s())

    def now_ms(self) -> int:
        """Kafka's time now, rather too early than too late."""
        return self._kafka.now_ms(self._clock.monotonic_s())

    def of(self, group: Group) -> dict[TP, int]:
        """By partition, up to when all of it has been taken; without those that can't be told."""
        wall_s, now_s = self._clock.wall_s(), self._clock.monotonic_s()
        found: dict[TP, int] = {}
        for tp, progress in group.metrics.progress.items():
            if progress.caught_up_at_s is not None:
                until_ms = self._kafka.at_ms(progress.caught_up_at_s, wall_s, now_s)
                if until_ms is not None:
                    found[tp] = until_ms
        return found
