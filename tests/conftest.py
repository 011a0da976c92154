import os
from collections.abc import Iterator

import pytest
from hypothesis import HealthCheck, settings

from schemas.settings import ClickHouseSettings
from tests.schemas.engine import engine
from tests.streams.transport.broker import Broker, started

# How long examples take says how busy the machine is; pytest-timeout bounds what hangs.
settings.register_profile("saqshy", deadline=None, suppress_health_check=[HealthCheck.too_slow])
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


@pytest.fixture(scope="session")
def clickhouse_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ClickHouseSettings]:
    """One engine for all tests of a process. Tests keep apart by database."""
    with engine(tmp_path_factory.mktemp("engine")) as settings:
        yield settings


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Files with long tests first, so that no process is left with one of them at the end."""
    long = {
        item.path
        for item in items
        if any(item.get_closest_marker(name) for name in ("broker", "browser"))
    }
    items.sort(key=lambda item: item.path not in long)
