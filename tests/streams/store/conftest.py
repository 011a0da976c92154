from collections.abc import Iterator

import pytest
from clickhouse_driver import Client

from schemas.migrations import migrate
from schemas.settings import ClickHouseSettings, KafkaSettings
from tests.schemas.engine import engine
from tests.streams.transport.broker import Broker


@pytest.fixture(scope="package")
def clickhouse_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ClickHouseSettings]:
    """An engine with all tables. Tests keep apart by partition and school."""
    with engine(tmp_path_factory.mktemp("engine")) as settings:
        migrate(settings)
        yield settings


@pytest.fixture
def client(clickhouse_server: ClickHouseSettings) -> Iterator[Client]:
    client = Client(**clickhouse_server.driver_kwargs())
    yield client
    client.disconnect()


@pytest.fixture(scope="package")
def kafka_broker(tmp_path_factory: pytest.TempPathFactory) -> Iterator[KafkaSettings]:
    broker = Broker(tmp_path_factory.mktemp("broker"))
    broker.start()
    yield broker.settings.model_copy(update={"partitions": 2})
    broker.kill()
