"""The order in which a batch becomes rows, so that each record is stored exactly once.

1. Commit the old offset, the pending block named beside it (mark.py).
2. Send the dead letters; Kafka has acknowledged them.
3. Insert rows and dead letters into ClickHouse under the block's token. Materialized views fill the
   rollups in the same insert.
4. Commit the new offset.

Killed anywhere, the next owner finds the pending block's name, forms the same block again and goes on at
2: Kafka's readers know a dead letter by its origin, ClickHouse knows the token.

A token is known for a time only, and only of the same records. Where that is in doubt (the attempt is
old, the group went back, records are gone, the decisions are others) ClickHouse is first asked which of
the records are there, by offset and Kafka's time, and what is missing is stored under a name of its own.
What Kafka has deleted before we stored it is written down as lost.
"""

import asyncio
import time
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Final

import structlog
from faust.types import TP

from schemas.topics import BY_NAME, Topic
from streams.store import block as blocks
from streams.store.around import Letters, Log, Registered
from streams.store.block import Block, form
from streams.store.claim import Claim
from streams.store.clickhouse import LONGEST_PAUSE_S, TROUBLE, ClickHouse
from streams.store.evidence import evidence
from streams.store.known import Known, knows
from streams.store.limit import DeadLetterLimit
from streams.store.losses import Losses
from streams.store.mark import Mark, Pending, Span, kafka_ms, mark_of
from streams.store.rows import DEAD_LETTER_COLUMNS, TABLE_OF, dead_letter_row
from streams.store.seen import MAX_RANGES, Seen
from streams.store.start import Lost, Why, start
from streams.transport import Abandoned, Batch, Committed, LogState, Record, Timeline

log = structlog.get_logger(__name__)

LOOK_AFTER_S: Final = 60.0
"""An older attempt's token may be forgotten: the engine counts the blocks of all partitions, and takes
its 10,000 in five minutes of 16 partitions at midnight. Longer than an insert may take, so that none of
ours is still under way when we look."""
MEND_RECORDS: Final = 40_000
"""How far before the newest row a block may begin whose rollups were left half done."""


class LogChanged(Exception):
    """The partition's log became another one while we began: to be tried again."""


class _TokenInDoubt(Exception):
    """Attempts at an insert have failed for so long that its token may be forgotten."""


@dataclass(slots=True)
class _Partition:
    """Of one that is ours. ``next``: the offset after what is stored; ``last_ms``: Kafka's time of the
    record before it. ``newest_ms``: of what is stored, when its first batch came."""

    timeline: Timeline
    next: int
    last_ms: int | None
    back: Why | None
    newest_ms: int | None = None
    seen: Seen | None = None
    begun: Pending | None = None
    begun_s: float = 0.0


@dataclass(frozen=True, slots=True)
class _Work:
    """Records of one partition that are to become one block; ``after`` is committed when they have."""

    tp: TP
    records: Sequence[Record]
    pending: Pending
    after: int
    mark: Mark
    generation: int

    @property
    def topic(self) -> Topic:
        return BY_NAME[self.tp.topic]


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
        self._known = Known(clickhouse, registry)
        self._letters = letters
        self._now_ms = now_ms
        self._monotonic_s = monotonic_s
        self._limits: defaultdict[str, DeadLetterLimit] = defaultdict(DeadLetterLimit)
        self._partitions: dict[TP, _Partition] = {}
        self.counts: defaultdict[str, float] = defaultdict(float)
        self._losses = Losses(clickhouse, self.counts, now_ms)

    async def assigned(self, committed: Mapping[TP, Committed]) -> dict[TP, int]:
        """Find where partitions begin, and finish the blocks that their last owners left pending.

        Bears repetition after any exception: aiokafka's KafkaError, RangeUnavailable, LogChanged,
        Poisoned, Abandoned.
        """
        return {tp: await self._begin(tp, at) for tp, at in committed.items()}

    async def handle(self, batch: Batch) -> None:
        """Store one batch and commit it.

        Raises Abandoned when the partition is no longer ours or its log another one,
        TooManyDeadLetters, Poisoned, and aiokafka's KafkaError. The same batch may be handed in again;
        nothing is half done then.
        """
        tp, it = batch.tp, self._partitions[batch.tp]
        self._must_be(tp, it, await self.consumer.timeline(tp))
        await self._follow(tp, it, batch.first_offset)
        try:
            work, look = await self._work(it, batch)
            noted = Mark(it.timeline, it.last_ms, work.pending)
            await self._store(it, work, noted, look=look)
        except BaseException:
            it.seen = None  # it knows records that may not be stored
            raise
        it.begun = None
        it.next, it.last_ms = work.after, work.mark.last_ms

    def _must_be(self, tp: TP, it: _Partition, now: Timeline) -> None:
        """Raises Abandoned, once the partition is to start again, when its log is another one."""
        if now != it.timeline:
            self.consumer.start_again(tp)
            raise Abandoned(f"{tp} is another log now")

    # Where a partition begins

    async def _begin(self, tp: TP, at: Committed) -> int:
        self._partitions.pop(tp, None)
        state = await self.consumer.log_state(tp)
        mark = mark_of(at.metadata)
        found = await evidence(self.consumer, self._clickhouse, tp, at.offset, mark, state)
        how = start(at.offset, mark, state, found)
        if how.back is not None and at.offset is not None:
            log.warning(
                "the log is another one than was committed: reading it from its beginning",
                topic=tp.topic,
                partition=tp.partition,
                why=how.back,
                committed=at.offset,
                begin=how.offset,
            )
        for lost in how.lost:
            await self._losses.note(tp, lost, mark.pending.span if mark.pending else None)
        it = _Partition(state.timeline, how.offset, None, how.back)
        if how.pending is not None:
            await self._finish(tp, it, how.pending, state, at, mark)
        elif how.offset == at.offset:
            it.last_ms = mark.last_ms
        self._partitions[tp] = it
        return how.offset

    async def _finish(
        self, tp: TP, it: _Partition, pending: Pending, state: LogState, at: Committed, mark: Mark
    ) -> None:
        """Store what is left of a pending block."""
        topic, generation = BY_NAME[tp.topic], self.consumer.generation
        span = pending.span
        log.info("finishing a pending block", topic=tp.topic, partition=tp.partition, span=span)
        first, last = max(span.first, state.begin), min(span.last, state.end - 1)
        records = await self.consumer.read_range(tp, first, last) if first <= last else []
        if await self.consumer.timeline(tp) != state.timeline:
            raise LogChanged(f"{tp} became another log")
        now = Span.of(records, span.first, span.last)
        same = now.times == span.times
        if not same and span.times and (first, last) == (span.first, span.last):
            topic_id = mark.timeline.topic_id
            if not topic.compacted:
                lost = Lost(Why.TRUNCATED, span.first, None, topic_id, span.first_ms)
                await self._losses.note(tp, lost)
        exact = same and pending.decisions == blocks.DECISIONS
        if not exact:
            unknown = await self._known.unknown(tp, records)
            span = Span(span.first, span.last, min(now.first_ms, span.first_ms), span.times)
            since_ms = min(self._now_ms(), now.first_ms) - topic.duplicate_horizon_ms
            pending = replace(pending, span=span, since_ms=max(0, since_ms), unknown=unknown)
        young = self._now_ms() - pending.named_ms <= LOOK_AFTER_S * 1000
        it.last_ms = _last_ms(records, last + 1)
        work = _Work(
            *(tp, records, pending, max(last + 1, state.begin)),
            *(Mark(state.timeline, it.last_ms), generation),
        )
        noted = replace(mark, timeline=state.timeline, pending=pending)
        offset = at.offset if at.offset is not None else span.first
        await self._store(it, work, noted, look=not (exact and young), offset=offset)
        it.seen = it.begun = None

    async def _follow(self, tp: TP, it: _Partition, first: int) -> None:
        """A batch begins elsewhere than the last one ended: at a gap of compaction, after records that
        are deleted, or, when the end of the log had gone back, at its beginning."""
        if first == it.next:
            return
        if first < it.next:
            log.warning("records come again", topic=tp.topic, partition=tp.partition, first=first)
            it.back, it.newest_ms, it.seen, it.begun = Why.TRUNCATED, None, None, None
        else:
            state = await self.consumer.log_state(tp)
            self._must_be(tp, it, state.timeline)
            if (begin := state.begin) > it.next:
                lost = Lost(
                    *(Why.RETENTION, it.next, min(begin, first) - 1),
                    *(it.timeline.topic_id, it.last_ms or 0),
                )
                await self._losses.note(tp, lost)
        it.next, it.last_ms = first, None

    # What a batch becomes

    async def _work(self, it: _Partition, batch: Batch) -> tuple[_Work, bool]:
        """The batch as work, and whether some of it may be there already."""
        tp, topic, records = batch.tp, BY_NAME[batch.tp.topic], batch.records
        span = Span.of(records, batch.first_offset, batch.next_offset - 1)
        if it.newest_ms is None:
            it.newest_ms = await self._clickhouse.newest_ms(
                TABLE_OF[tp.topic].name, tp.topic, tp.partition, span.first_ms
            )
        look = span.first_ms <= it.newest_ms
        if look and it.back is not None:
            self._say_again(tp, it)
        begun = it.begun
        if begun is not None and begun.span == span:
            # A second attempt: the block must be the same one, for its token may be taken.
            pending, it.seen = begun, None
            look = look or self._monotonic_s() - it.begun_s > LOOK_AFTER_S
        else:
            it.begun = None
            if it.seen is None or it.seen.ranges > MAX_RANGES:
                since_ms = min(self._now_ms(), span.first_ms) - topic.duplicate_horizon_ms
                it.seen = await self._known.sequences(tp, max(0, since_ms), span.first_ms)
            unknown = await self._known.unknown(tp, records)
            named_ms = 0 if look else self._now_ms()
            pending = Pending(blocks.DECISIONS, span, it.seen.since_ms, named_ms, unknown)
        mark = Mark(it.timeline, _last_ms(records, batch.next_offset))
        return _Work(tp, records, pending, batch.next_offset, mark, batch.generation), look

    def _say_again(self, tp: TP, it: _Partition) -> None:
        log.warning(
            "the group went back: what is stored is stepped over",
            topic=tp.topic,
            partition=tp.partition,
            why=it.back,
            at=it.next,
        )
        self.counts["went_back_total"] += 1
        it.back = None

    async def _store(
        self, it: _Partition, work: _Work, noted: Mark, *, look: bool, offset: int | None = None
    ) -> None:
        """Steps 1 to 4. ``offset``: what is committed while the block is pending."""
        tp, pending = work.tp, work.pending
        old = pending.span.first if offset is None else offset
        claim = Claim(self.consumer, self._monotonic_s, tp, old, noted.metadata(), work.generation)
        while True:
            began_s = self._monotonic_s()
            block, token, mend = await self._form(it, work, look=look)
            if it.begun is not pending:
                reasons = [letter.reason for letter, _, _ in block.letters]
                self._limits[tp.topic].note(len(block.offsets), reasons)
                it.begun, it.begun_s = pending, began_s
            await claim.prove()  # 1
            await self._letters.send(block.letters)  # 2
            try:
                await self._insert(claim, block, token, began_s)  # 3
                break
            except _TokenInDoubt:
                look, it.seen = True, None
        if mend is not None:
            table = TABLE_OF[tp.topic]
            await self._clickhouse.rebuild_rollups(table, tp.partition, *mend)
        metadata = work.mark.metadata()
        await self.consumer.commit_at(tp, work.after, metadata, work.generation)  # 4
        self._count(block)

    async def _form(
        self, it: _Partition, work: _Work, *, look: bool
    ) -> tuple[Block, str, tuple[int, int] | None]:
        """The block, its token, and between which offsets rollups are to be mended, if any are."""
        tp, topic, pending, records = work.tp, work.topic, work.pending, work.records
        span, table = pending.span, TABLE_OF[tp.topic]
        token, mend = pending.token(tp.topic, tp.partition), None
        if look:
            where = (tp.partition, span.first, span.last, span.first_ms)
            rows, letters = await self._clickhouse.there(table.name, tp.topic, *where)
            there = rows | letters
            records = [r for r in records if (r.offset, kafka_ms(r.timestamp)) not in there]
            back = it.newest_ms is not None and span.first_ms <= it.newest_ms
            if rows and not back:
                mend = (span.first, span.last)
            elif back and any(at_ms >= it.newest_ms for _, at_ms in rows):  # type: ignore[operator]
                mend = (max(0, span.first - MEND_RECORDS), span.last)
        if it.seen is None:
            since_ms, but = pending.since_ms, None if look else span
            it.seen = await self._known.sequences_but(tp, since_ms, but)
        known = knows(topic, work.records, pending.unknown)
        block = form(topic, tp.partition, records, it.seen, known)
        if look and len(records) < len(work.records):
            self.counts["stepped_over_total"] += len(work.records) - len(records)
            token += f"/{block.fingerprint()}"
        return block, token, mend

    async def _insert(self, claim: Claim, block: Block, token: str, began_s: float) -> None:
        """Both tables, until ClickHouse has them. Raises Abandoned when we are not the owner any more,
        and _TokenInDoubt."""
        table = TABLE_OF[claim.tp.topic]
        letters = [dead_letter_row(letter) for letter, _, _ in block.letters]
        asked_s = self._monotonic_s()
        for name, names, columns in (
            (table.name, table.all_columns, block.columns),
            ("dead_letters", DEAD_LETTER_COLUMNS, [list(c) for c in zip(*letters, strict=True)]),
        ):
            pause_s = 0.1
            while columns:
                await claim.renew()
                if self._monotonic_s() - began_s > LOOK_AFTER_S:
                    raise _TokenInDoubt
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
        self.counts["insert_seconds_total"] += self._monotonic_s() - asked_s

    def _count(self, block: Block) -> None:
        self.counts["blocks_total"] += 1
        self.counts["stored_total"] += len(block.offsets)
        self.counts["dead_letters_total"] += len(block.letters)
        self.counts["canaries_total"] += block.canaries
        self.counts["deletions_total"] += block.deletions
        for letter, _, _ in block.letters:
            self.counts[f"dead_letters_{letter.reason.value}_total"] += 1


def _last_ms(records: Sequence[Record], after: int) -> int | None:
    """Kafka's time of the record before an offset, if it is among these."""
    return records[-1].timestamp if records and records[-1].offset == after - 1 else None
