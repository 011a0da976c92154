"""Rollups made anew are those that the views made: of every family, as often as one likes."""

import itertools
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
from clickhouse_driver import Client

from loadtest.simulator.encode import Encoder
from loadtest.simulator.encode import Record as Written
from loadtest.simulator.fleet import Fleet
from schemas.alerts import Reason
from schemas.settings import ClickHouseSettings
from schemas.topics import BY_NAME, DAY_MS, HEARTBEATS, INCIDENTS, PANICS, PASSES
from streams.store.block import form
from streams.store.clickhouse import ClickHouse
from streams.store.rows import TABLE_OF
from streams.store.seen import Seen
from tests.loadtest.streams import SCHOOLS, START_MS
from tests.streams.store.test_rows import TODAY_MS
from tests.streams.store.world import World, work
from tests.streams.store.written import in_kafka, turnstile

pytestmark = pytest.mark.broker

HOUR_MS = DAY_MS // 24
partitions = itertools.count(30_000)


def _passes(writer: Encoder, device: int, at_ms: int) -> list[Written]:
    kinds = (("in", "granted"), ("out", "granted"), ("in", "passback"))
    return [writer.passed(device, at_ms, direction, 1, outcome) for direction, outcome in kinds]


def _heartbeats(writer: Encoder, device: int, at_ms: int) -> list[Written]:
    return [writer.heartbeat(device, at_ms, link, 3) for link in (20, 90)]


def _panics(writer: Encoder, device: int, at_ms: int) -> list[Written]:
    own: dict[str, dict[str, Any]] = {
        "panic.pressed": {"duress": True},
        "panic.cancelled": {"press": "019ab000-0000-7000-8000-000000000001"},
        "panic.test": {"passed": False},
    }
    return [writer.other(kind, device, at_ms, fields) for kind, fields in own.items()]


def _incidents(writer: Encoder, device: int, at_ms: int) -> list[Written]:
    own: dict[str, dict[str, Any]] = {
        "incident.reported": {
            "channel": "qr",
            "category": "weapon",
            "language": "ru",
            "place": "yard",
        },
        "incident.registered": {
            "case": "1",
            "involvement": "by_minor",
            "severity": "serious",
            "category": "violence",
        },
        "help.requested": {"topic": "police", "language": "kk"},
    }
    return [writer.other(kind, device, at_ms, fields) for kind, fields in own.items()]


FAMILIES = {
    PASSES.name: _passes,
    HEARTBEATS.name: _heartbeats,
    PANICS.name: _panics,
    INCIDENTS.name: _incidents,
}


def rolled_up(client: Client, rollup: str, school: str) -> list[Any]:
    rows = client.execute(f"SELECT * FROM {rollup} FINAL WHERE school = '{school}'")
    return sorted(rows, key=repr)


def test_every_family_with_rollups_is_looked_at() -> None:
    assert set(FAMILIES) == {topic for topic, table in TABLE_OF.items() if table.rollups}


@pytest.mark.parametrize("topic", FAMILIES)
async def test_rollups_made_anew_are_those_of_the_views(
    topic: str, clickhouse_server: ClickHouseSettings, client: Client
) -> None:
    write: Callable[[Encoder, int, int], list[Written]] = FAMILIES[topic]
    table, partition = TABLE_OF[topic], next(partitions)
    clickhouse = ClickHouse(clickhouse_server)
    school = replace(SCHOOLS[0], id=f"KZ-90-{partition}")  # no other test has it
    writer = Encoder(Fleet([school], START_MS), seed=partition)
    first = turnstile(writer)
    devices = range(first, first + 4)
    times_ms = [TODAY_MS - back for back in (0, 61_000, HOUR_MS, 26 * HOUR_MS)]
    half = [
        [record for device in devices for at in times for record in write(writer, device, at)]
        for times in (times_ms, times_ms[:2])
    ]
    end = 0
    for written in half:
        records = in_kafka(written, end, TODAY_MS)
        block = form(BY_NAME[topic], partition, records, Seen(0), lambda _: True)
        assert len(block.offsets) == len(written)
        await clickhouse.insert(
            table.name, table.all_columns, block.columns, f"{topic}/{partition}/{end}"
        )
        end += len(written)
    before = {rollup: rolled_up(client, rollup, school.id) for rollup in table.rollups}
    assert all(len(rows) >= 3 for rows in before.values())
    # Only the second block, twice: its buckets hold rows of the first, too.
    for _ in range(2):
        await clickhouse.rebuild_rollups(table, partition, len(half[0]), end - 1)
        assert {r: rolled_up(client, r, school.id) for r in table.rollups} == before
    for rollup in table.rollups:
        client.execute(
            f"ALTER TABLE {rollup} DELETE WHERE school = '{school.id}' SETTINGS mutations_sync = 1"
        )
    assert not any(rolled_up(client, rollup, school.id) for rollup in table.rollups)
    await clickhouse.rebuild_rollups(table, partition, 0, end - 1)
    assert {r: rolled_up(client, r, school.id) for r in table.rollups} == before


async def test_a_press_is_still_a_duplicate_by_its_id_after_a_restart(
    clickhouse_server: ClickHouseSettings, client: Client
) -> None:
    world = World(clickhouse_server, now_ms=TODAY_MS + 1_000, topic=PANICS)
    own = {"type": "panic.pressed", "duress": False, "direction": "in"}
    world.passed(1, TODAY_MS, **own)
    await work(world)
    world.passed(1, TODAY_MS, **own)
    other_id = "019ab000-0000-7000-8000-000000000002"
    world.passed(1, TODAY_MS, **own, id=other_id)  # its counter was lost
    await work(world)
    assert {at: letter[0].reason for at, letter in world.letters.items()} == {1: Reason.DUPLICATE}
    rows = client.execute(
        f"SELECT kafka_offset FROM panics WHERE kafka_partition = {world.partition} ORDER BY 1"
    )
    assert rows == [(0,), (2,)]
