"""Feeds heartbeats and the stream's progress to the liveness decisions, and says what they decide."""

import asyncio
import time
from collections.abc import Iterable, Mapping
from contextlib import suppress
from typing import Any, Final

import faust
import msgspec
import structlog
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition
from aiokafka.errors import KafkaError
from faust.types import TP
from pydantic import ValidationError

from schemas.alerts import NOTICE, StatusChanged
from schemas.events import EVENT, SchoolRegistered
from schemas.settings import Settings
from schemas.topics import ALERTS, HEARTBEATS, REGISTRY, STATUS
from streams.liveness.decide import Decision, Liveness
from streams.transport import Abandoned, Batch, Committed, Consumer, batches
from streams.worker import worker

log = structlog.get_logger(__name__)

SWEEP_EVERY_S: Final = 1.0


class Beat(msgspec.Struct):
    """What liveness needs of a heartbeat; the archive lane judges the rest."""

    school: str
    device: str
    kind: str
    period_s: int
    time_ms: int
    clock_offset_ms: int
    type: str


_decode = msgspec.json.Decoder(Beat).decode


class Watch:
    """What one worker holds: the liveness of each partition it owns."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._partitions: dict[TP, Liveness] = {}
        self._producer: AIOKafkaProducer | None = None
        self._registry: asyncio.Task[None] | None = None
        self.consumer: Consumer | None = None
        self.counts = {"unreadable_total": 0, "decisions_total": 0}

    async def stop(self) -> None:
        if self._registry is not None:
            self._registry.cancel()
            with suppress(asyncio.CancelledError):
                await self._registry
        if self._producer is not None:
            await self._producer.stop()

    async def assigned(self, committed: Mapping[TP, Committed]) -> None:
        """Rebuild before anything is judged: what is expected, and what was said last.

        Silence counts from now on. Heartbeats since the last commit come again by themselves.
        """
        if self._producer is None:
            producer = AIOKafkaProducer(
                **self._settings.kafka.aiokafka_kwargs(), enable_idempotence=True, acks="all"
            )
            await producer.start()
            self._producer = producer
            self._registry = asyncio.create_task(self._follow_registry())
        rebuilt = {tp: self._empty() for tp in committed}
        numbers = {tp.partition: it for tp, it in rebuilt.items()}
        async for record in self._all_of(REGISTRY.name, numbers):
            self._expect(numbers[record.partition], record.value, record.timestamp)
        async for record in self._all_of(STATUS.name, numbers):
            with suppress(ValidationError):
                said = NOTICE.validate_json(record.value or b"")
                if isinstance(said, StatusChanged):
                    numbers[record.partition].restore(said)
        now_ms = int(time.time() * 1000)
        for it in rebuilt.values():
            it.watch_from(now_ms)
        self._partitions = {**self._partitions, **rebuilt}

    def _empty(self) -> Liveness:
        liveness = self._settings.liveness
        return Liveness(misses=liveness.misses, grace_ms=int(liveness.grace_s * 1000))

    async def _all_of(self, topic: str, partitions: Iterable[int]) -> Any:
        """Every record that is now in these partitions of a compacted topic."""
        consumer = AIOKafkaConsumer(
            **self._settings.kafka.aiokafka_kwargs(), auto_offset_reset="earliest"
        )
        await consumer.start()
        try:
            tps = [TopicPartition(topic, number) for number in partitions]
            consumer.assign(tps)
            await consumer.seek_to_beginning(*tps)
            ends = await consumer.end_offsets(tps)
            left = {tp for tp in tps if ends[tp] > 0}
            while left:
                for records in (await consumer.getmany(*left, timeout_ms=200)).values():
                    for record in records:
                        yield record
                left = {tp for tp in left if await consumer.position(tp) < ends[tp]}
        finally:
            await consumer.stop()

    async def _follow_registry(self) -> None:
        """Schools that are registered while we run."""
        consumer = AIOKafkaConsumer(REGISTRY.name, **self._settings.kafka.aiokafka_kwargs())
        await consumer.start()
        try:
            async for record in consumer:
                it = self._partitions.get(TP(HEARTBEATS.name, record.partition))
                if it is not None:
                    self._expect(it, record.value, record.timestamp)
        finally:
            await consumer.stop()

    def _expect(self, it: Liveness, value: bytes | None, kafka_ms: int) -> None:
        try:
            event = EVENT.validate_json(value or b"")
        except ValidationError:
            return
        if isinstance(event, SchoolRegistered):
            for d in event.devices:
                it.expect(event.school, d.device, d.kind.value, d.period_s, kafka_ms)

    async def handle(self, batch: Batch) -> None:
        """Hear a batch of heartbeats; commit when all that follows is acknowledged.

        Raises Abandoned, and aiokafka's KafkaError.
        """
        it = self._partitions[batch.tp]
        decided: list[Decision] = []
        for record in batch.records:
            try:
                beat = _decode(record.value or b"")
            except (msgspec.DecodeError, msgspec.ValidationError, UnicodeDecodeError):
                self.counts["unreadable_total"] += 1
                continue
            if beat.type != "heartbeat" or record.key != beat.school.encode():
                self.counts["unreadable_total"] += 1
                continue
            event_ms = min(beat.time_ms - beat.clock_offset_ms, record.timestamp)
            decided += it.heartbeat(
                beat.school, beat.device, beat.kind, beat.period_s, event_ms, record.timestamp
            )
        await self._say(batch.tp.partition, decided)
        await batch.commit()

    async def sweep(self) -> None:
        """Judge each partition as far as its own progress reaches, no further."""
        assert self.consumer is not None
        for tp, progress in list(self.consumer.metrics.progress.items()):
            it = self._partitions.get(tp)
            if it is None:
                continue
            caught_up_ms = int((progress.caught_up_at_s or 0) * 1000)
            watermark_ms = max(progress.handled_timestamp_ms or 0, caught_up_ms)
            await self._say(tp.partition, list(it.sweep(watermark_ms)))

    async def _say(self, partition: int, decided: list[Decision]) -> None:
        if not decided:
            return
        assert self._producer is not None
        sent = []
        for decision in decided:
            is_status = isinstance(decision, StatusChanged)
            topic = STATUS.name if is_status else ALERTS.name
            # Compaction keeps the last word about each device; alerts are keyed by their school.
            key = f"{decision.school}/{decision.device}" if is_status else decision.school
            value = decision.model_dump_json().encode()
            sent.append(
                await self._producer.send(topic, value, key=key.encode(), partition=partition)
            )
        for acknowledgement in sent:
            await acknowledgement
        self.counts["decisions_total"] += len(decided)


def app(settings: Settings) -> faust.App:
    """The liveness worker."""
    watch = Watch(settings)
    it = worker("liveness", settings, lambda: watch.counts)

    async def assigned(committed: Mapping[TP, Committed]) -> None:
        watch.consumer = it.consumer
        await watch.assigned(committed)

    channel = batches(it, [HEARTBEATS.name], on_assigned=assigned)

    @it.agent(channel, concurrency=4)  # type: ignore[untyped-decorator]
    async def hear(stream: faust.StreamT[Batch]) -> None:
        async for batch in stream:
            try:
                await watch.handle(batch)
            except Abandoned:
                batch.done()
            except KafkaError:
                log.exception("a batch of heartbeats comes again")
                batch.retry()

    @it.task  # type: ignore[untyped-decorator]
    async def sweep(app_: faust.App) -> None:
        while not app_.should_stop:
            await app_.sleep(SWEEP_EVERY_S)
            if watch.consumer is not None:
                try:
                    await watch.sweep()
                except KafkaError:
                    log.exception("a sweep could not be said")

    @it.on_before_shutdown.connect  # type: ignore[untyped-decorator]
    async def stop(*_: object, **__: object) -> None:
        await watch.stop()

    return it
