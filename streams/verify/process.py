"""`python -m streams verify`: looks for what speaks for an open panic, until SIGTERM.

It reads alerts, steps and reports from Kafka in no group, asks ClickHouse for the flow where it can, and
says steps. Nobody waits for it. After any trouble with Kafka it reads anew, and since the ids of its
steps follow from what they are about, it says none twice.
"""

import asyncio
import time
from collections.abc import Callable, Iterable
from typing import Any, Final

import structlog
from aiokafka import AIOKafkaProducer
from aiokafka.errors import KafkaError
from pydantic import ValidationError

from schemas.alerts import NOTICE
from schemas.events import EVENT
from schemas.settings import Settings
from schemas.steps import StepTaken
from schemas.topics import ALERTS, INCIDENTS, STEPS
from streams.gateway.lately import read_since
from streams.runtime.kafka.clock import KafkaClock
from streams.runtime.metrics import Figure, figures
from streams.runtime.service import Service
from streams.verify.decide import Scene
from streams.verify.flow import TROUBLE, read_flow

log = structlog.get_logger(__name__)

BACK_MS: Final = 24 * 3_600_000
AGAIN_S: Final = 1.0
LOOK_EVERY_S: Final = 15.0
FORGET_EVERY_S: Final = 600.0
FETCH_WAIT_MS: Final = 200
AT_ONCE: Final = 500
SCHOOLS_AT_ONCE: Final = 200
"""The newest panics of so many schools have their turnstiles looked at."""
TOPICS: Final = (ALERTS.name, STEPS.name, INCIDENTS.name)


class Verify:
    """``look_every_s``: between two looks at the turnstiles."""

    def __init__(self, settings: Settings, look_every_s: float = LOOK_EVERY_S) -> None:
        self._settings = settings
        self._look_every_s = look_every_s
        self._clock = KafkaClock(time.time(), time.monotonic())
        self._scene = Scene()
        self._behind = set(TOPICS)
        self._flow_known = False
        self._said = self._unreadable = 0

    async def run(self) -> None:
        """Until cancelled. Kafka may come and go."""
        while True:
            try:
                await self._listen()
            except* (KafkaError, OSError) as trouble:
                log.warning("Kafka can't be used, reading anew", error=repr(trouble.exceptions))
            await asyncio.sleep(AGAIN_S)

    async def _listen(self) -> None:
        self._scene, self._behind = Scene(), set(TOPICS)
        producer = AIOKafkaProducer(
            **self._settings.kafka.aiokafka_kwargs(),
            client_id="saqshy-verify",
            enable_idempotence=True,
            acks="all",
        )
        try:
            await producer.start()
            async with asyncio.TaskGroup() as group:
                for topic in TOPICS:
                    group.create_task(self._follow(topic, producer))
                group.create_task(self._look(producer))
                group.create_task(self._forget())
        finally:
            self._behind = set(TOPICS)
            await producer.stop()

    async def _follow(self, topic: str, producer: AIOKafkaProducer) -> None:
        hear = self._hear_report if topic == INCIDENTS.name else self._hear_notice
        consumer, ends = await read_since(self._settings.kafka, topic, BACK_MS, FETCH_WAIT_MS)
        try:
            while True:
                polled = await consumer.getmany(timeout_ms=500, max_records=AT_ONCE)
                for records in polled.values():
                    self._take(records, hear)
                    await asyncio.sleep(0)
                if topic in self._behind:
                    at = {tp: await consumer.position(tp) for tp in ends}
                    if all(at[tp] >= end for tp, end in ends.items()):
                        self._behind.discard(topic)
                # What was said before is known only when all three were read.
                if not self._behind:
                    await self._weigh_reports(producer)
        finally:
            await consumer.stop()

    def _take(self, records: Iterable[Any], hear: Callable[[Any], None]) -> None:
        for record in records:
            try:
                hear(record)
            except ValidationError:  # the lanes keep it as a dead letter
                self._unreadable += 1
            if not self._behind:
                self._clock.observe(record.timestamp, time.monotonic())

    def _hear_notice(self, record: Any) -> None:
        notice = NOTICE.validate_json(record.value or b"")
        self._scene.heard(notice, record.timestamp, record.offset)

    def _hear_report(self, record: Any) -> None:
        event = EVENT.validate_json(record.value or b"")
        if record.key == event.school.encode():
            self._scene.reported(event, record.timestamp)

    async def _weigh_reports(self, producer: AIOKafkaProducer) -> None:
        for school in self._scene.take_touched():
            await self._say(producer, self._scene.weigh_reports(school, self._now_ms()))

    async def _look(self, producer: AIOKafkaProducer) -> None:
        while True:
            await asyncio.sleep(self._look_every_s)
            schools = [] if self._behind else self._scene.watched(self._now_ms())
            if not schools:
                continue
            asked_ms = self._now_ms()
            try:
                flows = await asyncio.to_thread(
                    read_flow, self._settings.clickhouse, schools[:SCHOOLS_AT_ONCE], asked_ms
                )
            except TROUBLE as trouble:
                self._flow_known = False
                log.warning("the flow is not known", error=str(trouble)[:200])
                continue
            self._flow_known = True
            for school, flow in flows.items():
                await self._say(producer, self._scene.weigh_flow(school, flow, asked_ms))

    async def _say(self, producer: AIOKafkaProducer, steps: list[StepTaken]) -> None:
        # Known before it is sent, so that nothing weighed meanwhile says it, too.
        for step in steps:
            self._scene.heard(step, step.time_ms, -1)
        for step in steps:
            value, key = step.model_dump_json().encode(), step.school.encode()
            await producer.send_and_wait(STEPS.name, value, key=key)
            self._said += 1
            log.info("evidence", alert=step.alert, school=step.school, note=step.note)

    async def _forget(self) -> None:
        while True:
            await asyncio.sleep(FORGET_EVERY_S)
            self._scene.forget(self._now_ms() - BACK_MS)

    def _now_ms(self) -> int:
        return self._clock.now_ms(time.monotonic())

    # How it is

    def ready(self) -> bool:
        """When all was read."""
        return not self._behind

    def says(self) -> dict[str, bool]:
        """``flow`` is whether ClickHouse answered the last question."""
        return {"flow": self._flow_known}

    def figures(self) -> list[Figure]:
        said = {
            "said_total": self._said,
            "unreadable_total": self._unreadable,
            "flow_known": int(self._flow_known),
        }
        return figures(said, prefix="verify_")


def service(settings: Settings) -> Service:
    it = Verify(settings)
    return Service(name="verify", run=it.run, ready=it.ready, says=it.says, figures=it.figures)
