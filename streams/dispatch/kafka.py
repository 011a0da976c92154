"""Kafka's side of dispatch: what it hears, from some time ago on, and the steps that it says."""

import asyncio
import time
from collections.abc import Callable, Sequence
from typing import Any, Final

import structlog
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition
from aiokafka.errors import KafkaError
from pydantic import ValidationError

from schemas.alerts import AlertChanged
from schemas.events import SchoolRegistered
from schemas.settings import KafkaSettings
from schemas.steps import StepTaken
from schemas.topics import ALERTS, REGISTRY, STEPS
from streams.clock import KafkaClock
from streams.dispatch.journal import Journal
from streams.dispatch.premises import premises_of
from streams.dispatch.service import HORIZON_MS, Dispatch

log = structlog.get_logger(__name__)

AGAIN_S: Final = 1.0
FETCH_WAIT_MS: Final = 20
AT_ONCE: Final = 200
STORY: Final = (ALERTS.name, STEPS.name)
SCHOOLS: Final = (REGISTRY.name,)


class Ear:
    """Reads alerts and steps, and beside them the registry, all partitions, in no group.

    ``knows_schools``: those of last time are known, from the journal. ``connected`` is whether the broker
    answered lately, ``refused`` whether it ever did not.
    """

    def __init__(
        self, kafka: KafkaSettings, dispatch: Dispatch, journal: Journal, clock: KafkaClock
    ) -> None:
        self._kafka = kafka
        self._dispatch = dispatch
        self._journal = journal
        self._clock = clock
        # A registry of last time will do until the present one is read.
        self.knows_schools = False
        self._caught_up: set[tuple[str, ...]] = set()
        self.connected = False
        self.refused = False

    @property
    def caught_up(self) -> bool:
        """Whether what was there at the start was heard, as far as it is needed to decide."""
        return self._caught_up.issuperset((STORY,) if self.knows_schools else (STORY, SCHOOLS))

    async def run(self) -> None:
        """Until cancelled. Kafka may come and go."""
        # Apart, so that a press never stands behind thousands of schools.
        await asyncio.gather(self._keep_listening(STORY), self._keep_listening(SCHOOLS))

    async def _keep_listening(self, topics: tuple[str, ...]) -> None:
        while True:
            try:
                await self._listen(topics)
            except (KafkaError, OSError) as error:
                log.warning("Kafka can't be heard, trying again", error=repr(error))
            self.connected, self.refused = False, True
            await asyncio.sleep(AGAIN_S)

    async def _listen(self, topics: tuple[str, ...]) -> None:
        consumer = AIOKafkaConsumer(
            **self._kafka.aiokafka_kwargs(),
            client_id="saqshy-dispatch",
            auto_offset_reset="earliest",
            enable_auto_commit=False,
            fetch_max_wait_ms=FETCH_WAIT_MS,
        )
        try:
            await consumer.start()
            ends = await self._begin(consumer, topics)
            self.connected = True
            while True:
                polled = await consumer.getmany(timeout_ms=500, max_records=AT_ONCE)
                heard_s = time.monotonic()
                for tp, records in polled.items():
                    await self._hear(tp.topic, records, heard_s)
                await asyncio.sleep(0)
                if topics not in self._caught_up:
                    positions = {tp: await consumer.position(tp) for tp in ends}
                    if all(positions[tp] >= end for tp, end in ends.items()):
                        self._caught_up.add(topics)
        finally:
            await consumer.stop()

    async def _begin(
        self, consumer: AIOKafkaConsumer, topics: tuple[str, ...]
    ) -> dict[TopicPartition, int]:
        """Go back by the horizon, in the registry to the beginning; the ends as they are now."""
        tps = [TopicPartition(topic, n) for topic in topics for n in range(self._kafka.partitions)]
        consumer.assign(tps)
        ends: dict[TopicPartition, int] = await consumer.end_offsets(tps)
        if topics == SCHOOLS:
            await consumer.seek_to_beginning(*tps)
            return ends
        since_ms = int(time.time() * 1000) - HORIZON_MS
        found = await consumer.offsets_for_times(dict.fromkeys(tps, since_ms))
        for tp, at in found.items():
            consumer.seek(tp, ends[tp] if at is None else at.offset)
        return ends

    async def _hear(self, topic: str, records: Sequence[Any], heard_s: float) -> None:
        schools = []
        for record in records:
            try:
                if topic == ALERTS.name:
                    self._dispatch.changed(AlertChanged.model_validate_json(record.value or b""))
                elif topic == STEPS.name:
                    step = StepTaken.model_validate_json(record.value or b"")
                    self._dispatch.took(step, record.timestamp, record.offset)
                elif record.value is not None:
                    school = premises_of(SchoolRegistered.model_validate_json(record.value))
                    if self._dispatch.registered(school):
                        schools.append(school)
            except ValidationError as error:
                log.warning("a record of another kind", topic=topic, error=str(error)[:200])
        if schools and self._journal.is_open:
            await self._journal.schools(schools)
        elif topic != REGISTRY.name and STORY in self._caught_up:
            self._clock.observe(records[-1].timestamp, heard_s)


class Mouth:
    """Steps on their way to Kafka, in the order in which they were taken; the journal has them too.

    ``silent`` is set while Kafka has them all.
    """

    def __init__(self, kafka: KafkaSettings, published: Callable[[list[str]], Any]) -> None:
        self._kafka = kafka
        self._published = published
        self._waiting: list[StepTaken] = []
        self._more = asyncio.Event()
        self.silent = asyncio.Event()
        self.silent.set()

    @property
    def waiting(self) -> int:
        return len(self._waiting)

    def say(self, step: StepTaken) -> None:
        self._waiting.append(step)
        self.silent.clear()
        self._more.set()

    async def run(self) -> None:
        """Until cancelled; while Kafka is down, steps wait here."""
        while True:
            producer = AIOKafkaProducer(
                **self._kafka.aiokafka_kwargs(),
                client_id="saqshy-dispatch",
                enable_idempotence=True,
                acks="all",
                linger_ms=0,
            )
            try:
                await producer.start()
                while True:
                    await self._more.wait()
                    await self._say_all(producer)
            except (KafkaError, OSError) as error:
                log.warning("steps wait for Kafka", waiting=self.waiting, error=repr(error))
            finally:
                await producer.stop()
            await asyncio.sleep(AGAIN_S)

    async def _say_all(self, producer: AIOKafkaProducer) -> None:
        self._more.clear()
        steps = self._waiting[:500]
        sent: list[Any] = [
            await producer.send(
                STEPS.name, step.model_dump_json().encode(), key=step.school.encode()
            )
            for step in steps
        ]
        for outcome in await asyncio.gather(*sent, return_exceptions=True):
            if isinstance(outcome, BaseException):
                self._more.set()
                raise outcome
        del self._waiting[: len(steps)]
        if self._waiting:
            self._more.set()
        await self._published([step.id for step in steps])
        if not self._waiting:
            self.silent.set()
