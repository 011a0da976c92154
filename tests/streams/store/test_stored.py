"""What stands in ClickHouse is what came over Kafka."""

import pytest
from clickhouse_driver import Client

from schemas.settings import ClickHouseSettings
from tests.streams.store.test_exactly_once import MIDNIGHT_MS
from tests.streams.store.world import World, work

pytestmark = pytest.mark.broker


async def test_what_clickhouse_holds_is_what_came(
    clickhouse_server: ClickHouseSettings, client: Client
) -> None:
    world = World(clickhouse_server, now_ms=MIDNIGHT_MS + 60_000)
    world.passed(7, MIDNIGHT_MS + 1, time_ms=MIDNIGHT_MS - 5, outcome="passback", direction="out")
    world.passed(8, MIDNIGHT_MS + 2, newer_field=True)  # the model's, not the fast decoder's
    await work(world)
    rows = client.execute(
        "SELECT kafka_offset, toUnixTimestamp64Milli(kafka_time), toString(id), school, device, "
        "toUnixTimestamp64Milli(time), boot, seq, direction, outcome, card FROM passes "
        f"WHERE kafka_partition = {world.partition} ORDER BY kafka_offset"
    )
    id_ = f"0190b6a0-0000-7000-8000-{world.partition:04d}0000000"
    at, common = MIDNIGHT_MS, (world.school, "turnstile-1")
    assert rows == [
        (0, at + 1, f"{id_}7", *common, at - 5, 1, 7, "out", "passback", "00000000deadbeef"),
        (1, at + 2, f"{id_}8", *common, at + 2, 1, 8, "in", "granted", "00000000deadbeef"),
    ]
