"""What is around a store, in memory where it isn't ClickHouse: one partition's log, the registry, the
dead letters. Everything but the processes outlives a kill, and a kill may come at any step.
"""

import asyncio
import itertools
import json
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeVar

from faust.types import TP

from schemas.settings import ClickHouseSettings
from schemas.topics import PASSES, Topic
from streams.store.block import Letter
from streams.store.clickhouse import ClickHouse
from streams.store.store import Store
from streams.transport import (
    Abandoned,
    Batch,
    Committed,
    LogState,
    RangeUnavailable,
    Record,
    Timeline,
)

T = TypeVar("T")
_partitions = itertools.count(1_000)


class Killed(BaseException):
    """SIGKILL: nothing after it runs."""


@dataclass
class Entry:
    offset: int
    timestamp: int
    key: bytes | None
    value: bytes | None


@dataclass
class World:
    """One partition, which no other test has; ``school`` is in its registry and no other one is."""

    clickhouse: ClickHouseSettings
    now_ms: int
    topic: Topic = PASSES
    partition: int = field(default_factory=lambda: next(_partitions))
    entries: list[Entry] = field(default_factory=list)
    committed: Committed = field(default_factory=lambda: Committed(None))
    generation: int = 1
    letters: dict[int, Letter] = field(default_factory=dict)
    sent: list[Letter] = field(default_factory=list)
    """Every letter, as often as it was sent."""
    registered: bool = True
    timeline: Timeline = field(default_factory=lambda: Timeline("a" * 32, 0))
    begin: int = 0
    """The first offset that retention has left; ``entries`` has all of the log."""
    again: set[TP] = field(default_factory=set)
    """What a store has asked to start again."""
    kill_at: int | None = None
    steps: int = 0
    monotonic_s: float = 1_000.0

    @property
    def school(self) -> str:
        return f"KZ-10-{self.partition:05d}"

    @property
    def tp(self) -> TP:
        return TP(self.topic.name, self.partition)

    async def step(self, work: Awaitable[T]) -> T:
        """A step of which a kill comes before or after."""
        self._may_die(work)
        done = await work
        self._may_die(None)
        return done

    def _may_die(self, work: Any) -> None:
        self.steps += 1
        if self.steps == self.kill_at:
            if work is not None:
                work.close()
            raise Killed

    # The log

    def append(self, value: bytes | None, timestamp_ms: int, key: bytes | None = None) -> None:
        key = self.school.encode() if key is None else key
        self.entries.append(Entry(len(self.entries), timestamp_ms, key, value))

    def passed(self, seq: int, timestamp_ms: int, **changed: Any) -> None:
        event = {
            "id": f"0190b6a0-0000-7000-8000-{self.partition:04d}{seq:08d}",
            "type": "pass",
            "school": self.school,
            "device": "turnstile-1",
            "time_ms": timestamp_ms,
            "boot": 1,
            "seq": seq,
            "v": 1,
            "direction": "in",
            "outcome": "granted",
            "card": "00000000deadbeef",
        }
        self.append(json.dumps(event | changed).encode(), timestamp_ms)

    def made_anew(self) -> None:
        """The topic is deleted and created again."""
        number = int(self.timeline.topic_id[-4:], 16) + 1
        self.timeline = Timeline("a" * 28 + f"{number % 0x10000:04x}", 0)
        self.entries, self.begin = [], 0

    def next_batch(self, most: int, first: int | None = None) -> Batch | None:
        """From ``first`` on, or from what is committed; as Kafka does, from its log's begin when there
        is no such offset."""
        first = self.committed.offset or 0 if first is None else first
        if not self.begin <= first <= len(self.entries):
            first = self.begin
        records = self.entries[first : first + most]
        if not records:
            return None
        return Batch(
            self.tp, list(records), first, first + len(records), 0, self.generation, NoOwner()
        )


class NoOwner:
    async def commit_at(self, tp: TP, offset: int, metadata: str, generation: int) -> None:
        raise NotImplementedError

    def finish(self, batch: Batch) -> None: ...

    def hand_out_again(self, batch: Batch) -> None: ...


class Consumer:
    """Of one worker, which joined the group in the generation that then was."""

    def __init__(self, world: World) -> None:
        self._world = world
        self.generation = world.generation

    async def commit_at(self, tp: TP, offset: int, metadata: str, generation: int) -> None:
        await self._world.step(self._commit(offset, metadata, generation))

    async def _commit(self, offset: int, metadata: str, generation: int) -> None:
        if generation != self._world.generation:
            raise Abandoned
        assert len(metadata) < 4096
        self._world.committed = Committed(offset, metadata)

    async def read_range(self, tp: TP, first: int, last: int) -> list[Record]:
        if first < self._world.begin or last >= len(self._world.entries):
            raise RangeUnavailable(f"{first} to {last}")
        return list(self._world.entries[first : last + 1])

    async def timeline(self, tp: TP) -> Timeline:
        return self._world.timeline

    async def log_state(self, tp: TP) -> LogState:
        return LogState(self._world.timeline, self._world.begin, len(self._world.entries))

    def start_again(self, tp: TP) -> None:
        self._world.again.add(tp)


class OneSchool:
    def __init__(self, world: World) -> None:
        self._world = world

    def knows(self, school: str) -> bool:
        return self._world.registered and school == self._world.school

    async def catch_up(self, partition: int) -> None: ...


class Letters:
    """Kept by origin, as readers of the dead letters do."""

    def __init__(self, world: World, gate: asyncio.Event | None = None) -> None:
        self._world = world
        self._gate = gate
        self.waiting = asyncio.Event()

    async def send(self, letters: Sequence[Letter]) -> None:
        if self._gate is not None:
            self.waiting.set()
            await self._gate.wait()
        await self._world.step(self._send(letters))

    async def _send(self, letters: Sequence[Letter]) -> None:
        self._world.sent += letters
        self._world.letters |= {letter[0].offset: letter for letter in letters}


class MortalClickHouse(ClickHouse):
    """The real one; a kill may come before and after an insert."""

    def __init__(self, world: World) -> None:
        super().__init__(world.clickhouse)
        self._world = world

    async def insert(self, *arguments: Any) -> None:
        await self._world.step(super().insert(*arguments))


def worker(world: World, letters: Letters | None = None) -> Store:
    store = Store(
        MortalClickHouse(world),
        OneSchool(world),
        letters or Letters(world),
        now_ms=lambda: world.now_ms,
        monotonic_s=lambda: world.monotonic_s,
    )
    store.consumer = Consumer(world)
    return store


async def work(world: World, batch_records: int = 1_000, store: Store | None = None) -> Store:
    """A worker that starts, is assigned the partition, and stores all there is."""
    store = store or worker(world)
    at = await started(world, store)
    while (batch := world.next_batch(batch_records, at)) is not None:
        await store.handle(batch)
        at = batch.next_offset
    return store


async def started(world: World, store: Store) -> int:
    """Where the partition begins."""
    return (await store.assigned({world.tp: world.committed}))[world.tp]


async def eventually(condition: Callable[[], bool], within_s: float = 120.0) -> None:
    async with asyncio.timeout(within_s):
        while not condition():
            await asyncio.sleep(0.01)
