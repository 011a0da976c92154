"""What a load cost, from what was seen of the parts and of the engine."""

import pytest
from clickhouse_driver import Client

from deploy.cost import Look, cost, engine_events
from schemas.settings import ClickHouseSettings


def look(at_s: float, flow_s: float, merged: int, inserts: int, police_s: float = 0.0) -> Look:
    engine = {"MergedRows": merged, "InsertQuery": inserts}
    return Look(at_s, {"flow": flow_s, "police": police_s}, engine)


def test_cores_are_of_the_load_alone_and_time_per_event_of_what_was_left_to_do_too() -> None:
    looks = [look(0, 1, 0, 0), look(10, 5, 0, 0), look(20, 10, 500, 20), look(30, 12, 3_000, 60)]
    found = cost(looks, 10.0, 20.0, 1_000)
    assert found["cpu_cores"]["flow"] == 0.5
    assert found["cpu_us_per_event"] == 7_000.0
    assert found["merged_rows_per_row"] == 3.0
    assert found["inserts_per_s"] == 2.0


def test_what_stands_for_the_world_around_is_shown_and_not_counted() -> None:
    found = cost([look(0, 0, 0, 0), look(10, 1, 0, 0, police_s=5)], 0.0, 10.0, 100)
    assert found["cpu_cores"] == {"flow": 0.1, "police": 0.5}
    assert found["cpu_cores_in_all"] == 0.1
    assert found["cpu_us_per_event"] == 10_000.0


def test_a_part_that_began_later_has_used_nothing_before() -> None:
    late = Look(10, {"flow": 1, "late": 2}, {"MergedRows": 0, "InsertQuery": 0})
    assert cost([look(0, 0, 0, 0), late], 0.0, 10.0, 1)["cpu_cores"]["late"] == 0.2


def test_nobody_can_tell_from_one_look() -> None:
    with pytest.raises(ValueError, match="too short"):
        cost([look(0, 0, 0, 0)], 0.0, 1.0, 1)


def test_the_engine_counts_inserts(clickhouse_server: ClickHouseSettings) -> None:
    client = Client(**clickhouse_server.driver_kwargs() | {"database": "default"})
    try:
        client.execute("CREATE DATABASE counted")
        client.execute("CREATE TABLE counted.them (n UInt8) ENGINE = MergeTree ORDER BY n")
        before = engine_events(client)
        client.execute("INSERT INTO counted.them SELECT 1")
        assert engine_events(client)["InsertQuery"] > before["InsertQuery"]
    finally:
        client.execute("DROP DATABASE counted SYNC")
        client.disconnect()
