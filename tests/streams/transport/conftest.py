from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from tests.streams.transport.broker import Broker
from tests.streams.transport.cluster import Cluster


@pytest.fixture(scope="package")
def broker(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Broker]:
    broker = Broker(tmp_path_factory.mktemp("broker"))
    broker.start()
    yield broker
    broker.kill()


@pytest.fixture
async def cluster(broker: Broker, tmp_path: Path) -> AsyncIterator[Cluster]:
    async with Cluster(broker.settings, tmp_path) as cluster:
        yield cluster
