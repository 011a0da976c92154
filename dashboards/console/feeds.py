"""Where the picture comes from. Kafka for schools, statuses and alerts; ClickHouse for numbers.

Panics and statuses never wait for ClickHouse.
"""

import asyncio
import time
from collections.abc import Callable
from contextlib import suppress
from typing import Any, Final

import structlog
from aiokafka import AIOKafkaConsumer, ConsumerRecord, TopicPartition
from aiokafka.errors import KafkaError, UnknownTopicOrPartitionError
from clickhouse_driver import Client
from clickhouse_driver.errors import Error as ClickHouseError
from pydantic import ValidationError

from dashboards.console.figures import NOTHING_KNOWN, asking, of_country, of_school
from dashboards.console.picture import Picture
from schemas.alerts import NOTICE, AlertChanged, StatusChanged
from schemas.events import EVENT, SchoolRegistered
from schemas.settings import ClickHouseSettings, KafkaSettings
from schemas.steps import StepTaken
from schemas.topics import ALERTS, DAY_MS, REGISTRY, STATUS, STEPS

log = structlog.get_logger(__name__)

PROVE_EVERY_S: Final = 1.0
ASK_EVERY_S: Final = 2.0
RETRY_S: Final = 1.0
STUCK_AFTER_MS: Final = 15_000
STOP_WITHIN_S: Final = 30.0
FORGET_EVERY_S: Final = 60.0
FOLLOWED: Final = (REGISTRY, STATUS, STEPS, ALERTS)
LOOK_BACK_MS: Final = 2 * DAY_MS
"""An alert that nobody closed since is not on the screen of a console that starts now."""


def now_ms() -> int:
    return time.time_ns() // 1_000_000


class Feeds:
    """Follows the sources; ``changed`` is called after every change of the picture, ``stepped`` with
    each step that is read.

    ``fresh_ms``: when each source last proved to be there.
    """

    def __init__(
        self,
        picture: Picture,
        kafka: KafkaSettings,
        clickhouse: ClickHouseSettings,
        changed: Callable[[], None],
        stepped: Callable[[StepTaken], None],
    ) -> None:
        self._picture = picture
        self._kafka = kafka
        self._clickhouse = clickhouse
        self._changed = changed
        self._stepped = stepped
        self.fresh_ms = {"kafka": 0, "clickhouse": 0}
        self.restored = False
        # Per partition the offset after what is in the picture: where a new reader goes on.
        self._next: dict[TopicPartition, int] = {}
        self._stopping: set[asyncio.Task[None]] = set()

    async def follow_kafka(self) -> None:
        """Until cancelled: read, and go on with a new reader whenever the connection breaks.

        A consumer may hang while its broker goes or comes, even when it is stopped. So a reader that
        proves nothing for STUCK_AFTER_MS is left behind, and none is waited for while it stops.
        """
        while True:
            reading = asyncio.create_task(self._read_kafka())
            began_ms = now_ms()
            try:
                while not reading.done():
                    await asyncio.wait({reading}, timeout=PROVE_EVERY_S)
                    if now_ms() - max(began_ms, self.fresh_ms["kafka"]) > STUCK_AFTER_MS:
                        log.warning("kafka proves nothing; reading begins anew")
                        break
            finally:
                reading.cancel()
            if reading.done() and not reading.cancelled():
                trouble = reading.exception()
                if not isinstance(trouble, KafkaError | OSError):
                    reading.result()
                log.warning("kafka doesn't answer", trouble=str(trouble)[:200])
            await asyncio.sleep(RETRY_S)

    async def _read_kafka(self) -> None:
        # Without "none", a topic that was made anew would be read on from offsets of the old one.
        consumer = AIOKafkaConsumer(
            **self._kafka.aiokafka_kwargs(), auto_offset_reset="none", fetch_max_wait_ms=50
        )
        try:
            await consumer.start()
            metadata = await consumer._client.fetch_all_metadata()
            for topic in FOLLOWED:
                if not metadata.partitions_for_topic(topic.name):
                    raise UnknownTopicOrPartitionError(
                        f"there is no topic {topic.name} yet; `saqshy topics create` makes it"
                    )
            tps = [
                TopicPartition(topic.name, number)
                for topic in FOLLOWED
                for number in sorted(metadata.partitions_for_topic(topic.name))
            ]
            ends = await consumer.end_offsets(tps)
            await self._find_next(consumer, ends)
            # At once, each position set: a lazy seek can hang on a partition without leader.
            consumer.assign(tps)
            for tp in tps:
                consumer.seek(tp, self._next[tp])
            proof = asyncio.create_task(self._prove(consumer, tps))
            try:
                while True:
                    polled = await consumer.getmany(timeout_ms=200, max_records=1_000)
                    for tp in sorted(polled, key=lambda tp: tp.topic != REGISTRY.name):
                        self._take(tp, polled[tp])
                    if polled:
                        self._changed()
                    if not self.restored:
                        at = [await consumer.position(tp) for tp in tps]
                        self.restored = all(p >= ends[tp] for p, tp in zip(at, tps, strict=True))
                    if proof.done():
                        proof.result()
            finally:
                proof.cancel()
        finally:
            stopping = asyncio.create_task(_stopped(consumer))
            self._stopping.add(stopping)
            stopping.add_done_callback(self._stopping.discard)

    async def _find_next(self, consumer: AIOKafkaConsumer, ends: dict[TopicPartition, int]) -> None:
        """Where the last reader was; where there was none, the start, or the last days of alerts and
        steps. Of those a quiet partition is read from the end it had before we asked: its end now
        may be behind an alert that came meanwhile.
        """
        firsts = await consumer.beginning_offsets(list(ends))
        new = [tp for tp, end in ends.items() if self._next.get(tp, end + 1) > end]
        back_ms = now_ms() - LOOK_BACK_MS
        look = {tp: back_ms for tp in new if tp.topic in (ALERTS.name, STEPS.name)}
        found = await consumer.offsets_for_times(look) if look else {}
        for tp in new:
            past = found.get(tp)
            begin = ends[tp] if tp in look else firsts[tp]
            self._next[tp] = past.offset if past else begin
        for tp, first in firsts.items():  # what is older was deleted while we were away
            self._next[tp] = max(self._next[tp], first)

    async def _prove(self, consumer: AIOKafkaConsumer, tps: list[TopicPartition]) -> None:
        """An empty poll proves nothing: ask the broker where the topics end."""
        while True:
            await consumer.end_offsets(tps)
            self.fresh_ms["kafka"] = now_ms()
            await asyncio.sleep(PROVE_EVERY_S)

    def _take(self, tp: TopicPartition, records: list[ConsumerRecord]) -> None:
        """Into the picture, each once: a reader that was left behind may still bring some."""
        self._apply(tp.topic, [r for r in records if r.offset >= self._next[tp]])
        self._next[tp] = max(self._next[tp], records[-1].offset + 1)

    def _apply(self, topic: str, records: list[ConsumerRecord]) -> None:
        if topic == REGISTRY.name:
            self._picture.registered([e for r in records if (e := _school(r.value)) is not None])
            return
        statuses = []
        for record in records:
            with suppress(ValidationError):
                notice = NOTICE.validate_json(record.value or b"")
                if isinstance(notice, StatusChanged):
                    statuses.append(notice)
                elif isinstance(notice, AlertChanged):
                    self._picture.alert(notice, now_ms())
                elif isinstance(notice, StepTaken):
                    self._picture.step(notice, record.timestamp, record.offset)
                    self._stepped(notice)
        self._picture.status(statuses, now_ms())

    async def forget(self) -> None:
        """Until cancelled: let go of what was over long ago, once what happened is known."""
        while True:
            await asyncio.sleep(FORGET_EVERY_S)
            if self.restored:
                self._picture.forget(now_ms())

    async def follow_clickhouse(self) -> None:
        """Until cancelled: ask for the numbers every two seconds, with a new client after any trouble."""
        client: Client | None = None
        while True:
            try:
                client = client or Client(**self._clickhouse.driver_kwargs())
                figures = await asyncio.to_thread(of_country, asking(client))
                at_ms = now_ms()
                self._picture.counted({**figures, "at_ms": at_ms}, at_ms)
                self.fresh_ms["clickhouse"] = at_ms
                self._changed()
            except (
                Exception
            ) as trouble:  # whatever it is: the numbers are stale, and asked for again
                log.warning("clickhouse doesn't answer", trouble=str(trouble)[:200])
                if client is not None:
                    client.disconnect()
                client = None
            await asyncio.sleep(ASK_EVERY_S)

    async def school(self, school: str, *, reports: bool) -> dict[str, Any]:
        """What ClickHouse knows of a school, with texts of reports only for who may read them;
        ``stale`` true when it doesn't answer.
        """
        return await asyncio.to_thread(self._ask_school, school, reports)

    def _ask_school(self, school: str, reports: bool) -> dict[str, Any]:
        client: Client | None = None
        try:
            client = Client(**self._clickhouse.driver_kwargs())
            return {"stale": False, **of_school(asking(client), school, reports=reports)}
        except (ClickHouseError, OSError, EOFError, ValueError) as trouble:
            log.warning("clickhouse doesn't tell of a school", trouble=str(trouble)[:200])
            return {"stale": True, **NOTHING_KNOWN}
        finally:
            if client is not None:
                client.disconnect()


async def _stopped(consumer: AIOKafkaConsumer) -> None:
    with suppress(KafkaError, OSError, TimeoutError):
        async with asyncio.timeout(STOP_WITHIN_S):
            await consumer.stop()


def _school(value: bytes | None) -> SchoolRegistered | None:
    try:
        event = EVENT.validate_json(value or b"")
    except ValidationError:
        return None
    return event if isinstance(event, SchoolRegistered) else None
