from collections.abc import Iterator

import pytest
from clickhouse_driver import Client

from schemas.migrations import migrate
from schemas.settings import ClickHouseSettings, KafkaSettings
from tests.streams.transport.broker import started


@pytest.fixture(scope="session")
def clickhouse_server(clickhouse_server: ClickHouseSettings) -> ClickHouseSettings:
    """With all tables. Tests keep apart by partition and school."""
    migrate(clickhouse_server)
    return clickhouse_server


@pytest.fixture
def client(clickhouse_server: ClickHouseSettings) -> Iterator[Client]:
    client = Client(**clickhouse_server.driver_kwargs())
    yield client
    client.disconnect()


@pytest.fixture(scope="session")
def kafka_broker(tmp_path_factory: pytest.TempPathFactory) -> Iterator[KafkaSettings]:
    for broker in started(tmp_path_factory):
        yield broker.settings.model_copy(update={"partitions": 2})
