"""The storing lanes as they run: a real broker, a real engine, every way in which a record can be bad."""

import asyncio
import time
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path

import pytest
from aiokafka import AIOKafkaProducer
from clickhouse_driver import Client
from kafka import KafkaAdminClient

from deploy.accounting import Account, account, end_offsets
from deploy.topics import ensure_topics
from loadtest.simulator.country import School, country
from loadtest.simulator.encode import Encoder, Record, registry
from loadtest.simulator.fleet import Fleet
from loadtest.simulator.garbage import CASES
from schemas.settings import ClickHouseSettings, KafkaSettings, Settings
from schemas.topics import DEAD_LETTERS, FACILITIES, MAX_MESSAGE_BYTES, PANICS, PASSES, REGISTRY
from streams.runtime.service import Service
from streams.store.agent import app
from streams.store.limit import MAX_RUN
from streams.store.mark import mark_of
from streams.worker import serving

pytestmark = pytest.mark.broker

SETTLE_WITHIN_S = 120.0


@pytest.fixture
def settings(
    kafka_broker: KafkaSettings, clickhouse_server: ClickHouseSettings, tmp_path: Path
) -> Settings:
    settings = Settings(var=tmp_path, kafka=kafka_broker, clickhouse=clickhouse_server)
    ensure_topics(settings)
    return settings


def unregistered(number: int) -> School:
    """A school with turnstiles and buttons, in no registry yet."""
    school = next(school for school in country(seed=8) if school.turnstiles and school.buttons)
    return replace(school, id=f"KZ-10-{90_000 + number}")


@asynccontextmanager
async def running(settings: Settings, *lanes: str) -> AsyncIterator[list[Service]]:
    apps = [app(settings, lane) for lane in lanes]
    for it in apps:
        await it.start()
    try:
        yield [serving(it) for it in apps]
    finally:
        await asyncio.gather(*(it.stop() for it in apps))


async def produce(settings: Settings, records: list[Record]) -> None:
    async with AIOKafkaProducer(
        **settings.kafka.aiokafka_kwargs(), max_request_size=4 << 20
    ) as producer:
        sent = [await producer.send(topic, value, key=key) for topic, key, value, _ in records]
        await asyncio.gather(*sent)


async def settled(settings: Settings, client: Client, start: dict[str, dict[int, int]]) -> Account:
    end = await asyncio.to_thread(end_offsets, settings)
    async with asyncio.timeout(SETTLE_WITHIN_S):
        while not (found := account(client, start, end)).settled:
            await asyncio.sleep(0.2)
    return found


async def test_every_kind_of_bad_record_has_its_reason_and_the_rest_is_stored_once(
    settings: Settings, client: Client
) -> None:
    now_ms = time.time_ns() // 1_000_000
    fleet = Fleet(country(seed=7, schools=20), now_ms)
    encoder = Encoder(fleet, 7)
    gates = [first for first, count in fleet.turnstiles if count]
    records = [
        record
        for name, (case, _) in CASES.items()
        for gate in gates[:5]
        for record in case(encoder, gate, now_ms)
    ]
    for n in range(200):  # else most would be bad, and the lane would rightly stop
        gate = gates[n % len(gates)]
        records.append(encoder.passed(gate, now_ms, "in", n))
        records.append(encoder.heartbeat(gate, now_ms))
    expected = Counter(label[1:] for *_, label in records if label.startswith("!"))
    start = await asyncio.to_thread(end_offsets, settings)
    await produce(settings, list(registry(encoder, now_ms)))
    await produce(settings, records)
    async with running(settings, "flow", "incident", "archive"):
        found = await settled(settings, client, start)
    assert found.exact
    assert found.dead_lettered == expected
    assert client.execute("SELECT count() FROM schools FINAL")[0][0] == 20
    letters = await asyncio.to_thread(end_offsets, settings, (DEAD_LETTERS.name,))
    assert sum(letters[DEAD_LETTERS.name].values()) >= expected.total()


async def test_a_school_registered_after_the_lane_has_begun_is_known(
    settings: Settings, client: Client
) -> None:
    now_ms = time.time_ns() // 1_000_000
    fleet = Fleet([unregistered(1)], now_ms)
    encoder = Encoder(fleet, 8)
    gate, _ = fleet.turnstiles[0]
    start = await asyncio.to_thread(end_offsets, settings)
    async with running(settings, "flow"):
        await produce(settings, [encoder.passed(gate, now_ms, "in", 1)])
        await asyncio.wait_for(_dead_letter(settings, client, start), SETTLE_WITHIN_S)
        await produce(settings, [encoder.registered(0, now_ms)])
        await produce(settings, [encoder.passed(gate, now_ms, "in", 2)])
        async with asyncio.timeout(SETTLE_WITHIN_S):
            while _passes(client, fleet.schools[0].id) != 1:
                await asyncio.sleep(0.1)


async def test_a_topic_made_anew_under_a_running_lane_is_stored_from_its_beginning(
    settings: Settings, client: Client
) -> None:
    """As many new records as there were old ones: where the lane stands is the new log's end."""
    now_ms = time.time_ns() // 1_000_000
    fleet = Fleet([unregistered(3)], now_ms)
    encoder = Encoder(fleet, 10)
    gate, _ = fleet.turnstiles[0]
    installed = {"turnstiles": 1, "panic_buttons": 1, "gateways": 1, "police_link": True}

    def changes(count: int) -> list[Record]:
        return [encoder.other("equipment.changed", gate, now_ms, installed) for _ in range(count)]

    async def stored(count: int) -> None:
        school = fleet.schools[0].id
        async with asyncio.timeout(SETTLE_WITHIN_S):
            while _count(client, "facilities", school) != count:
                await asyncio.sleep(0.1)

    await produce(settings, [encoder.registered(0, now_ms)])
    async with running(settings, "incident"):
        await produce(settings, changes(4))
        await stored(4)
        await _made_anew(settings, FACILITIES.name)
        await produce(settings, changes(4))
        await stored(8)
    await produce(settings, changes(2))
    await _made_anew(settings, FACILITIES.name)  # while nobody looks
    await produce(settings, changes(3))
    async with running(settings, "incident"):
        await stored(11)
    lost = client.execute(f"SELECT why FROM losses FINAL WHERE topic = '{FACILITIES.name}'")
    assert lost and set(lost) == {("recreated",)}


async def test_a_topic_of_dead_letters_stands_still_and_the_others_go_on(
    settings: Settings, client: Client
) -> None:
    """Also those of a lane beside it in the same process."""
    now_ms = time.time_ns() // 1_000_000
    fleet = Fleet([unregistered(5)], now_ms)
    encoder = Encoder(fleet, 12)
    gate, _ = fleet.turnstiles[0]
    school = fleet.schools[0].id
    letters = await asyncio.to_thread(end_offsets, settings, (DEAD_LETTERS.name,))
    await produce(settings, [(FACILITIES.name, school.encode(), b"{", "")] * (MAX_RUN + 1))
    async with running(settings, "incident", "archive") as (incident, archive):
        async with asyncio.timeout(SETTLE_WITHIN_S):
            while not (said := incident.health())["stopped"] or not archive.health()["ready"]:
                await asyncio.sleep(0.1)
        assert set(said["stopped"]) == {FACILITIES.name}
        assert not said["ready"]
        await produce(settings, [encoder.registered(0, now_ms), encoder.heartbeat(gate, now_ms)])
        async with asyncio.timeout(SETTLE_WITHIN_S):
            while (
                _count(client, "schools", school) != 1 or _count(client, "heartbeats", school) != 1
            ):
                await asyncio.sleep(0.1)
    assert await asyncio.to_thread(end_offsets, settings, (DEAD_LETTERS.name,)) == letters
    await _made_anew(settings, FACILITIES.name)  # for the tests that follow


async def _made_anew(settings: Settings, topic: str) -> None:
    admin = KafkaAdminClient(**settings.kafka.kafka_python_kwargs())
    try:
        await asyncio.to_thread(admin.delete_topics, [topic])
        async with asyncio.timeout(SETTLE_WITHIN_S):
            while topic in await asyncio.to_thread(admin.list_topics):
                await asyncio.sleep(0.1)
    finally:
        admin.close()
    await asyncio.to_thread(ensure_topics, settings)


async def test_a_record_as_large_as_its_topic_allows_does_not_stop_its_partition(
    settings: Settings, client: Client
) -> None:
    now_ms = time.time_ns() // 1_000_000
    fleet = Fleet([unregistered(4)], now_ms)
    encoder = Encoder(fleet, 11)
    gate, _ = fleet.turnstiles[0]
    start = await asyncio.to_thread(end_offsets, settings)
    topic, key, _, _ = encoder.passed(gate, now_ms, "in", 1)
    await produce(settings, [encoder.registered(0, now_ms)])
    await produce(settings, [(topic, key, b"x" * (MAX_MESSAGE_BYTES - 120), "")])
    await produce(settings, [encoder.passed(gate, now_ms, "in", 2)])
    async with running(settings, "flow", "incident"):
        found = await settled(settings, client, start)
    assert found.exact and found.dead_lettered == {"too_large": 1}
    assert _passes(client, fleet.schools[0].id) == 1


async def _dead_letter(
    settings: Settings, client: Client, start: dict[str, dict[int, int]]
) -> None:
    end = await asyncio.to_thread(end_offsets, settings)
    only_passes = {PASSES.name: end[PASSES.name]}
    while account(client, start, only_passes).dead_lettered != {"unknown_school": 1}:
        await asyncio.sleep(0.1)


def _passes(client: Client, school: str) -> int:
    return _count(client, "passes", school)


def _count(client: Client, table: str, school: str) -> int:
    count: int = client.execute(f"SELECT count() FROM {table} WHERE school = '{school}'")[0][0]
    return count


async def test_panics_reach_the_archive_and_offsets_are_committed_without_a_pending_block(
    settings: Settings, client: Client
) -> None:
    now_ms = time.time_ns() // 1_000_000
    fleet = Fleet([unregistered(2)], now_ms)
    encoder = Encoder(fleet, 9)
    button, _ = fleet.buttons[0]
    start = await asyncio.to_thread(end_offsets, settings)
    presses = [encoder.other("panic.pressed", button, now_ms, {}) for _ in range(3)]
    await produce(settings, [encoder.registered(0, now_ms), *presses, presses[0]])
    async with running(settings, "archive", "incident"):
        found = await settled(settings, client, start)
        ends = await asyncio.to_thread(end_offsets, settings, (PANICS.name, REGISTRY.name))
        await _committed(settings, "saqshy-archive", PANICS.name, ends[PANICS.name])
    assert found.exact and found.dead_lettered == {"duplicate": 1}
    [(pressed,)] = client.execute(
        f"SELECT sum(pressed) FROM panics_1m WHERE school = '{fleet.schools[0].id}'"
    )
    assert pressed == 3


async def _committed(settings: Settings, group: str, topic: str, ends: dict[int, int]) -> None:
    """Until the group's offsets, as another client reads them, stand at the ends."""
    admin = KafkaAdminClient(**settings.kafka.kafka_python_kwargs())
    try:
        async with asyncio.timeout(SETTLE_WITHIN_S):
            while True:
                offsets = await asyncio.to_thread(admin.list_group_offsets, group)
                of_topic = {
                    tp.partition: (at.offset, mark_of(at.metadata).pending)
                    for tp, at in offsets[group].items()
                    if tp.topic == topic
                }
                if of_topic == {p: (end, None) for p, end in ends.items() if end}:
                    return
                await asyncio.sleep(0.1)
    finally:
        admin.close()
