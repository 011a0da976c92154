"""Kafka, ClickHouse, both panic workers and the console with a small country, in a folder of their own."""

import asyncio
import json
from collections.abc import AsyncIterator, Iterable
from dataclasses import dataclass

import pytest
import pytest_asyncio
from kafka import KafkaProducer
from playwright.async_api import Browser, async_playwright, expect

from dashboards.console.access import WHOLE_COUNTRY
from dashboards.console.users import Users, users_path
from deploy.addresses import console_url
from deploy.embedded.ports import free_port
from deploy.embedded.stack import stack_parts
from deploy.supervisor import Supervisor
from deploy.topics import ensure_topics
from deploy.wiring import console_part, worker_parts
from loadtest.simulator.country import School, country
from loadtest.simulator.encode import Encoder, registry
from loadtest.simulator.fleet import Fleet
from schemas.alerts import AlertChanged, StatusChanged
from schemas.migrations import migrate
from schemas.settings import ConsoleSettings, Settings
from schemas.topics import ALERTS, PANICS, STATUS
from tests.browser import ARGUMENTS, chromium
from tests.dashboards.console.made_up import PEOPLE, MadeUp, made_up
from tests.dashboards.console.page import troubles
from tests.dashboards.console.records import NOW_MS, pressed

SCHOOLS = 300
expect.set_options(timeout=60_000)  # a machine may be busy
KAFKA_ANSWERS_WITHIN_S = 60


@dataclass
class Live:
    """The running console, its schools, a producer of what the workers would say, who may sign in."""

    url: str
    users: Users
    passwords: dict[str, str]
    schools: list[School]
    supervisor: Supervisor
    producer: KafkaProducer

    def say(self, notices: Iterable[AlertChanged | StatusChanged]) -> None:
        """Produce these; returns when the broker has them all."""
        for notice in notices:
            topic = ALERTS if isinstance(notice, AlertChanged) else STATUS
            value = notice.model_dump_json().encode()
            self.producer.send(topic.name, key=notice.school.encode(), value=value)
        self.producer.flush(timeout=KAFKA_ANSWERS_WITHIN_S)

    def press(self, school: str) -> int:
        """A button is pressed: the record that a gateway would hand to Kafka. Returns its time in ms."""
        value = pressed(school)
        self.producer.send(PANICS.name, key=school.encode(), value=value)
        self.producer.flush(timeout=KAFKA_ANSWERS_WITHIN_S)
        at_ms: int = json.loads(value)["time_ms"]
        return at_ms


@pytest_asyncio.fixture(scope="module", loop_scope="session")
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
        await asyncio.to_thread(producer.flush, KAFKA_ANSWERS_WITHIN_S)
        users = Users(users_path(settings.var))
        passwords = {
            login: users.put(login, login.capitalize(), role, [WHOLE_COUNTRY])
            for login, role in PEOPLE.items()
        }
        panic = [part for part in worker_parts(settings) if part.name.startswith("panic-")]
        await supervisor.start(console_part(settings), *panic)
        yield Live(console_url(settings), users, passwords, schools, supervisor, producer)
        producer.close()
    finally:
        await supervisor.stop()
        patch.undo()


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def made(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[MadeUp]:
    """The console in this process, with a picture that the tests make up."""
    async with made_up(tmp_path_factory.mktemp("made-up")) as live:
        yield live


@pytest_asyncio.fixture(loop_scope="session")
async def troubled(made: MadeUp) -> AsyncIterator[dict[str, str]]:
    made.quiet()
    yield troubles(made)
    made.quiet()


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def browser() -> AsyncIterator[Browser]:
    path = await asyncio.to_thread(chromium)
    async with async_playwright() as playwright:
        started = await playwright.chromium.launch(
            executable_path=path, args=[*ARGUMENTS, "--autoplay-policy=user-gesture-required"]
        )
        yield started
        await started.close()
