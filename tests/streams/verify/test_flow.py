"""What the turnstiles say, asked of the real engine."""

import time
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from typing import Any

import pytest
from clickhouse_driver import Client

from deploy.embedded.ports import free_port
from schemas.migrations import migrate
from schemas.settings import ClickHouseSettings
from streams.verify.decide import Flow
from streams.verify.flow import TROUBLE, read_flow
from tests.schemas.engine import engine

WEEK_S = 7 * 86_400
# In the middle of a minute; earlier weeks are full of buckets around it.
NOW_S = int(time.time()) // 300 * 300 + 150
MINUTE_S = NOW_S // 60 * 60
CALM_FROM_S = MINUTE_S - 360

pytestmark = pytest.mark.broker


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ClickHouseSettings]:
    with engine(tmp_path_factory.mktemp("engine")) as settings:
        migrate(settings)
        yield settings


@pytest.fixture
def client(server: ClickHouseSettings) -> Iterator[Client]:
    client = Client(**server.driver_kwargs())
    for table in ("flow_1m", "flow_5m", "heartbeats", "passes"):
        client.execute(f"TRUNCATE TABLE {table}")
    yield client
    client.disconnect()


def at(seconds: float) -> datetime:
    return datetime.fromtimestamp(seconds, UTC).replace(tzinfo=None)


def rolled(client: Client, table: str, rows: Sequence[tuple[str, int, int, int]]) -> None:
    """Rows of (school, bucket, came in, went out)."""
    client.execute(
        f"INSERT INTO {table} (school, bucket, came_in, went_out) VALUES",
        [(school, at(bucket), came_in, went_out) for school, bucket, came_in, went_out in rows],
    )


def usual(client: Client, school: str, came_in: int = 60, went_out: int = 4) -> None:
    """Two weeks like this, and one without lessons."""
    middle_s = NOW_S // 300 * 300
    rows = [
        (school, middle_s - week * WEEK_S + n * 300, came_in + n, went_out)
        for week in (1, 3)
        for n in range(-6, 7)
    ]
    rolled(client, "flow_5m", rows)


def beat(client: Client, school: str, device: str, at_s: float, buffered: int = 0) -> None:
    client.execute(
        "INSERT INTO heartbeats (kafka_time, time, school, device, kind, buffered) VALUES",
        [(at(at_s), at(at_s), school, device, "turnstile", buffered)],
    )


def stored(client: Client, school: str, at_s: float, partition: int = 3) -> None:
    client.execute(
        "INSERT INTO passes (kafka_partition, kafka_offset, kafka_time, time, school, direction, "
        "outcome, card) VALUES",
        [(partition, 1, at(at_s), at(at_s), school, "in", "blocked_card", "0" * 16)],
    )


def asked(server: ClickHouseSettings, *schools: str) -> dict[str, Flow]:
    return read_flow(server, schools, NOW_S * 1000)


def test_exits_of_five_minutes_are_set_beside_those_of_earlier_weeks(
    client: Client, server: ClickHouseSettings
) -> None:
    usual(client, "KZ-75-00001")
    rows = [("KZ-75-00001", MINUTE_S - n * 60, 1, 10) for n in range(-2, 9)]
    rolled(client, "flow_1m", [*rows, ("KZ-75-00002", MINUTE_S, 1, 70)])
    flow = asked(server, "KZ-75-00001", "KZ-75-00002")
    # Of the school without earlier weeks nothing is usual. Minutes to come are a clock's mistake.
    assert flow == {"KZ-75-00001": Flow(50, 55, CALM_FROM_S * 1000, ((4, 61), (4, 61)), sure=False)}


def test_a_week_with_gaps_has_no_fewest_passes(client: Client, server: ClickHouseSettings) -> None:
    middle_s = NOW_S // 300 * 300
    rolled(client, "flow_5m", [("KZ-75-00001", middle_s - WEEK_S, 60, 4)])
    assert asked(server, "KZ-75-00001")["KZ-75-00001"].weeks == ((4, 0),)


def test_few_passes_are_sure_when_all_turnstiles_spoke_and_all_is_stored(
    client: Client, server: ClickHouseSettings
) -> None:
    school = "KZ-75-00001"
    usual(client, school)

    def sure() -> bool:
        return asked(server, school)[school].sure

    def passes() -> Any:
        return asked(server, school)[school].passes

    beat(client, school, "turnstile-1", MINUTE_S)
    stored(client, school, MINUTE_S - 3600)
    assert (passes(), sure()) == (0, False)  # nothing proves that the partition is stored so far
    stored(client, "KZ-75-00009", MINUTE_S, partition=4)
    assert not sure()
    stored(client, "KZ-75-00008", MINUTE_S)
    assert sure()
    beat(client, school, "turnstile-2", MINUTE_S - 200)
    assert not sure()
    beat(client, school, "turnstile-2", MINUTE_S, buffered=7)
    assert not sure()


def test_it_raises_what_its_caller_expects_when_clickhouse_is_away() -> None:
    nobody = ClickHouseSettings(port=free_port())
    with pytest.raises(TROUBLE):
        read_flow(nobody, ["KZ-75-00001"], NOW_S * 1000)
