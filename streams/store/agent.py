"""The storing lanes: flow, incident and archive are this app with different topics.

The order of things, for each batch (design: docs/architecture.md, "A block is stored exactly once"):

1. commit the old offset, the pending block named beside it;
2. dead letters, acknowledged by Kafka;
3. rows and dead letters into ClickHouse, under the block's token;
4. commit the new offset.

Killed anywhere, the next owner finds the pending block's name, forms it again and goes on at 2.
"""

import asyncio
import time
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Final

import faust
import structlog
from aiokafka import AIOKafkaProducer
from clickhouse_driver.errors import Error as DriverError
from faust.types import TP

from schemas.settings import Settings
from schemas.topics import (
    ALERTS,
    BY_NAME,
    DEAD_LETTERS,
    FACILITIES,
    HEARTBEATS,
    INCIDENTS,
    PANICS,
    PASSES,
    REGISTRY,
    STATUS,
    Topic,
)
from streams.store.block import DECISIONS, Block, Pending, form, pending_of
from streams.store.clickhouse import LONGEST_PAUSE_S, ClickHouse
from streams.store.judge import NOTICE_TOPICS
from streams.store.limit import DeadLetterLimit, TooManyDeadLetters
from streams.store.registry import Registry
from streams.store.rows import DEAD_LETTER_COLUMNS, TABLE_OF, dead_letter_row
from streams.store.seen import MAX_RANGES, Seen
from streams.transport import Abandoned, Batch, Committed, Consumer, Record, batches
from streams.worker import worker

log = structlog.get_logger(__name__)

TOPICS_OF: Final[dict[str, tuple[Topic, ...]]] = {
    "flow": (PASSES,),
    "incident": (INCIDENTS, FACILITIES, REGISTRY),
    "archive": (HEARTBEATS, PANICS, STATUS, ALERTS),
}
PAUSE_S: Final = {"flow": 1.0, "incident": 2.0, "archive": 2.0}
"""Between two blocks of a partition while there is little to store: ClickHouse wants few large parts."""
BLOCK_RECORDS: Final = 20_000
PROVE_OWNERSHIP_AFTER_S: Final = 5.0
CONCURRENCY: Final = 4


class Store:
    """What one storing worker holds."""

    def __init__(self, settings: Settings, lane: str) -> None:
        self._kafka = settings.kafka
        self._pause_s = PAUSE_S[lane]
        self._clickhouse = ClickHouse(settings.clickhouse)
        self._registry = Registry(settings.kafka)
        self._limit = DeadLetterLimit()
        self._seen: dict[TP, Seen] = {}
        self._begun: dict[TP, Pending] = {}
        self._letters: AIOKafkaProducer | None = None
        self.consumer: Consumer | None = None
        self.counts: Counter[str] = Counter()

    async def stop(self) -> None:
        await self._registry.stop()
        if self._letters is not None:
            await self._letters.stop()

    async def assigned(self, committed: Mapping[TP, Committed]) -> None:
        """Finish the blocks that the last owner left pending."""
        await self._registry.start()
        if self._letters is None:
            producer = AIOKafkaProducer(
                **self._kafka.aiokafka_kwargs(),
                enable_idempotence=True,
                acks="all",
                max_request_size=4 * 1024 * 1024,
            )
            await producer.start()
            self._letters = producer
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

    async def _finish(self, tp: TP, pending: Pending) -> None:
        assert self.consumer is not None
        topic, generation = BY_NAME[tp.topic], self.consumer.generation
        log.info(
            "finishing a pending block", topic=tp.topic, partition=tp.partition, pending=pending
        )
        records = await self.consumer.read_range(tp, pending.first, pending.last)
        seen = await self._remember(tp, topic, pending.since, pending.first)
        await self._registry.reach(tp.partition, pending.registry)
        knows = self._registry.known(tp.partition, pending.registry)
        block = form(topic, tp.partition, records, seen, knows)
        if pending.decisions != DECISIONS:
            block = await self._missing(tp, topic, pending, block)
        await self._put(tp, pending, block, generation)
        if pending.decisions != DECISIONS:
            every = form(topic, tp.partition, records, Seen(0), lambda _: True)
            await self._clickhouse.rebuild_rollups(TABLE_OF[topic.name], every.rows)
        await self.consumer.commit_at(tp, pending.last + 1, "", generation)

    async def _missing(self, tp: TP, topic: Topic, pending: Pending, block: Block) -> Block:
        """Of a block that another version of the decisions began: what isn't stored yet."""
        span = (tp.partition, pending.first, pending.last)
        there = await self._clickhouse.offsets_there(TABLE_OF[topic.name].name, "", *span)
        letters = f"topic = '{topic.name}' AND"
        there |= await self._clickhouse.offsets_there("dead_letters", letters, *span)
        return Block(
            [row for row in block.rows if row[1] not in there],
            [letter for letter in block.letters if letter[0].offset not in there],
        )

    async def handle(self, batch: Batch) -> None:
        """Store one batch and commit it.

        Raises Abandoned when the partition is no longer ours, TooManyDeadLetters, and aiokafka's
        KafkaError; nothing half-done is lost, the next attempt finishes it.
        """
        assert self.consumer is not None
        tp, topic = batch.tp, BY_NAME[batch.tp.topic]
        began = time.monotonic()
        try:
            begun = self._begun.get(tp)
            if begun is not None and (begun.first, begun.last) == (
                batch.first_offset,
                batch.next_offset - 1,
            ):
                # A second attempt: the block must be the same one, for its token may be taken.
                seen = self._seen[tp] = await self._remember(tp, topic, begun.since, begun.first)
                registry = begun.registry
            else:
                seen = await self._memory(tp, topic, batch.first_offset)
                registry = await self._registry_offset(topic, tp.partition, batch.records)
            knows = self._registry.known(tp.partition, registry)
            block = form(topic, tp.partition, batch.records, seen, knows)
            self._limit.note(len(block.rows), [letter.reason for letter, _, _ in block.letters])
            pending = Pending(
                DECISIONS, batch.first_offset, batch.next_offset - 1, seen.since, registry
            )
            at = (tp, batch.first_offset, pending.metadata(), batch.generation)
            await self.consumer.commit_at(*at)
            self._begun[tp] = pending
            await self._put(tp, pending, block, batch.generation)
            await self.consumer.commit_at(tp, batch.next_offset, "", batch.generation)
            self._begun.pop(tp, None)
        except BaseException:
            self._seen.pop(tp, None)  # it knows records that may not be stored
            raise
        self.counts["stored_total"] += len(block.rows)
        self.counts["dead_letters_total"] += len(block.letters)
        full = len(batch.records) >= BLOCK_RECORDS // 2
        pause_s = 0.0 if full else self._pause_s - (time.monotonic() - began)
        # Not slept here: the actor is free for another partition meanwhile.
        asyncio.get_running_loop().call_later(max(0.0, pause_s), batch.done)

    async def _memory(self, tp: TP, topic: Topic, before: int) -> Seen:
        """What was stored within the topic's horizon, before this offset."""
        seen = self._seen.get(tp)
        if seen is None or seen.ranges > MAX_RANGES:
            seen = self._seen[tp] = await self._begin_memory(tp, topic, before)
        return seen

    async def _begin_memory(self, tp: TP, topic: Topic, before: int) -> Seen:
        if topic.name in NOTICE_TOPICS:
            return Seen(before)
        since_ms = int(time.time() * 1000) - topic.duplicate_horizon_ms
        table = TABLE_OF[topic.name].name
        since = await self._clickhouse.first_offset_since(table, tp.partition, since_ms)
        return await self._remember(tp, topic, before if since is None else since, before)

    async def _remember(self, tp: TP, topic: Topic, since: int, before: int) -> Seen:
        if since >= before:
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
        if not all(
            knows(school.decode(errors="replace")) for school in {r.key or b"" for r in records}
        ):
            await self._registry.catch_up(partition)
        return self._registry.position(partition)

    async def _put(self, tp: TP, pending: Pending, block: Block, generation: int) -> None:
        """Steps 2 and 3, until they are done. Raises Abandoned when we are not the owner any more."""
        await self._send(block)
        token = pending.token(tp.topic, tp.partition)
        table = TABLE_OF[tp.topic]
        letters = [dead_letter_row(letter) for letter, _, _ in block.letters]
        for name, columns, rows in (
            (table.name, table.all_columns, block.rows),
            ("dead_letters", DEAD_LETTER_COLUMNS, letters),
        ):
            proven, pause_s = time.monotonic(), 0.1
            while rows:
                if time.monotonic() - proven > PROVE_OWNERSHIP_AFTER_S:
                    # We may have slept while another took over and went on beyond the tokens that
                    # ClickHouse remembers: a commit of the same pending block proves that we didn't.
                    await self._prove(tp, pending, generation)
                    proven = time.monotonic()
                try:
                    await self._clickhouse.insert(name, columns, rows, token)
                    break
                except (DriverError, OSError, EOFError) as trouble:
                    self.counts["insert_failures_total"] += 1
                    log.warning(
                        "insert failed", table=name, trouble=str(trouble)[:300], again_s=pause_s
                    )
                await asyncio.sleep(pause_s)
                pause_s = min(LONGEST_PAUSE_S, pause_s * 2)

    async def _prove(self, tp: TP, pending: Pending, generation: int) -> None:
        assert self.consumer is not None
        await self.consumer.commit_at(tp, pending.first, pending.metadata(), generation)

    async def _send(self, block: Block) -> None:
        """Dead letters with their bytes to the restricted topic, all acknowledged."""
        assert self._letters is not None
        sent = [
            await self._letters.send(
                DEAD_LETTERS.name,
                value,
                key=f"{letter.topic}/{letter.partition}/{letter.offset}".encode(),
                headers=[
                    ("saqshy", letter.model_dump_json().encode()),
                    ("saqshy-key", key or b""),
                ],
            )
            for letter, key, value in block.letters
        ]
        for acknowledgement in sent:
            await acknowledgement


def app(settings: Settings, lane: str) -> faust.App:
    """The worker of a storing lane: flow, incident or archive."""
    store = Store(settings, lane)
    it = worker(lane, settings, lambda: store.counts)
    names = [topic.name for topic in TOPICS_OF[lane]]

    async def assigned(committed: Mapping[TP, Committed]) -> None:
        store.consumer = it.consumer
        await store.assigned(committed)

    channel = batches(it, names, max_records=BLOCK_RECORDS, on_assigned=assigned)

    @it.agent(channel, concurrency=CONCURRENCY)  # type: ignore[untyped-decorator]
    async def store_batches(stream: faust.StreamT[Batch]) -> None:
        async for batch in stream:
            try:
                await store.handle(batch)
            except Abandoned:
                batch.done()  # another owner finishes it
            except TooManyDeadLetters as reason:
                log.critical(
                    "lane stops: more likely our bug than the schools'", lane=lane, why=str(reason)
                )
                await it.crash(reason)
                raise
            except Exception:
                log.exception("a batch failed and comes again", topic=batch.tp.topic)
                batch.retry()

    @it.on_before_shutdown.connect  # type: ignore[untyped-decorator]
    async def stop(*_: object, **__: object) -> None:
        await store.stop()

    return it
