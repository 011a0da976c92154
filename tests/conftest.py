import os
from collections.abc import Iterator

import pytest
from hypothesis import settings

from tests.streams.transport.broker import Broker, started

# How long one example takes says how busy the machine is; pytest-timeout bounds what hangs.
settings.register_profile("saqshy", deadline=None)
settings.load_profile("saqshy")
# No JVM of a test, the embedded broker's too, lives long enough to earn what the second compiler costs.
os.environ.setdefault("JDK_JAVA_OPTIONS", "-XX:TieredStopAtLevel=1")


@pytest.fixture(scope="session")
def shared_broker(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Broker]:
    """One for all tests of a process. What others left in its topics a test passes over."""
    yield from started(tmp_path_factory)


@pytest.fixture
def broker(shared_broker: Broker) -> Iterator[Broker]:
    """The shared one; a test may kill or freeze it, and the next one finds it up."""
    yield shared_broker
    shared_broker.back()
