"""A broker of these tests' own, and settings that name it."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from deploy.topics import ensure_topics
from schemas.settings import ClickHouseSettings, KafkaSettings, Settings
from tests.streams.transport.broker import started

PARTITIONS = 2
NOBODY_LISTENS = 9  # the discard port


@pytest.fixture(scope="session")
def broker_settings(tmp_path_factory: pytest.TempPathFactory) -> Iterator[KafkaSettings]:
    for broker in started(tmp_path_factory):
        yield broker.settings.model_copy(update={"partitions": PARTITIONS})


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
