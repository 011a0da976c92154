"""The alerts and steps of the last two days, then all that follow: one reader, no rebalances."""

import time
from collections.abc import AsyncIterator, Mapping
from typing import Any, Final, NamedTuple

import structlog
from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.errors import KafkaError
from pydantic import ValidationError

from schemas.alerts import NOTICE, Notice
from schemas.settings import KafkaSettings
from schemas.topics import ALERTS, STEPS

log = structlog.get_logger(__name__)

GROUP: Final = "saqshy-notify"
REBUILD_MS: Final = 2 * 86_400_000
POLL_MS: Final = 100
METADATA_MAX_AGE_MS: Final = 2_000
"""How soon an added partition is found."""
AT_MOST: Final = 2_000


class Heard(NamedTuple):
    """``partition``: None for what was told directly, past Kafka."""

    notice: Notice
    partition: int | None
    kafka_ms: int
    offset: int


class Read(NamedTuple):
    """``caught_up``: all that was there at the start has been read, with this."""

    heard: list[Heard]
    caught_up: bool


class Feed:
    """One run through the topics; after an error make another. ``stop`` it in any case."""

    def __init__(self, settings: KafkaSettings) -> None:
        self._consumer = AIOKafkaConsumer(
            **settings.aiokafka_kwargs(),
            group_id=GROUP,
            enable_auto_commit=False,
            metadata_max_age_ms=METADATA_MAX_AGE_MS,
        )
        self._tps: list[TopicPartition] = []
        self._ends: Mapping[TopicPartition, int] = {}
        self.unreadable = 0

    async def start(self) -> None:
        """Go to what the group has not handled, and to at least two days ago. Raises KafkaError."""
        consumer = self._consumer
        await consumer.start()
        metadata = await consumer._client.fetch_all_metadata()
        self._tps = [
            TopicPartition(topic.name, number)
            for topic in (ALERTS, STEPS)
            for number in sorted(metadata.partitions_for_topic(topic.name) or ())
        ]
        consumer.assign(self._tps)
        since_ms = int(time.time() * 1000) - REBUILD_MS
        found = await consumer.offsets_for_times(dict.fromkeys(self._tps, since_ms))
        self._ends = await consumer.end_offsets(self._tps)
        for tp in self._tps:
            at = self._ends[tp] if found[tp] is None else found[tp].offset
            committed = await consumer.committed(tp)
            consumer.seek(tp, at if committed is None else min(at, committed))

    async def read(self) -> AsyncIterator[Read]:
        """What comes, some at a time; also nothing, so that the reader knows where it stands.

        Raises KafkaError, also when partitions were added."""
        caught_up = False
        while True:
            self._look_for_partitions()
            polled = await self._consumer.getmany(timeout_ms=POLL_MS, max_records=AT_MOST)
            if not caught_up:
                caught_up = await self._at_the_ends()
            records = [record for records in polled.values() for record in records]
            yield Read([h for record in records if (h := self._heard(record))], caught_up)

    def _look_for_partitions(self) -> None:
        """Raises KafkaError when there are others than those that are read: make another feed then."""
        there = [self._consumer.partitions_for_topic(topic.name) or () for topic in (ALERTS, STEPS)]
        if sum(map(len, there)) > len(self._tps):
            raise KafkaError("there are more partitions now")

    async def commit(self) -> None:
        """Everything read is handled. Raises KafkaError."""
        await self._consumer.commit({tp: await self._consumer.position(tp) for tp in self._tps})

    async def lag(self) -> dict[tuple[str, int], int]:
        """Records not yet read, as far as the broker has said."""
        lag = {}
        for tp in self._tps:
            end = self._consumer.highwater(tp)
            if end is not None:
                lag[tp.topic, tp.partition] = max(0, end - await self._consumer.position(tp))
        return lag

    async def stop(self) -> None:
        await self._consumer.stop()

    async def _at_the_ends(self) -> bool:
        for tp in self._tps:
            if await self._consumer.position(tp) < self._ends[tp]:
                return False
        return True

    def _heard(self, record: Any) -> Heard | None:
        try:
            notice = NOTICE.validate_json(record.value or b"")
        except ValidationError:
            self.unreadable += 1
            log.warning(
                "a record can't be read and is passed over",
                topic=record.topic,
                partition=record.partition,
                offset=record.offset,
            )
            return None
        return Heard(notice, record.partition, record.timestamp, record.offset)
