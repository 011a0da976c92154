"""Feeds the statuses of all schools to the outage decisions, and says what they decide.

One worker reads all partitions, as an outage knows none; a second one in its group only stands by.
On assignment everything that stands in the compacted topic of statuses is read again, so that the
state is what a former owner's was; what it had committed is not judged a second time.
"""

import time
from collections.abc import Iterable, Mapping
from contextlib import suppress
from functools import partial
from typing import Any, Final

import faust
import structlog
from faust.types import TP
from pydantic import ValidationError

from schemas.alerts import NOTICE, AlertChanged, AlertKind
from schemas.events import EVENT, SchoolRegistered, is_canary
from schemas.settings import Settings
from schemas.topics import ALERTS, REGISTRY, STATUS
from streams.deciding import Following, handled_ms, sweep_every
from streams.outage.decide import Outages
from streams.outage.merge import Merge
from streams.outage.scope import Place
from streams.outbox import Message, Outbox
from streams.rebuild import status_of
from streams.runtime.kafka.bounded import by_stamp, everything, offsets_at, partitions_of
from streams.runtime.kafka.clock import KafkaClock
from streams.runtime.kafka.newest import Newest
from streams.transport import Batch, Committed, Consumer, batches
from streams.worker import worker

log = structlog.get_logger(__name__)

SWEEP_EVERY_S: Final = 0.25
COMMIT_EVERY_S: Final = 1.0
HOME: Final = 0
"""The partition of the alerts that belong to no school."""
LASTING_MS: Final = 7 * 86_400_000
"""An outage that was opened earlier is not taken over any more."""


class Country:
    """What the worker holds."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._clock = KafkaClock(time.time(), time.monotonic())
        self._following = Following(settings.kafka)
        self.outages = Outages()
        self.merge = Merge()
        self._speak_from: dict[int, int] = {}
        """By partition; a former owner has said what follows from the records before."""
        self._decided_to: dict[int, int] = {}
        self._read_to: dict[int, int] = {}
        self._committed_to: dict[int, int] = {}
        self._committed_s = 0.0
        self._generation = -1
        self.outbox = Outbox(settings.kafka)
        self.consumer: Consumer | None = None
        self.late = 0

    def counts(self) -> dict[str, float]:
        return {
            "outages_open": len(self.outages.incidents),
            "transitions_total": self.outbox.acknowledged,
            "late_total": self.late,
        }

    async def stop(self) -> None:
        await self._following.stop()
        await self.outbox.stop()

    async def assigned(self, committed: Mapping[TP, Committed]) -> Mapping[TP, int]:
        """Places of the schools, open outages; then all statuses come again."""
        await self._following.stop()
        kafka, numbers = self._settings.kafka, [tp.partition for tp in committed]
        self.outages, self.merge = Outages(), Merge(numbers)
        self.outbox.clear(HOME)
        self._speak_from = {tp.partition: at.offset or 0 for tp, at in committed.items()}
        self._committed_to = dict(self._speak_from)
        self._decided_to, self._read_to = {}, {}
        there = (await partitions_of(kafka, [STATUS.name]))[STATUS.name]
        if len(numbers) < len(there):
            log.error("outages are inferred by one worker: stop the others", partitions=numbers)
        ends: dict[int, int] = {}
        newest = Newest()
        async for record in by_stamp(kafka, REGISTRY.name, ends):
            newest.takes(record)
            self._register(record)
        for alert in await self._said_before(committed):
            self.outages.restore(alert)
        self._following.begin(REGISTRY.name, ends, partial(self._registered, newest))
        return dict.fromkeys(committed, 0)

    async def _said_before(self, committed: Mapping[TP, Committed]) -> list[AlertChanged]:
        """The outages of late, in the order in which they were said."""
        kafka, home = self._settings.kafka, TP(ALERTS.name, HOME)
        now_ms = int(time.time() * 1000)
        said_to_ms = max((handled_ms(at, now_ms) for at in committed.values()), default=0)
        starts = await offsets_at(kafka, {home: max(0, said_to_ms - LASTING_MS)})
        found: list[AlertChanged] = []
        async for record in everything(kafka, ALERTS.name, [HOME], {}, starts):
            if b'"outage"' in (record.value or b""):
                with suppress(ValidationError):
                    said = NOTICE.validate_json(record.value)
                    if isinstance(said, AlertChanged) and said.kind is AlertKind.OUTAGE:
                        found.append(said)
        return found

    def _registered(self, newest: Newest, record: Any) -> None:
        if newest.takes(record):
            self._register(record)

    def _register(self, record: Any) -> None:
        with suppress(ValidationError):
            school = EVENT.validate_json(record.value or b"")
            if not isinstance(school, SchoolRegistered) or record.key != school.school.encode():
                return
            if not is_canary(school.school):
                place = Place(school.provider, school.district, school.region)
                self.outages.register(school.school, place)

    def take(self, batch: Batch) -> None:
        """Records wait here for those of the other partitions."""
        number = batch.tp.partition
        self._generation = batch.generation
        for record in batch.records:
            if record.offset < self._read_to.get(number, 0):
                continue
            said = status_of(record.value)
            if said is not None and (said.device or is_canary(said.school)):
                said = None
            self.late += record.timestamp < self.outages.now_ms
            self.merge.put(number, record.offset, record.timestamp, said)
        self._read_to[number] = batch.next_offset
        self._clock.observe(batch.records[-1].timestamp, time.monotonic())
        batch.done()

    async def sweep(self) -> None:
        """Decide as far as all partitions have come, and say it.

        Raises aiokafka's KafkaError; what could not be said is said by the next sweep.
        """
        now_s = time.monotonic()
        self._prove(now_s)
        until_ms = self.merge.watermark_ms()
        for kafka_ms, partition, offset, said in self.merge.take(until_ms):
            if said is not None:
                if offset < self._speak_from.get(partition, 0):
                    self.outages.recall(said, kafka_ms)
                else:
                    self._put(self.outages.change(said, kafka_ms))
            self._decided_to[partition] = offset + 1
        # Only who knows all that a former owner knew may say that something is over.
        if self.merge.is_caught_up:
            self._put(self.outages.advance(until_ms))
        await self.outbox.flush(HOME)
        if now_s - self._committed_s > COMMIT_EVERY_S:
            self._committed_s = now_s
            await self._commit(until_ms)

    def _prove(self, now_s: float) -> None:
        """Take the broker's word that there was nothing more to read."""
        assert self.consumer is not None
        for tp, progress in self.consumer.metrics.progress.items():
            if progress.caught_up_at_s is None:
                continue
            proof_ms = self._clock.at_ms(progress.caught_up_at_s, time.time(), now_s)
            if proof_ms is not None:
                self.merge.prove(tp.partition, proof_ms)

    async def _commit(self, until_ms: int) -> None:
        assert self.consumer is not None
        for number, offset in self._decided_to.items():
            if offset > self._committed_to.get(number, 0):
                tp = TP(STATUS.name, number)
                await self.consumer.commit_at(tp, offset, str(until_ms), self._generation)
                self._committed_to[number] = offset

    def _put(self, decided: Iterable[AlertChanged]) -> None:
        for one in decided:
            said = one.model_dump_json()
            log.info("outage", said=said[:300])
            self.outbox.put(HOME, [Message(ALERTS.name, b"", said.encode())])


def app(settings: Settings) -> faust.App:
    """The outage worker."""
    country = Country(settings)
    it = worker("outage", settings, country.counts)

    async def assigned(committed: Mapping[TP, Committed]) -> Mapping[TP, int]:
        country.consumer = it.consumer
        return await country.assigned(committed)

    channel = batches(it, [STATUS.name], on_assigned=assigned)

    @it.agent(channel)  # type: ignore[untyped-decorator]
    async def read(stream: faust.StreamT[Batch]) -> None:
        async for batch in stream:
            country.take(batch)

    sweep_every(it, SWEEP_EVERY_S, country.sweep, lambda: country.consumer is not None)

    @it.on_before_shutdown.connect  # type: ignore[untyped-decorator]
    async def stop(*_: object, **__: object) -> None:
        await country.stop()

    return it
