"""Kafka's side of dispatch: what it hears, from some time ago on, and the steps that it says."""

import asyncio
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, Final

import structlog
from aiokafka import TopicPartition
from aiokafka.errors import KafkaError
from pydantic import ValidationError

from schemas.alerts import AlertChanged
from schemas.events import SchoolRegistered
from schemas.settings import KafkaSettings
from schemas.steps import StepTaken
from schemas.topics import ALERTS, REGISTRY, STEPS
from streams.dispatch.journal import Journal
from streams.dispatch.school_address import address_of
from streams.dispatch.service import HORIZON_MS, Dispatch
from streams.runtime.kafka.clock import KafkaClock
from streams.runtime.kafka.reader import Followed, Reader
from streams.runtime.kafka.writer import Message, Writer

log = structlog.get_logger(__name__)

AGAIN_S: Final = 1.0
AT_ONCE: Final = 200


class NoticeReader:
    """Reads alerts and steps, and beside them the registry, all partitions, in no group.

    ``knows_schools``: those of last time are known, from the journal.
    """

    def __init__(
        self, kafka: KafkaSettings, dispatch: Dispatch, journal: Journal, clock: KafkaClock
    ) -> None:
        self._dispatch = dispatch
        self._journal = journal
        self._clock = clock
        # Apart, so that a press never stands behind thousands of schools.
        self._story = Reader(
            kafka,
            [Followed(ALERTS.name, HORIZON_MS), Followed(STEPS.name, HORIZON_MS)],
            self._hear,
            client_id="saqshy-dispatch",
            at_most=AT_ONCE,
        )
        self._schools = Reader(
            kafka,
            [Followed(REGISTRY.name, newest=True)],
            self._register,
            client_id="saqshy-dispatch-schools",
            at_most=AT_ONCE,
        )
        # A registry of last time will do until the present one is read.
        self.knows_schools = False

    @property
    def caught_up(self) -> bool:
        """Whether what was there at the start was heard, as far as it is needed to decide."""
        return self._story.caught_up and (self.knows_schools or self._schools.caught_up)

    @property
    def connected(self) -> bool:
        """Whether the broker answered lately."""
        return self._story.connected

    @property
    def refused(self) -> bool:
        """Whether the broker ever did not answer."""
        return self._story.refused

    @property
    def age_s(self) -> float | None:
        """Seconds since the topics were last read up to their ends; None when they never were."""
        return self._story.age_s

    async def run(self) -> None:
        """Until cancelled. Kafka may come and go."""
        await asyncio.gather(self._story.run(), self._schools.run())

    async def _hear(self, tp: TopicPartition, records: Sequence[Any]) -> None:
        heard_s = time.monotonic()
        for record in records:
            with said_of_another_kind(tp):
                if tp.topic == ALERTS.name:
                    self._dispatch.changed(AlertChanged.model_validate_json(record.value or b""))
                else:
                    step = StepTaken.model_validate_json(record.value or b"")
                    self._dispatch.took(step, record.timestamp, record.offset)
        if self._story.caught_up:
            self._clock.observe(records[-1].timestamp, heard_s)

    async def _register(self, tp: TopicPartition, records: Sequence[Any]) -> None:
        schools = []
        for record in records:
            if record.value is None:
                continue
            with said_of_another_kind(tp):
                school = address_of(SchoolRegistered.model_validate_json(record.value))
                if self._dispatch.registered(school):
                    schools.append(school)
        if schools and self._journal.is_open:
            await self._journal.schools(schools)


@contextmanager
def said_of_another_kind(tp: TopicPartition) -> Iterator[None]:
    """A record that is none of ours is logged and passed over."""
    try:
        yield
    except ValidationError as error:
        log.warning("a record of another kind", topic=tp.topic, error=str(error)[:200])


class StepWriter:
    """Steps on their way to Kafka, in the order in which they were taken; the journal has them too.

    ``drained`` is set while Kafka has them all.
    """

    def __init__(self, kafka: KafkaSettings, published: Callable[[list[str]], Any]) -> None:
        self._writer = Writer(kafka, client_id="saqshy-dispatch")
        self._published = published
        self._waiting: list[StepTaken] = []
        self._more = asyncio.Event()
        self.drained = asyncio.Event()
        self.drained.set()

    @property
    def waiting(self) -> int:
        return len(self._waiting)

    def say(self, step: StepTaken) -> None:
        self._waiting.append(step)
        self.drained.clear()
        self._more.set()

    async def run(self) -> None:
        """Until cancelled; while Kafka is down, steps wait here."""
        try:
            while True:
                await self._more.wait()
                try:
                    await self._say_all()
                except (KafkaError, OSError) as error:
                    log.warning("steps wait for Kafka", waiting=self.waiting, error=repr(error))
                    await asyncio.sleep(AGAIN_S)
        finally:
            await self._writer.stop()

    async def _say_all(self) -> None:
        steps = self._waiting[:500]
        await self._writer.send_all(
            [Message(STEPS.name, s.school.encode(), s.model_dump_json().encode()) for s in steps]
        )
        del self._waiting[: len(steps)]
        if not self._waiting:
            self._more.clear()
        await self._published([step.id for step in steps])
        if not self._waiting:
            self.drained.set()
