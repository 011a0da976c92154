"""Reads whole topics, in no group, for as long as a process lives.

A consumer of aiokafka can hang while its broker goes or comes, and even when it is stopped; an empty poll
proves nothing, since it looks the same with and without a broker. So this is how a topic is read:

1. The run begins where the last one ended; the first one begins where ``Topic.back_ms`` says.
2. Beside the polls, the broker is asked every PROVE_EVERY_S where the topics end. Its answer is the proof
   of life that ``age_s`` counts from, if all was read up to there or more was read since the last answer.
3. A run that proves nothing for STUCK_AFTER_S is left behind, and a new one begins. None is waited for
   while it stops. What a run that was left behind still delivers is taken at most once.
4. A run ends, and a new one begins, when a topic has partitions that it does not read.
"""

import asyncio
import time
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from typing import Final

import structlog
from aiokafka import AIOKafkaConsumer, ConsumerRecord, TopicPartition
from aiokafka.errors import KafkaError

from schemas.settings import KafkaSettings
from streams.runtime.kafka import clients
from streams.runtime.kafka.newest import Newest

log = structlog.get_logger(__name__)

PROVE_EVERY_S: Final = 1.0
LOOK_FOR_PARTITIONS_EVERY_S: Final = 2.0
RETRY_S: Final = 1.0
POLL_MS: Final = 500
ANSWERS_WITHIN_S: Final = 5.0
STUCK_AFTER_S: Final = 15.0

Take = Callable[[TopicPartition, list[ConsumerRecord]], Awaitable[None]]
"""Takes what was read of one partition, in order and each record once.

What it raises ends ``Reader.run``, unless it is a KafkaError or an OSError: then a new run begins at the
first record of the list.
"""


@dataclass(frozen=True, slots=True)
class Followed:
    """A topic to follow. ``back_ms``: how far before now reading begins; None for the first record.
    ``newest``: of a key's records in several partitions, as a growth leaves them, none is taken after one
    that the broker stamped later; for compacted topics.
    """

    name: str
    back_ms: int | None = None
    newest: bool = False


@dataclass(slots=True)
class Reader:
    """Follows ``topics``: all their partitions, those of an earlier topic before those of a later one.

    ``client_id`` names the reader in the broker's log. ``polled`` is called after each poll, also after one
    that brought nothing; what it raises counts as what ``take`` raises. ``group`` keeps what ``commit`` says;
    the first run begins no later than there, and nobody joins it. ``caught_up`` is whether all was
    taken that the topics held when the first run began; ``refused`` whether a run ever ended in trouble.
    """

    kafka: KafkaSettings
    topics: Sequence[Followed]
    take: Take
    client_id: str
    fetch_wait_ms: int = 500
    at_most: int = 1_000
    polled: Callable[[], Awaitable[None]] | None = None
    group: str | None = None
    clock_s: Callable[[], float] = time.monotonic
    caught_up: bool = field(default=False, init=False)
    refused: bool = field(default=False, init=False)
    runs: int = field(default=0, init=False)
    _proved_s: float | None = field(default=None, init=False)
    _answering: bool = field(default=False, init=False)
    _consumer: AIOKafkaConsumer | None = field(default=None, init=False)
    # Per partition the offset after what was taken: where a new run goes on.
    _next: dict[TopicPartition, int] = field(default_factory=dict, init=False)
    _newest: dict[str, Newest] = field(default_factory=dict, init=False)
    _ends: dict[TopicPartition, int] | None = field(default=None, init=False)
    _ends_now: dict[TopicPartition, int] = field(default_factory=dict, init=False)

    def __post_init__(self) -> None:
        self._newest = {topic.name: Newest() for topic in self.topics if topic.newest}

    @property
    def age_s(self) -> float | None:
        """Seconds since the broker last proved to be there; None when it never did."""
        return None if self._proved_s is None else self.clock_s() - self._proved_s

    @property
    def connected(self) -> bool:
        """Whether a run is under way and its last proof of life is no older than ANSWERS_WITHIN_S."""
        return self._answering and (self.age_s or 0.0) <= ANSWERS_WITHIN_S

    @property
    def lag(self) -> dict[TopicPartition, int]:
        """Records not yet taken, by what the broker said last."""
        return {tp: max(0, end - self._next.get(tp, end)) for tp, end in self._ends_now.items()}

    async def commit(self) -> None:
        """Tell the group that all that was taken is handled. Raises KafkaError; no-op between two runs."""
        consumer = self._consumer
        if consumer is not None:
            await consumer.commit({tp: self._next[tp] for tp in consumer.assignment()})

    async def run(self) -> None:
        """Until cancelled. Kafka may come and go."""
        while True:
            reading = asyncio.create_task(self._read())
            began_s = self.clock_s()
            try:
                while not reading.done():
                    await asyncio.wait({reading}, timeout=PROVE_EVERY_S)
                    if self.clock_s() - max(began_s, self._proved_s or 0.0) > STUCK_AFTER_S:
                        log.warning("kafka proves nothing; reading begins anew", of=self.client_id)
                        break
            finally:
                reading.cancel()
            self._answering = False
            if reading.done() and not reading.cancelled():
                trouble = reading.exception()
                if trouble is None:
                    log.info("a topic has new partitions; reading begins anew", of=self.client_id)
                    continue
                if not isinstance(trouble, KafkaError | OSError):
                    reading.result()
                log.warning("kafka doesn't answer", of=self.client_id, trouble=str(trouble)[:200])
            self.refused = True
            await asyncio.sleep(RETRY_S)

    async def _read(self) -> None:
        self.runs += 1
        consumer = clients.consumer(
            self.kafka,
            client_id=self.client_id,
            group_id=self.group,
            fetch_max_wait_ms=self.fetch_wait_ms,
        )
        try:
            await consumer.start()
            # aiokafka has one fetch in flight: it must not leave out a partition that is being taken.
            clients.fetcher_of(consumer)._prefetch_backoff = self.fetch_wait_ms / 1000
            tps = await clients.partitions_of(consumer, [topic.name for topic in self.topics])
            ends = await consumer.end_offsets(tps)
            await self._find_next(consumer, ends)
            if self._ends is None:
                self._ends = dict(ends)
            # At once, each position set: a lazy seek can hang on a partition without leader.
            consumer.assign(tps)
            for tp in tps:
                consumer.seek(tp, self._next[tp])
            self._consumer, self._ends_now = consumer, ends
            self._prove_now()
            proof = asyncio.create_task(self._prove(consumer, tps))
            try:
                while True:
                    await self._poll(consumer)
                    if proof.done():
                        return proof.result()
            finally:
                proof.cancel()
        finally:
            if self._consumer is consumer:
                self._consumer = None
            clients.leave(consumer)

    async def _poll(self, consumer: AIOKafkaConsumer) -> None:
        polled = await consumer.getmany(timeout_ms=POLL_MS, max_records=self.at_most)
        rank = {topic.name: number for number, topic in enumerate(self.topics)}
        for tp in sorted(polled, key=lambda tp: rank[tp.topic]):
            # Each once: a run that was left behind may still deliver some.
            records = [record for record in polled[tp] if record.offset >= self._next[tp]]
            if (newest := self._newest.get(tp.topic)) is not None:
                records = [record for record in records if newest.takes(record)]
            if records:
                await self.take(tp, records)
            self._next[tp] = max(self._next[tp], polled[tp][-1].offset + 1)
        if not self.caught_up:
            self.caught_up = await self._is_past(consumer)
        if self.polled is not None:
            await self.polled()

    async def _is_past(self, consumer: AIOKafkaConsumer) -> bool:
        """By positions rather than records: a transaction's marker is an offset without a record."""
        ends = self._ends or {}
        here = consumer.assignment()
        at = {tp: await consumer.position(tp) for tp in ends if tp in here}
        return all(at.get(tp, end) >= end for tp, end in ends.items())

    async def _find_next(self, consumer: AIOKafkaConsumer, ends: dict[TopicPartition, int]) -> None:
        """Where the last run was; where there was none, as ``back_ms`` says.

        Looking back, a quiet partition is read from the end that it had before we asked: its end now may
        be behind a record that came meanwhile.
        """
        firsts = await consumer.beginning_offsets(list(ends))
        back_ms = {topic.name: topic.back_ms for topic in self.topics}
        known = set(self._next)
        new = [tp for tp, end in ends.items() if self._next.get(tp, end + 1) > end]
        now_ms = time.time_ns() // 1_000_000
        look = {
            tp: now_ms - back
            for tp in new
            # A partition that was added while we read is new as a whole.
            if (back := back_ms[tp.topic]) is not None and (tp in known or not known)
        }
        found = await consumer.offsets_for_times(look) if look else {}
        for tp in new:
            past = found.get(tp)
            begin = ends[tp] if tp in look else firsts[tp]
            self._next[tp] = past.offset if past else begin
            if self.group is not None and tp not in known:
                handled = await consumer.committed(tp)
                self._next[tp] = min(self._next[tp], self._next[tp] if handled is None else handled)
        for tp, first in firsts.items():  # what is older was deleted while we were away
            self._next[tp] = max(self._next[tp], first)

    def _prove_now(self) -> None:
        self._proved_s, self._answering = self.clock_s(), True

    async def _prove(self, consumer: AIOKafkaConsumer, tps: list[TopicPartition]) -> None:
        """Return when a topic has partitions that are not read.

        A broker that answers is no proof that we hear it: what is there must also come.
        """
        looked_s = self.clock_s()
        before: dict[TopicPartition, int] = {}
        while True:
            await asyncio.sleep(PROVE_EVERY_S)
            ends = self._ends_now = await consumer.end_offsets(tps)
            at = {tp: await consumer.position(tp) for tp in tps}
            if at != before or all(at[tp] >= end for tp, end in ends.items()):
                self._prove_now()
            before = at
            if self.clock_s() - looked_s >= LOOK_FOR_PARTITIONS_EVERY_S:
                looked_s = self.clock_s()
                now = await clients.partitions_of(consumer, [topic.name for topic in self.topics])
                if set(now) != set(tps):
                    return
