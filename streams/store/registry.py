"""Which schools are registered: the registry topic, followed from its beginning.

The registry has as many partitions as the other topics and the same keys, so a school's record stands in
the partition of the same number as its events.
"""

import asyncio
from collections import defaultdict
from contextlib import suppress

import structlog
from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.errors import KafkaError
from pydantic import ValidationError

from schemas.events import EVENT, SchoolRegistered
from schemas.settings import KafkaSettings
from schemas.topics import REGISTRY
from streams.transport.timeline import Timeline, timeline

log = structlog.get_logger(__name__)


class Registry:
    """``await start()`` once; then it follows the topic until ``stop``."""

    def __init__(self, settings: KafkaSettings) -> None:
        self._settings = settings
        self._schools: set[str] = set()
        self._position: dict[int, int] = defaultdict(int)
        self._timelines: dict[int, Timeline] = {}
        self._moved = asyncio.Condition()
        self._consumer: AIOKafkaConsumer | None = None
        self._task: asyncio.Task[None] | None = None

    async def start(self) -> None:
        """Begin to read. Raises aiokafka's KafkaError when the broker can't be reached."""
        if self._task is not None:
            return
        consumer = AIOKafkaConsumer(
            **self._settings.aiokafka_kwargs(), auto_offset_reset="earliest"
        )
        await consumer.start()
        partitions = await consumer._client.fetch_all_metadata()
        numbers = partitions.partitions_for_topic(REGISTRY.name) or set()
        tps = [TopicPartition(REGISTRY.name, number) for number in numbers]
        consumer.assign(tps)
        for number in numbers:
            self._timelines[number] = await timeline(consumer._client, REGISTRY.name, number)
        await consumer.seek_to_beginning(*tps)
        self._consumer = consumer
        self._task = asyncio.create_task(self._follow(consumer, tps))

    async def stop(self) -> None:
        if self._task is not None and self._consumer is not None:
            self._task.cancel()
            with suppress(asyncio.CancelledError):
                await self._task
            await self._consumer.stop()

    def knows(self, school: str) -> bool:
        """Whether it was ever registered, as far as we have read."""
        return school in self._schools

    async def catch_up(self, partition: int) -> None:
        """Wait until everything that is there now is read.

        Raises aiokafka's KafkaError.
        """
        assert self._consumer is not None
        tp = TopicPartition(REGISTRY.name, partition)
        now = await timeline(self._consumer._client, *tp)
        before = self._timelines.get(partition, now)
        self._timelines[partition] = now
        if now.is_other_topic_than(before.topic_id):
            log.warning("the registry was made anew: reading it again", partition=partition)
            self._position[partition] = 0
            await self._consumer.seek_to_beginning(tp)
        end = (await self._consumer.end_offsets([tp]))[tp]
        async with self._moved:
            await self._moved.wait_for(lambda: self._position[partition] >= end)

    async def _follow(self, consumer: AIOKafkaConsumer, tps: list[TopicPartition]) -> None:
        while True:
            try:
                polled = await consumer.getmany(timeout_ms=100, max_records=2_000)
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
                for tp in tps:
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
