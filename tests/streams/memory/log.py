"""Topics in memory, that grow, are made anew, are away, and refuse; with the clock of the moved loop."""

import asyncio
import json
from collections.abc import AsyncIterator, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from aiokafka.errors import KafkaConnectionError
from faust.types import TP

from schemas.topics import TOPICS
from streams.outbox import Message
from streams.runtime.clock import Clock
from streams.transport import Committed

WALL_S = 1_795_500_000.0
"""2026-11-24 11:00 at UTC+5, a Tuesday."""
POLL_S = 0.05


@dataclass(frozen=True, slots=True)
class Row:
    topic: str
    partition: int
    offset: int
    timestamp: int
    key: bytes | None
    value: bytes | None
    headers: Sequence[tuple[str, bytes | None]] = ()


@dataclass(slots=True)
class Log:
    """The broker. ``away``: nobody gets an answer. ``refuses``: what a producer is answered, if anything."""

    partitions: int = 4
    away: bool = False
    refuses: Exception | None = None
    committed: dict[tuple[str, TP], Committed] = field(default_factory=dict)
    topics: dict[str, list[list[Row]]] = field(default_factory=dict)
    lives: dict[str, int] = field(default_factory=dict)
    """How often a topic was made."""

    def __post_init__(self) -> None:
        self.make_anew([topic.name for topic in TOPICS], self.partitions)

    @property
    def clock(self) -> Clock:
        loop = asyncio.get_running_loop()
        return Clock(lambda: WALL_S + loop.time(), loop.time)

    def append(
        self,
        topic: str,
        key: str,
        value: bytes | None,
        partition: int | None = None,
        at_ms: int | None = None,
    ) -> Row:
        """By default where a school's records are, with the stamp of now."""
        rows = self.topics[topic]
        number = int(key[-5:]) % len(rows) if partition is None else partition
        stamp_ms = self.clock.wall_ms if at_ms is None else at_ms
        row = Row(topic, number, len(rows[number]), stamp_ms, key.encode(), value)
        rows[number].append(row)
        return row

    def grow(self, to: int, topics: Iterable[str]) -> None:
        for name in topics:
            self.topics[name] += [[] for _ in range(to - len(self.topics[name]))]

    def make_anew(self, topics: Iterable[str], partitions: int) -> None:
        """The groups keep what they have committed."""
        for name in topics:
            self.topics[name] = [[] for _ in range(partitions)]
            self.lives[name] = self.lives.get(name, 0) + 1

    def rows(self, tp: TP) -> list[Row]:
        topic = self.topics[tp.topic]
        return topic[tp.partition] if tp.partition < len(topic) else []

    def rows_of(self, topic: str) -> list[Row]:
        return [row for rows in self.topics[topic] for row in rows]

    def said(self, topic: str, **fields: object) -> list[dict[str, Any]]:
        """What was said on a topic and has these fields, in the order of the stamps."""
        found = sorted(self.rows_of(topic), key=lambda row: row.timestamp)
        notices = [json.loads(row.value) for row in found if row.value]
        return [n for n in notices if all(n.get(k) == v for k, v in fields.items())]


@dataclass(slots=True)
class Topics:
    """``streams.beside.Topics`` of one process. ``runs`` is cleared while it is paused."""

    log: Log
    runs: asyncio.Event = field(default_factory=asyncio.Event)
    is_dead: bool = False

    async def _answer(self) -> None:
        await asyncio.sleep(0)
        await self.runs.wait()
        if self.is_dead:
            raise asyncio.CancelledError
        if self.log.away:
            raise KafkaConnectionError("away")

    async def counts(self, topics: Iterable[str]) -> Mapping[str, int]:
        await self._answer()
        return {name: len(self.log.topics.get(name, ())) for name in topics}

    async def offsets_at(self, since_ms: Mapping[TP, int]) -> Mapping[TP, int]:
        await self._answer()
        return {
            tp: next((r.offset for r in self.log.rows(tp) if r.timestamp >= at), self._end(tp))
            for tp, at in since_ms.items()
        }

    async def everything(
        self,
        topic: str,
        partitions: Iterable[int],
        ends: dict[int, int],
        starts: Mapping[TP, int] | None = None,
    ) -> AsyncIterator[Row]:
        await self._answer()
        found = [TP(topic, number) for number in partitions]
        ends.update({tp.partition: self._end(tp) for tp in found})
        for tp in found:
            for row in self.log.rows(tp)[(starts or {}).get(tp, 0) : ends[tp.partition]]:
                yield row

    async def by_stamp(self, topic: str, ends: dict[int, int]) -> AsyncIterator[Row]:
        await self._answer()
        ends.update({n: len(rows) for n, rows in enumerate(self.log.topics[topic])})
        async for row in self.in_order(topic, 0, None, ends):
            yield row

    async def in_order(
        self,
        topic: str,
        from_ms: int,
        before_ms: int | None,
        until: Mapping[int, int] | None = None,
    ) -> AsyncIterator[Row]:
        await self._answer()
        rows = [
            row
            for number, of in enumerate(self.log.topics[topic])
            for row in of[: (until or {}).get(number, len(of))]
            if row.timestamp >= from_ms and (before_ms is None or row.timestamp < before_ms)
        ]
        for row in sorted(rows, key=lambda row: (row.timestamp, row.partition, row.offset)):
            yield row

    async def what_follows(self, topic: str, starts: Mapping[int, int]) -> AsyncIterator[Row]:
        at = dict(starts)
        while len(self.log.topics[topic]) <= len(at):
            await self._answer()
            for number in at:
                for row in self.log.rows(TP(topic, number))[at[number] :]:
                    at[number] = row.offset + 1
                    yield row
            await asyncio.sleep(POLL_S)

    async def send(self, partition: int, step: Sequence[Message]) -> None:
        await self._answer()
        if self.log.refuses is not None:
            raise self.log.refuses
        for message in step:
            count = len(self.log.topics[message.topic])
            key = message.key.decode()
            self.log.append(message.topic, key, message.value, partition % count)

    async def stop(self) -> None: ...

    def _end(self, tp: TP) -> int:
        return len(self.log.rows(tp))
