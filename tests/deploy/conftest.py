"""A broker and an engine of these tests' own, and settings that name them."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from deploy.topics import ensure_topics
from schemas.settings import ClickHouseSettings, KafkaSettings, Settings
from tests.schemas.engine import engine
from tests.streams.transport.broker import Broker

PARTITIONS = 2
NOBODY_LISTENS = 9  # the discard port


@pytest.fixture(scope="package")
def broker_settings(tmp_path_factory: pytest.TempPathFactory) -> Iterator[KafkaSettings]:
    broker = Broker(tmp_path_factory.mktemp("broker"))
    broker.start()
    yield broker.settings.model_copy(update={"partitions": PARTITIONS})
    broker.kill()


@pytest.fixture(scope="package")
def clickhouse_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ClickHouseSettings]:
    with engine(tmp_path_factory.mktemp("engine")) as settings:
        yield settings


@pytest.fixture
def settings(broker_settings: KafkaSettings, tmp_path: Path) -> Settings:
    """A broker with all topics; ClickHouse is down."""
    settings = Settings(
        var=tmp_path / "var",
        kafka=broker_settings,
        clickhouse=ClickHouseSettings(port=NOBODY_LISTENS),
    )
    ensure_topics(settings)
    return settings


@pytest.fixture
def environment(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> Settings:
    """The same settings for commands, which read them from variables."""
    for name, value in settings.environment().items():
        monkeypatch.setenv(name, value)
    monkeypatch.chdir(settings.var.parent)
    return settings
