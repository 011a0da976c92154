"""A worker is killed between any two steps, fenced, outdated or late; counts stay exact."""

import asyncio
import itertools
import time
from contextlib import suppress

import pytest
from clickhouse_driver import Client

from deploy.embedded.ports import free_port
from schemas.alerts import (
    Action,
    AlertChanged,
    AlertKind,
    Reason,
    Severity,
    Status,
    StatusChanged,
)
from schemas.settings import ClickHouseSettings
from schemas.steps import StepTaken, Took, step_id
from schemas.topics import ALERTS, DAY_MS, STATUS, Topic
from schemas.topics import STEPS as STEPS_TOPIC
from streams.store import block as blocks
from streams.store.claim import PROVE_OWNERSHIP_AFTER_S
from streams.store.clickhouse import Poisoned
from streams.store.mark import mark_of
from streams.store.rows import TABLE_OF
from streams.store.seen import Seen
from streams.transport import Abandoned
from tests.streams.store.world import Killed, Letters, World, eventually, started, work, worker

pytestmark = pytest.mark.broker

MIDNIGHT_MS = time.time_ns() // 1_000_000 // DAY_MS * DAY_MS
BATCH = 12
STEPS = 20  # of the two batches below when nothing goes wrong: counted by a test


@pytest.fixture
def around_midnight(clickhouse_server: ClickHouseSettings) -> World:
    """24 records around midnight: 18 good ones, and in each batch a duplicate and two bad ones."""
    world = World(clickhouse_server, now_ms=MIDNIGHT_MS + 60_000)
    at_ms = MIDNIGHT_MS - 12_000
    for seq in range(9):
        world.passed(seq, at_ms + seq * 1_000)
    world.append(b"{", at_ms + 9_000)
    world.passed(3, at_ms + 10_000)
    world.passed(100, at_ms + 11_000, time_ms=MIDNIGHT_MS + DAY_MS)
    for seq in range(9, 18):
        world.passed(seq, MIDNIGHT_MS - 4_000 + seq * 1_000)  # on both sides of midnight
    world.append(b"\xff\xff", MIDNIGHT_MS + 14_000)
    world.passed(5, MIDNIGHT_MS + 15_000)  # of the batch before
    world.passed(101, MIDNIGHT_MS + 16_000, school="KZ-99-99999")
    for entry in world.entries[:12]:  # the first batch spans midnight, too
        entry.timestamp += 6_000
    return world


EXPECTED_LETTERS = {
    9: Reason.NOT_JSON,
    10: Reason.DUPLICATE,
    11: Reason.IN_FUTURE,
    21: Reason.NOT_UTF8,
    22: Reason.DUPLICATE,
    23: Reason.WRONG_KEY,
}


def offsets(client: Client, world: World, table: str = "passes") -> list[int]:
    """Sorted, doubles and all."""
    rows = client.execute(
        f"SELECT kafka_offset FROM {table} WHERE kafka_partition = {world.partition} "
        "ORDER BY kafka_offset"
    )
    return [offset for (offset,) in rows]


def rolled_up(client: Client, world: World) -> list[int]:
    return [
        client.execute(f"SELECT sum(came_in) FROM flow_{size} WHERE school = '{world.school}'")[0][
            0
        ]
        for size in ("1m", "5m", "1h")
    ]


def check(client: Client, world: World, letters: dict[int, Reason] = EXPECTED_LETTERS) -> None:
    good = [entry.offset for entry in world.entries if entry.offset not in letters]
    assert offsets(client, world) == good
    assert rolled_up(client, world) == [len(good)] * 3
    assert offsets(client, world, "dead_letters") == sorted(letters)
    assert {at: letter.reason for at, (letter, _, _) in world.letters.items()} == letters
    assert all(world.entries[at].value == value for at, (_, _, value) in world.letters.items())
    assert world.committed.offset == len(world.entries)
    assert mark_of(world.committed.metadata).pending is None


async def test_without_trouble_each_step_happens_once(
    around_midnight: World, client: Client
) -> None:
    await work(around_midnight, BATCH)
    check(client, around_midnight)
    assert around_midnight.steps == STEPS
    days = client.execute(
        f"SELECT uniqExact(_partition_id) FROM passes WHERE kafka_offset < {BATCH} "
        f"AND kafka_partition = {around_midnight.partition}"
    )
    assert days == [(2,)]


@pytest.mark.parametrize("kill_at", range(1, STEPS + 1))
async def test_a_kill_between_any_two_steps_leaves_counts_exact(
    around_midnight: World, client: Client, kill_at: int
) -> None:
    around_midnight.kill_at = kill_at
    with pytest.raises(Killed):
        await work(around_midnight, BATCH)
    around_midnight.generation += 1
    await work(around_midnight, BATCH - 5)  # batches are cut elsewhere now
    check(client, around_midnight)


async def test_kills_at_every_second_step_end_exact_too(
    around_midnight: World, client: Client
) -> None:
    world, kills = around_midnight, 0
    for first_kill in range(6, 0, -1):
        world.steps, world.kill_at = 0, first_kill
        with suppress(Killed):
            await work(world, BATCH)
            break
        kills += 1
    assert kills == 6
    world.kill_at = None
    await work(world, BATCH)
    check(client, world)


@pytest.mark.parametrize("topic", [ALERTS, STATUS, STEPS_TOPIC], ids=lambda topic: topic.name)
async def test_a_kill_at_any_step_loses_none_of_our_own_notices(
    clickhouse_server: ClickHouseSettings, client: Client, topic: Topic
) -> None:
    """Its second block used to ask for sequences that such a table does not have, for ever."""
    now_ms = MIDNIGHT_MS + 60_000
    for kill_at in itertools.count(1):
        world = World(clickhouse_server, now_ms, topic)
        for number in range(4):
            world.append(notice(world, number), now_ms)
        world.kill_at = kill_at
        try:
            await work(world, 2)
            break
        except Killed:
            world.generation += 1
            await work(world, 2)
        assert set(offsets(client, world, TABLE_OF[topic.name].name)) == {0, 1, 2, 3}
        assert world.committed.offset == 4 and world.letters == {}
        assert mark_of(world.committed.metadata).pending is None
    assert kill_at > 8


def notice(world: World, number: int) -> bytes:
    said: AlertChanged | StatusChanged | StepTaken
    if world.topic is ALERTS:
        said = AlertChanged(
            time_ms=MIDNIGHT_MS,
            decided_ms=MIDNIGHT_MS,
            id=f"alert-{world.partition}",
            number=number,
            kind=AlertKind.PANIC,
            severity=Severity.PANIC,
            action=Action.UPDATED if number else Action.OPENED,
            school=world.school,
        )
    elif world.topic is STATUS:
        said = StatusChanged(
            school=world.school,
            device=f"gateway-{number}",
            kind="gateway",
            status=Status.ONLINE,
            previous=Status.UNKNOWN,
            since_ms=MIDNIGHT_MS,
            decided_ms=MIDNIGHT_MS,
        )
    else:
        said = StepTaken(
            id=step_id(f"alert-{world.partition}", Took.NOTED, "", number),
            alert=f"alert-{world.partition}",
            school=world.school,
            took=Took.NOTED,
            actor="a person",
            time_ms=MIDNIGHT_MS,
        )
    return said.model_dump_json().encode()


async def test_a_rebalance_between_the_commits_hands_the_block_over(
    around_midnight: World, client: Client
) -> None:
    """The old owner is fenced after its insert; the new one forms the same block."""
    world = around_midnight
    gate = asyncio.Event()
    letters = Letters(world, gate)
    old = worker(world, letters)
    await started(world, old)
    batch = world.next_batch(BATCH)
    assert batch is not None
    storing = asyncio.create_task(old.handle(batch))
    await letters.waiting.wait()  # the pending block is named
    world.generation += 1
    gate.set()
    with pytest.raises(Abandoned):
        await storing  # at its last commit: the insert went through
    assert world.committed.offset == 0 and world.committed.metadata
    await work(world, BATCH)
    check(client, world)


async def test_a_zombie_that_wakes_late_does_not_insert(
    around_midnight: World, client: Client
) -> None:
    world = around_midnight
    gate = asyncio.Event()
    letters = Letters(world, gate)
    zombie = worker(world, letters)
    await started(world, zombie)
    batch = world.next_batch(BATCH)
    assert batch is not None
    sleeping = asyncio.create_task(zombie.handle(batch))
    await letters.waiting.wait()
    world.generation += 1
    await work(world, BATCH)
    check(client, world)
    # ClickHouse forgets tokens in time; then only the proof of ownership is left.
    client.execute("ALTER TABLE passes MODIFY SETTING non_replicated_deduplication_window = 0")
    try:
        world.monotonic_s += PROVE_OWNERSHIP_AFTER_S + 1
        gate.set()
        with pytest.raises(Abandoned):
            await sleeping
    finally:
        client.execute(
            "ALTER TABLE passes MODIFY SETTING non_replicated_deduplication_window = 10000"
        )
    check(client, world)


@pytest.mark.parametrize("kill_at", [2, 4, 5, 6, 7, 8, 9])
async def test_another_decision_version_adds_what_is_missing_and_mends_rollups(
    around_midnight: World, client: Client, kill_at: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The new version takes a record that the old one put among the dead letters."""
    world = around_midnight
    world.kill_at = kill_at
    with pytest.raises(Killed):
        await work(world, BATCH)
    letters_then = set(offsets(client, world, "dead_letters"))
    world.kill_at, world.generation = None, world.generation + 1
    monkeypatch.setattr(blocks, "DECISIONS", blocks.DECISIONS + 1)
    monkeypatch.setattr(blocks, "IN_FUTURE_MS", 3 * DAY_MS)
    monkeypatch.setattr("schemas.times.IN_FUTURE_MS", 3 * DAY_MS)
    await work(world, BATCH)
    expected = dict(EXPECTED_LETTERS)
    if 11 not in letters_then:  # not stored as a dead letter: now it is an event
        del expected[11]
        world.letters.pop(11, None)
    check(client, world, expected)


async def test_rollups_that_missed_a_part_are_rebuilt(
    around_midnight: World, client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    world = around_midnight
    world.kill_at = 8
    with pytest.raises(Killed):
        await work(world, BATCH)
    client.execute(
        f"ALTER TABLE flow_1m DELETE WHERE school = '{world.school}' SETTINGS mutations_sync = 1"
    )
    world.kill_at = None
    monkeypatch.setattr(blocks, "DECISIONS", blocks.DECISIONS + 1)
    await work(world, BATCH)
    check(client, world)


async def test_a_failed_batch_comes_again_as_the_same_block(
    around_midnight: World, client: Client
) -> None:
    """Not a kill: the same process tries again."""
    world = around_midnight
    store = worker(world)
    await started(world, store)
    world.kill_at = 9  # after the inserts, before the last commit
    batch = world.next_batch(BATCH)
    assert batch is not None
    with pytest.raises(Killed):
        await store.handle(batch)
    await store.handle(batch)
    world.kill_at = None
    await work(world, BATCH, store)
    check(client, world)


@pytest.mark.parametrize("restarted", [False, True])
async def test_a_school_registered_between_two_attempts_does_not_change_the_block(
    clickhouse_server: ClickHouseSettings, client: Client, restarted: bool
) -> None:
    world = World(clickhouse_server, now_ms=MIDNIGHT_MS + 60_000, registered=False)
    for seq in range(3):
        world.passed(seq, MIDNIGHT_MS + seq)
    store, batch = worker(world), world.next_batch(BATCH)
    await started(world, store)
    assert batch is not None
    world.kill_at = 6  # the dead letters are in ClickHouse, the new offset isn't committed
    with pytest.raises(Killed):
        await store.handle(batch)
    world.kill_at, world.registered = None, True
    if restarted:
        await work(world)
    else:
        await store.handle(batch)
    check(client, world, dict.fromkeys(range(3), Reason.UNKNOWN_SCHOOL))


async def test_duplicates_are_known_after_a_restart_and_a_reboot_starts_anew(
    clickhouse_server: ClickHouseSettings, client: Client
) -> None:
    world = World(clickhouse_server, now_ms=MIDNIGHT_MS + 60_000)
    for seq in (1, 2, 3, 7, 8):
        world.passed(seq, MIDNIGHT_MS + seq)
    await work(world)
    for seq in (2, 5, 8, 9):
        world.passed(seq, MIDNIGHT_MS + 100 + seq)
    world.passed(2, MIDNIGHT_MS + 200, boot=2)
    await work(world)
    assert {at: letter[0].reason for at, letter in world.letters.items()} == {
        5: Reason.DUPLICATE,
        7: Reason.DUPLICATE,
    }
    assert len(offsets(client, world)) == 8


async def test_a_block_waits_while_clickhouse_is_down(
    around_midnight: World, client: Client
) -> None:
    world, port = around_midnight, free_port()
    there = world.clickhouse
    store = worker(world)
    await started(world, store)
    for client_ in store._clickhouse._free:
        client_.disconnect()
    store._clickhouse._free.clear()
    store._clickhouse._settings = there.model_copy(update={"port": port})
    batch = world.next_batch(len(world.entries))
    assert batch is not None
    it = store._partitions[world.tp]
    it.seen, it.newest_ms = Seen(0), -1  # nothing stored before: begin at the insert
    storing = asyncio.create_task(store.handle(batch))
    await eventually(lambda: store.counts["insert_failures_total"] > 0)
    assert not storing.done() and world.committed.offset == 0

    async def forward(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        other, other_writer = await asyncio.open_connection(there.host, there.port)
        await asyncio.gather(_pipe(reader, other_writer), _pipe(other, writer))

    async with await asyncio.start_server(forward, "127.0.0.1", port):
        await asyncio.wait_for(storing, 60)
        check(client, world)
        for client_ in store._clickhouse._free:
            client_.disconnect()


async def _pipe(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with suppress(OSError):
        while data := await reader.read(65_536):
            writer.write(data)
            await writer.drain()
    writer.close()


async def test_a_block_that_clickhouse_will_never_take_is_told_apart(
    around_midnight: World,
) -> None:
    clickhouse = worker(around_midnight)._clickhouse
    for names, columns in (
        (["kafka_offset"], [["not a number"]]),
        (["no_such_column"], [[1]]),
        (["card"], [["longer than sixteen bytes"]]),
        (["direction"], [["sideways"]]),
    ):
        with pytest.raises(Poisoned):
            await clickhouse.insert("passes", names, columns, "poison")


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
