"""The order in which a batch becomes rows, so that each record is stored exactly once.

1. Commit the old offset, the pending block named beside it: first and last offset, the version of the
   decisions, how far back duplicates are known, how far the registry is read.
2. Send the dead letters; Kafka has acknowledged them.
3. Insert rows and dead letters into ClickHouse under the block's token. Materialized views fill the
   rollups in the same insert.
4. Commit the new offset.

Killed anywhere, the next owner finds the pending block's name, forms the same block again and goes on at
2: Kafka's readers know a dead letter by its origin, ClickHouse knows the token.
"""

import asyncio
import time
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from typing import Final, Protocol

import structlog
from faust.types import TP

from schemas.topics import BY_NAME, PANICS, REGISTRY, Topic
from streams.store import block as blocks
from streams.store.block import Block, Knows, Letter, Pending, form, of_canary, pending_of
from streams.store.clickhouse import LONGEST_PAUSE_S, TROUBLE, ClickHouse
from streams.store.judge import NOTICE_TOPICS
from streams.store.limit import DeadLetterLimit
from streams.store.rows import DEAD_LETTER_COLUMNS, TABLE_OF, dead_letter_row
from streams.store.seen import MAX_RANGES, Seen
from streams.transport import Batch, Committed, Record

log = structlog.get_logger(__name__)

PROVE_OWNERSHIP_AFTER_S: Final = 5.0


class Log(Protocol):
    """What the store needs of the consumer: streams.transport.Consumer has it."""

    @property
    def generation(self) -> int: ...

    async def commit_at(self, tp: TP, offset: int, metadata: str, generation: int) -> None: ...

    async def read_range(self, tp: TP, first: int, last: int) -> list[Record]: ...


class Registered(Protocol):
    """Which schools there are, as of an offset of the registry: streams.store.registry.Registry."""

    def position(self, partition: int) -> int: ...

    def known(self, partition: int, before: int) -> Knows: ...

    async def reach(self, partition: int, offset: int) -> None: ...

    async def catch_up(self, partition: int) -> None: ...


class Letters(Protocol):
    """Where dead letters go: streams.store.letters.DeadLetters."""

    async def send(self, letters: Sequence[Letter]) -> None: ...


class Store:
    """What one storing worker holds. ``consumer`` is set before anything else is called."""

    consumer: Log

    def __init__(
        self,
        clickhouse: ClickHouse,
        registry: Registered,
        letters: Letters,
        *,
        now_ms: Callable[[], int] = lambda: time.time_ns() // 1_000_000,
        monotonic_s: Callable[[], float] = time.monotonic,
    ) -> None:
        self._clickhouse = clickhouse
        self._registry = registry
        self._letters = letters
        self._now_ms = now_ms
        self._monotonic_s = monotonic_s
        self._limit = DeadLetterLimit()
        self._seen: dict[TP, Seen] = {}
        self._begun: dict[TP, Pending] = {}
        self.counts: defaultdict[str, float] = defaultdict(float)

    async def assigned(self, committed: Mapping[TP, Committed]) -> None:
        """Finish the blocks that the last owners of these partitions left pending.

        Bears repetition after any exception.
        """
        for tp in committed:
            self._seen.pop(tp, None)
            self._begun.pop(tp, None)
        unfinished = {tp: pending_of(at.metadata) for tp, at in committed.items()}
        await asyncio.gather(
            *(
                self._finish(tp, pending)
                for tp, pending in unfinished.items()
                if pending is not None
            )
        )

    async def handle(self, batch: Batch) -> None:
        """Store one batch and commit it.

        Raises Abandoned when the partition is no longer ours, TooManyDeadLetters, Poisoned, and
        aiokafka's KafkaError. The same batch may be handed in again; nothing is half done then.
        """
        tp, topic = batch.tp, BY_NAME[batch.tp.topic]
        first, last = batch.first_offset, batch.next_offset - 1
        try:
            pending, seen = await self._name(tp, topic, first, last, batch.records)
            knows = self._registry.known(tp.partition, pending.registry)
            block = form(topic, tp.partition, batch.records, seen, knows)
            self._limit.note(len(block.offsets), [letter.reason for letter, _, _ in block.letters])
            claim = _Claim(self.consumer, self._monotonic_s, tp, pending, batch.generation)
            await claim.prove()  # 1
            self._begun[tp] = pending
            await self._letters.send(block.letters)  # 2
            await self._insert(claim, block, pending.token(tp.topic, tp.partition))  # 3
            await self.consumer.commit_at(tp, batch.next_offset, "", batch.generation)  # 4
        except BaseException:
            self._seen.pop(tp, None)  # it knows records that may not be stored
            raise
        self._begun.pop(tp, None)
        self._count(block)

    async def _name(
        self, tp: TP, topic: Topic, first: int, last: int, records: Sequence[Record]
    ) -> tuple[Pending, Seen]:
        begun = self._begun.get(tp)
        if begun is not None and (begun.first, begun.last) == (first, last):
            # A second attempt: the block must be the same one, for its token may be taken.
            seen = self._seen[tp] = await self._remember(tp, topic, begun.since, first)
            return begun, seen
        seen = await self._memory(tp, topic, first)
        registry = await self._registry_offset(topic, tp.partition, records)
        return Pending(blocks.DECISIONS, first, last, seen.since, registry), seen

    async def _finish(self, tp: TP, pending: Pending) -> None:
        topic, partition, generation = BY_NAME[tp.topic], tp.partition, self.consumer.generation
        log.info("finishing a pending block", topic=tp.topic, partition=partition, pending=pending)
        records = await self.consumer.read_range(tp, pending.first, pending.last)
        seen = await self._remember(tp, topic, pending.since, pending.first)
        await self._registry.reach(partition, pending.registry)
        block = form(
            topic, partition, records, seen, self._registry.known(partition, pending.registry)
        )
        claim = _Claim(self.consumer, self._monotonic_s, tp, pending, generation)
        await claim.prove()
        token = pending.token(tp.topic, partition)
        same = pending.decisions == blocks.DECISIONS
        if not same:
            # Its token may be taken by other rows: insert what is missing, under a name of its own.
            block = block.without(await self._there(topic, partition, pending))
            token += f"/{block.fingerprint()}"
        await self._letters.send(block.letters)
        await self._insert(claim, block, token)
        if not same:
            await self._clickhouse.rebuild_rollups(
                TABLE_OF[topic.name], partition, pending.first, pending.last
            )
        await self.consumer.commit_at(tp, pending.last + 1, "", generation)
        self._count(block)

    async def _there(self, topic: Topic, partition: int, pending: Pending) -> set[int]:
        """Which offsets of a pending block are stored, as rows or as dead letters."""
        span = (partition, pending.first, pending.last)
        rows = await self._clickhouse.offsets_there(TABLE_OF[topic.name].name, "", *span)
        of_topic = f"topic = '{topic.name}' AND"
        return rows | await self._clickhouse.offsets_there("dead_letters", of_topic, *span)

    async def _insert(self, claim: "_Claim", block: Block, token: str) -> None:
        """Both tables, until ClickHouse has them. Raises Abandoned when we are not the owner any more."""
        table = TABLE_OF[claim.tp.topic]
        letters = [dead_letter_row(letter) for letter, _, _ in block.letters]
        began_s = self._monotonic_s()
        for name, names, columns in (
            (table.name, table.all_columns, block.columns),
            ("dead_letters", DEAD_LETTER_COLUMNS, [list(c) for c in zip(*letters, strict=True)]),
        ):
            pause_s = 0.1
            while columns:
                await claim.renew()
                try:
                    await self._clickhouse.insert(name, names, columns, token)
                    break
                except TROUBLE as trouble:
                    self.counts["insert_failures_total"] += 1
                    log.warning(
                        "insert failed", table=name, trouble=str(trouble)[:300], again_s=pause_s
                    )
                await asyncio.sleep(pause_s)
                pause_s = min(LONGEST_PAUSE_S, pause_s * 2)
        self.counts["insert_seconds_total"] += self._monotonic_s() - began_s

    def _count(self, block: Block) -> None:
        self.counts["blocks_total"] += 1
        self.counts["stored_total"] += len(block.offsets)
        self.counts["dead_letters_total"] += len(block.letters)
        self.counts["canaries_total"] += block.canaries
        for letter, _, _ in block.letters:
            self.counts[f"dead_letters_{letter.reason.value}_total"] += 1

    async def _memory(self, tp: TP, topic: Topic, before: int) -> Seen:
        """Which sequences were stored within the topic's horizon, before this offset."""
        seen = self._seen.get(tp)
        if seen is None and topic.name in NOTICE_TOPICS:
            seen = Seen(before)
        elif seen is None:
            seen = await self._begin_memory(tp, topic, before)
        while seen.ranges > MAX_RANGES:  # remember half as far back
            seen = await self._remember(tp, topic, (seen.since + before + 1) // 2, before)
        self._seen[tp] = seen
        return seen

    async def _begin_memory(self, tp: TP, topic: Topic, before: int) -> Seen:
        since_ms = self._now_ms() - topic.duplicate_horizon_ms
        table = TABLE_OF[topic.name].name
        since = await self._clickhouse.first_offset_since(table, tp.partition, since_ms)
        return await self._remember(tp, topic, before if since is None else since, before)

    async def _remember(self, tp: TP, topic: Topic, since: int, before: int) -> Seen:
        if since >= before or topic.name in NOTICE_TOPICS:  # our own notices have no sequence
            return Seen(since)
        ask = self._clickhouse.ids if topic is PANICS else self._clickhouse.ranges
        return Seen(since, await ask(TABLE_OF[topic.name].name, tp.partition, since, before))

    async def _registry_offset(
        self, topic: Topic, partition: int, records: Sequence[Record]
    ) -> int:
        """How far the registry is read; first to its end when a record's school isn't known."""
        if topic.name in NOTICE_TOPICS or topic is REGISTRY:
            return 0
        knows = self._registry.known(partition, self._registry.position(partition))
        keys = {record.key or b"" for record in records if not of_canary(record.key)}
        if not all(knows(key.decode(errors="replace")) for key in keys):
            await self._registry.catch_up(partition)
        return self._registry.position(partition)


class _Claim:
    """That a pending block is ours to insert, shown by a commit that Kafka has accepted.

    We may sleep while another takes over and goes on beyond the tokens that ClickHouse remembers: so
    a proof that is older than PROVE_OWNERSHIP_AFTER_S is made anew before an insert.
    """

    def __init__(
        self,
        consumer: Log,
        monotonic_s: Callable[[], float],
        tp: TP,
        pending: Pending,
        generation: int,
    ) -> None:
        self.tp = tp
        self._consumer = consumer
        self._monotonic_s = monotonic_s
        self._pending = pending
        self._generation = generation
        self._proven_s = 0.0

    async def prove(self) -> None:
        """Raises Abandoned when the partition isn't ours any more."""
        asked_s = self._monotonic_s()
        await self._consumer.commit_at(
            self.tp, self._pending.first, self._pending.metadata(), self._generation
        )
        self._proven_s = asked_s

    async def renew(self) -> None:
        if self._monotonic_s() - self._proven_s > PROVE_OWNERSHIP_AFTER_S:
            await self.prove()
