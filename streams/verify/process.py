"""`python -m streams verify`: looks for what speaks for an open panic, until SIGTERM.

It reads alerts, steps and reports from Kafka in no group, asks ClickHouse for the flow where it can, and
says steps. Nobody waits for it. A new process reads a day back, and since the ids of its steps follow from
what they are about, it says none twice.
"""

import asyncio
import time
from typing import Any, Final

import structlog
from aiokafka import ConsumerRecord, TopicPartition
from pydantic import ValidationError

from schemas.alerts import NOTICE
from schemas.events import EVENT
from schemas.settings import Settings
from schemas.steps import StepTaken
from schemas.topics import ALERTS, INCIDENTS, STEPS
from streams.runtime.kafka.clock import KafkaClock
from streams.runtime.kafka.reader import ANSWERS_WITHIN_S, Followed, Reader
from streams.runtime.kafka.writer import Message, Writer
from streams.runtime.metrics import Figure, figures
from streams.runtime.service import Service, Source
from streams.verify.decide import Scene
from streams.verify.flow import TROUBLE, read_flow

log = structlog.get_logger(__name__)

BACK_MS: Final = 24 * 3_600_000
LOOK_EVERY_S: Final = 15.0
FORGET_EVERY_S: Final = 600.0
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
        self._reader = Reader(
            settings.kafka,
            [Followed(topic, BACK_MS) for topic in TOPICS],
            self._take,
            client_id="saqshy-verify",
            at_most=AT_ONCE,
            polled=self._weigh,
        )
        self._writer = Writer(settings.kafka, client_id="saqshy-verify")
        self._steps: asyncio.Queue[StepTaken] = asyncio.Queue()
        self._flow_known = False
        self._unreadable = 0

    async def run(self) -> None:
        """Until cancelled. Kafka may come and go."""
        try:
            async with asyncio.TaskGroup() as group:
                group.create_task(self._reader.run())
                group.create_task(self._say())
                group.create_task(self._look())
                group.create_task(self._forget())
        finally:
            await self._writer.stop()

    async def _take(self, tp: TopicPartition, records: list[ConsumerRecord]) -> None:
        hear = self._hear_report if tp.topic == INCIDENTS.name else self._hear_notice
        for record in records:
            try:
                hear(record)
            except ValidationError:  # the lanes keep it as a dead letter
                self._unreadable += 1
        if self._reader.caught_up:
            self._clock.observe(records[-1].timestamp, time.monotonic())

    async def _weigh(self) -> None:
        """What was said before is known only when all three topics were read."""
        for school in self._scene.take_touched() if self._reader.caught_up else ():
            self._put(self._scene.weigh_reports(school, self._now_ms()))

    def _hear_notice(self, record: Any) -> None:
        notice = NOTICE.validate_json(record.value or b"")
        self._scene.heard(notice, record.timestamp, record.offset)

    def _hear_report(self, record: Any) -> None:
        event = EVENT.validate_json(record.value or b"")
        if record.key == event.school.encode():
            self._scene.reported(event, record.timestamp)

    async def _look(self) -> None:
        while True:
            await asyncio.sleep(self._look_every_s)
            schools = self._scene.watched(self._now_ms()) if self._reader.caught_up else []
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
                self._put(self._scene.weigh_flow(school, flow, asked_ms))

    def _put(self, steps: list[StepTaken]) -> None:
        # Known before it is sent, so that nothing weighed meanwhile says it, too.
        for step in steps:
            self._scene.heard(step, step.time_ms, -1)
            self._steps.put_nowait(step)

    async def _say(self) -> None:
        while True:
            step = await self._steps.get()
            value, key = step.model_dump_json().encode(), step.school.encode()
            await self._writer.insist(Message(STEPS.name, key, value))
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
        return self._reader.caught_up

    def sources(self) -> dict[str, Source]:
        return dict.fromkeys(TOPICS, Source(self._reader.age_s, ANSWERS_WITHIN_S, needed=True))

    def says(self) -> dict[str, bool]:
        """``flow`` is whether ClickHouse answered the last question."""
        return {"flow": self._flow_known}

    def figures(self) -> list[Figure]:
        said = {
            "said_total": self._writer.acknowledged,
            "unreadable_total": self._unreadable,
            "flow_known": int(self._flow_known),
        }
        return figures(said, prefix="verify_")


def service(settings: Settings) -> Service:
    it = Verify(settings)
    return Service(
        name="verify",
        run=it.run,
        ready=it.ready,
        sources=it.sources,
        says=it.says,
        figures=it.figures,
    )
