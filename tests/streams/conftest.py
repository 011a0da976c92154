from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from tests.streams.transport.broker import Broker, started
from tests.streams.workers import Lane, settings_for


@pytest.fixture(scope="package")
def lane_broker(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Broker]:
    yield from started(tmp_path_factory)


@pytest.fixture
async def lane(lane_broker: Broker, tmp_path: Path) -> AsyncIterator[Lane]:
    async with Lane(settings_for(lane_broker, tmp_path)) as lane:
        yield lane
