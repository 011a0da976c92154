"""Where the picture comes from. Kafka for schools, statuses and alerts; ClickHouse for numbers.

Panics and statuses never wait for ClickHouse.
"""

import asyncio
import time
from collections.abc import Callable
from contextlib import suppress
from typing import Any, Final

import structlog
from aiokafka import ConsumerRecord, TopicPartition
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
from streams.runtime.kafka.reader import Followed, Reader

log = structlog.get_logger(__name__)

ASK_EVERY_S: Final = 2.0
FORGET_EVERY_S: Final = 60.0
LOOK_BACK_MS: Final = 2 * DAY_MS
"""An alert that nobody closed since is not on the screen of a console that starts now."""


def now_ms() -> int:
    return time.time_ns() // 1_000_000


class Feeds:
    """Follows the sources; ``changed`` is called after every change of the picture, ``stepped`` with
    each step that is read.
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
        self._clickhouse = clickhouse
        self._changed = changed
        self._stepped = stepped
        self._reader = Reader(
            kafka,
            [
                Followed(REGISTRY.name, newest=True),
                Followed(STATUS.name, newest=True),
                Followed(STEPS.name, LOOK_BACK_MS),
                Followed(ALERTS.name, LOOK_BACK_MS),
            ],
            self._take,
            client_id="saqshy-console",
        )
        self._clickhouse_ms = 0

    @property
    def restored(self) -> bool:
        """Whether all is in the picture that the topics held at the start."""
        return self._reader.caught_up

    @property
    def fresh_ms(self) -> dict[str, int]:
        """When each source last proved to be there; 0 when it never did."""
        age_s = self._reader.age_s
        kafka_ms = 0 if age_s is None else now_ms() - int(age_s * 1000)
        return {"kafka": kafka_ms, "clickhouse": self._clickhouse_ms}

    async def follow_kafka(self) -> None:
        """Until cancelled: into the picture what the topics hold, each record once."""
        await self._reader.run()

    async def _take(self, tp: TopicPartition, records: list[ConsumerRecord]) -> None:
        self._apply(tp.topic, records)
        self._changed()

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
                self._clickhouse_ms = at_ms
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


def _school(value: bytes | None) -> SchoolRegistered | None:
    try:
        event = EVENT.validate_json(value or b"")
    except ValidationError:
        return None
    return event if isinstance(event, SchoolRegistered) else None
