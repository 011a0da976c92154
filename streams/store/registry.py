"""Which schools are registered: the registry topic, followed from its beginning.

The registry has as many partitions as the other topics and the same keys, so a school's record stands in
the partition of the same number as its events: but for the schools that moved when partitions were added.
Their records stand in another one, since before.
"""

import asyncio
from collections import defaultdict
from contextlib import suppress

import structlog
from aiokafka import AIOKafkaConsumer
from aiokafka.errors import KafkaError
from pydantic import ValidationError

from schemas.events import EVENT, SchoolRegistered
from schemas.settings import KafkaSettings
from schemas.topics import REGISTRY
from streams.runtime.kafka import clients
from streams.runtime.kafka.bounded import METADATA_MAX_AGE_MS
from streams.transport.timeline import timeline

log = structlog.get_logger(__name__)


class Registry:
    """``await start()`` once; then it follows the topic until ``stop``."""

    def __init__(self, settings: KafkaSettings) -> None:
        self._settings = settings
        self._schools: set[str] = set()
        self._position: dict[int, int] = defaultdict(int)
        self._topic_id = ""
        self._moved = asyncio.Condition()
        self._consumer: AIOKafkaConsumer | None = None
        self._task: asyncio.Task[None] | None = None

    async def start(self) -> None:
        """Begin to read. Raises aiokafka's KafkaError when the broker can't be reached."""
        if self._task is not None:
            return
        consumer = clients.consumer(
            self._settings, auto_offset_reset="earliest", metadata_max_age_ms=METADATA_MAX_AGE_MS
        )
        await consumer.start()
        await self._take_up_all(consumer)
        found = await timeline(clients.client_of(consumer), REGISTRY.name, 0)
        self._topic_id = found.topic_id
        self._consumer = consumer
        self._task = asyncio.create_task(self._follow(consumer))

    async def stop(self) -> None:
        if self._task is not None and self._consumer is not None:
            self._task.cancel()
            with suppress(asyncio.CancelledError):
                await self._task
            clients.leave(self._consumer)

    def knows(self, school: str) -> bool:
        """Whether it was ever registered, as far as we have read."""
        return school in self._schools

    async def catch_up(self, partition: int) -> None:
        """Wait until everything that is there now is read, of all partitions: the school may have moved.

        Raises aiokafka's KafkaError.
        """
        assert self._consumer is not None
        consumer = self._consumer
        now = await timeline(clients.client_of(consumer), REGISTRY.name, partition)
        if now.is_other_topic_than(self._topic_id):
            log.warning("the registry was made anew: reading it again")
            self._position.clear()
            for tp in consumer.assignment():
                consumer.seek(tp, 0)
        self._topic_id = now.topic_id or self._topic_id
        ends = await consumer.end_offsets(list(consumer.assignment()))
        async with self._moved:
            await self._moved.wait_for(
                lambda: all(self._position[tp.partition] >= end for tp, end in ends.items())
            )

    async def _take_up_all(self, consumer: AIOKafkaConsumer) -> None:
        """Go on with each partition where we are, and begin those that are new to us."""
        tps = await clients.partitions_of(consumer, [REGISTRY.name])
        if set(tps) != consumer.assignment():
            consumer.assign(tps)
            for tp in tps:
                consumer.seek(tp, self._position[tp.partition])

    async def _follow(self, consumer: AIOKafkaConsumer) -> None:
        while True:
            try:
                there = consumer.partitions_for_topic(REGISTRY.name) or ()
                if len(there) > len(consumer.assignment()):
                    await self._take_up_all(consumer)
                polled = await consumer.getmany(timeout_ms=1_000, max_records=2_000)
            except KafkaError as trouble:  # it stands still, and waits for us to look
                log.warning("the registry can't be read", trouble=str(trouble)[:300])
                await asyncio.sleep(1)
                continue
            for records in polled.values():
                for record in records:
                    school = _school(record.key, record.value)
                    if school is not None:
                        self._schools.add(school)
            async with self._moved:
                for tp in consumer.assignment():
                    self._position[tp.partition] = await consumer.position(tp)
                self._moved.notify_all()


def _school(key: bytes | None, value: bytes | None) -> str | None:
    """The school that a valid registry record registers."""
    try:
        event = EVENT.validate_json(value or b"")
    except ValidationError:
        return None
    if not isinstance(event, SchoolRegistered) or key != event.school.encode():
        return None
    return event.school
