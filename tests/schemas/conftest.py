from collections.abc import Iterator

import pytest

from schemas.settings import ClickHouseSettings
from tests.schemas.engine import engine


@pytest.fixture(scope="package")
def clickhouse_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ClickHouseSettings]:
    with engine(tmp_path_factory.mktemp("engine")) as settings:
        yield settings
