from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.streams.transport.broker import Broker
from tests.streams.transport.cluster import Cluster


@pytest.fixture
async def cluster(broker: Broker, tmp_path: Path) -> AsyncIterator[Cluster]:
    async with Cluster(broker.settings, tmp_path) as cluster:
        yield cluster
