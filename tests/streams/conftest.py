from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.streams.transport.broker import Broker
from tests.streams.workers import Lane, settings_for


@pytest.fixture
def lane_broker(broker: Broker) -> Broker:
    return broker


@pytest.fixture
async def lane(lane_broker: Broker, tmp_path: Path) -> AsyncIterator[Lane]:
    async with Lane(settings_for(lane_broker, tmp_path)) as lane:
        yield lane
