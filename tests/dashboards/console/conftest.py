"""Kafka, ClickHouse and the console with a small country, in a folder of their own."""

import asyncio
from collections.abc import AsyncIterator, Iterable
from dataclasses import dataclass

import pytest
import pytest_asyncio
from kafka import KafkaProducer

from deploy.embedded.ports import free_port
from deploy.embedded.stack import stack_parts
from deploy.supervisor import Supervisor
from deploy.topics import ensure_topics
from deploy.up import console_part, console_url
from loadtest.country import School, country
from loadtest.encode import Encoder, registry
from loadtest.fleet import Fleet
from schemas.alerts import AlertChanged, StatusChanged
from schemas.migrations import migrate
from schemas.settings import ConsoleSettings, Settings
from schemas.topics import ALERTS, STATUS
from tests.dashboards.console.records import NOW_MS

SCHOOLS = 300


@dataclass
class Live:
    """The running console, its schools, and a producer of what the workers would say."""

    url: str
    schools: list[School]
    supervisor: Supervisor
    producer: KafkaProducer

    def say(self, notices: Iterable[AlertChanged | StatusChanged]) -> None:
        """Produce these; returns when the broker has them all."""
        for notice in notices:
            topic = ALERTS if isinstance(notice, AlertChanged) else STATUS
            value = notice.model_dump_json().encode()
            self.producer.send(topic.name, key=notice.school.encode(), value=value)
        self.producer.flush(timeout=10)


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def live(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Live]:
    patch = pytest.MonkeyPatch()
    var = tmp_path_factory.mktemp("console")
    patch.setenv("SAQSHY_VAR", str(var))
    supervisor = Supervisor(var / "log", lambda _: None)
    schools = country(1, SCHOOLS)
    try:
        await supervisor.start(*stack_parts(Settings()))
        settings = Settings(console=ConsoleSettings(port=free_port()))
        await asyncio.gather(
            asyncio.to_thread(ensure_topics, settings),
            asyncio.to_thread(migrate, settings.clickhouse),
        )
        producer = await asyncio.to_thread(
            lambda: KafkaProducer(**settings.kafka.kafka_python_kwargs())
        )
        for topic, key, value, _ in registry(Encoder(Fleet(schools, boot=1), 1), NOW_MS):
            producer.send(topic, key=key, value=value)
        await asyncio.to_thread(producer.flush, 10)
        await supervisor.start(console_part(settings))
        yield Live(console_url(settings), schools, supervisor, producer)
        producer.close()
    finally:
        await supervisor.stop()
        patch.undo()
