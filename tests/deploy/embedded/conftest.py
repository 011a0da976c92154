"""An engine for all tests of this folder that end no session of others, and what speaks to it."""

import uuid
from collections.abc import AsyncIterator, Iterator

import pytest
import pytest_asyncio
from clickhouse_driver import Client

from tests.deploy.embedded.clients import DATABASE, connect
from tests.deploy.embedded.parts import Running, running


@pytest_asyncio.fixture(scope="package", loop_scope="package")
async def engine(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Running]:
    async with running(tmp_path_factory.mktemp("clickhouse"), {"clickhouse"}) as engine:
        client = connect(engine, database="default")
        client.execute(f"CREATE DATABASE {DATABASE}")
        client.disconnect()
        yield engine


@pytest.fixture
def client(engine: Running) -> Iterator[Client]:
    client = connect(engine)
    yield client
    client.disconnect()


@pytest.fixture
def table(client: Client) -> str:
    """A raw table of a number and bytes, of this test alone."""
    name = f"t_{uuid.uuid4().hex}"
    client.execute(f"CREATE TABLE {name} (n UInt64, s String) ENGINE = MergeTree ORDER BY n")
    return name
