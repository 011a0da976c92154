from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from tests.streams.transport.broker import Broker, started
from tests.streams.transport.cluster import Cluster


@pytest.fixture(scope="package")
def broker(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Broker]:
    yield from started(tmp_path_factory)


@pytest.fixture
async def cluster(broker: Broker, tmp_path: Path) -> AsyncIterator[Cluster]:
    async with Cluster(broker.settings, tmp_path) as cluster:
        yield cluster
