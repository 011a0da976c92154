"""What the watchdog sees of a real broker, a real ClickHouse and real processes."""

import asyncio
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from aiohttp import web
from aiokafka import AIOKafkaConsumer, TopicPartition
from clickhouse_driver import Client

from schemas.migrations import migrate
from schemas.topics import PASSES
from streams.watchdog.probe import lost, offsets, sick, stored_age_s
from tests.schemas.engine import engine
from tests.streams.workers import Lane, partition_of

SCHOOL = "KZ-75-00001"
GROUP = "saqshy-probed"


@pytest.mark.broker
async def test_it_sees_what_a_group_has_committed_and_what_is_there(lane: Lane) -> None:
    place = (GROUP, PASSES.name, partition_of(SCHOOL))
    consumer = AIOKafkaConsumer(
        **lane.kafka.aiokafka_kwargs(), group_id=GROUP, enable_auto_commit=False
    )
    await consumer.start()
    try:
        tp = TopicPartition(*place[1:])
        consumer.assign([tp])
        for _ in range(3):
            await lane.send(PASSES.name, SCHOOL, b"{}")
        end = (await consumer.end_offsets([tp]))[tp]
        await consumer.commit({tp: end - 2})
    finally:
        await consumer.stop()
    committed, ends = await asyncio.to_thread(offsets, lane.kafka)
    assert (committed[place], ends[place]) == (end - 2, end)


@pytest.mark.broker
def test_it_sees_how_old_the_newest_stored_heartbeat_is(tmp_path: Path) -> None:
    with engine(tmp_path) as settings:
        migrate(settings)
        assert stored_age_s(settings) is None
        client = Client(**settings.driver_kwargs())
        for age_s in (90, 3_000):
            stored = datetime.now(UTC) - timedelta(seconds=age_s)
            client.execute(
                "INSERT INTO heartbeats (kafka_time, time, school) VALUES",
                [(stored, stored, SCHOOL)],
            )
        client.disconnect()
        age_s = stored_age_s(settings)
        assert age_s is not None and 90 <= age_s < 3_000


@pytest.mark.broker
def test_it_says_which_records_were_found_lost_lately(tmp_path: Path) -> None:
    with engine(tmp_path) as settings:
        migrate(settings)
        assert lost(settings) == {}
        client = Client(**settings.driver_kwargs())
        now = datetime.now(UTC)
        for found, partition, first, last, records, why in (
            (now, 1, 7, 9, 3, "retention"),
            (now, 0, 20, None, 0, "recreated"),
            (now - timedelta(hours=2), 2, 1, 5, 5, "retention"),
        ):
            client.execute(
                "INSERT INTO losses (topic, kafka_partition, first_offset, last_offset, records, "
                "why, found) VALUES",
                [(PASSES.name, partition, first, last, records, why, found)],
            )
        client.disconnect()
        said = "at least 3 records from offset 7 on, partitions 0, 1 (recreated, retention)"
        assert lost(settings) == {PASSES.name: said}


async def test_it_names_who_does_not_answer_well() -> None:
    async def health(request: web.Request) -> web.Response:
        status, _, old = request.match_info["status"].partition("-")
        body = {"too_old": ["saqshy.alerts"] if old else []}
        return web.json_response(body, status=int(status))

    app = web.Application()
    app.router.add_get("/{status}", health)
    runner = web.AppRunner(app)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    url = f"http://127.0.0.1:{runner.addresses[0][1]}"
    try:
        urls = {
            "well": f"{url}/200",
            "sick": f"{url}/503",
            "old": f"{url}/503-old",
            "deaf": f"{url}/200-old",
            "gone": "http://127.0.0.1:1/health",
        }
        found, deaf = await asyncio.to_thread(sick, urls)
    finally:
        await runner.cleanup()
    assert set(found) == {"sick", "old", "gone"}
    assert "503" in found["sick"]
    assert "saqshy.alerts" in found["old"]
    assert deaf == {"deaf": "heard nothing of saqshy.alerts"}
