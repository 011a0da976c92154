"""SIGKILL at random moments under load: counts stay exact, panics are heard once, nobody is accused.

The moments are drawn from a printed seed; SAQSHY_TEST_SEED repeats one.
"""

import asyncio
import json
import os
import random
import time
from collections import defaultdict
from contextlib import suppress
from typing import Any

import pytest
from kafka import KafkaConsumer, TopicPartition

from dashboards.console.users import bearer
from deploy.accounting import Account, end_offsets
from deploy.addresses import console_url
from deploy.panic_listener import Announced, listen
from deploy.up import Say, UpOptions, drained, simulate_peak
from schemas.private import OTHERS, OURS
from schemas.settings import Settings
from schemas.topics import ALERTS, HEARTBEATS, PASSES
from streams.processes import parts
from tests.living import below
from tests.pipeline.conftest import Stack
from tests.silences import was_silent

pytestmark = [pytest.mark.broker, pytest.mark.asyncio(loop_scope="module")]

SILENT = Say(notice=lambda _: None, step=lambda _: None)


def lanes() -> tuple[str, ...]:
    """The processes that run a lane, and what runs beside it in them."""
    return tuple(part.name for part in parts() if any(row.kind == "lane" for row in part.rows))


def seeded() -> random.Random:
    seed = int(os.environ.get("SAQSHY_TEST_SEED") or time.time_ns() % 1_000_000)
    print(f"SAQSHY_TEST_SEED={seed}")
    return random.Random(seed)


async def load_while(
    stack: Stack, seconds: float, faults: "asyncio.Future[None] | asyncio.Task[None]"
) -> None:
    """Run the load and the faults side by side, drain, and check every promise."""
    wanted = UpOptions(schools=300, seconds=seconds, rate_per_s=1_500, panics=60)
    start = await asyncio.to_thread(end_offsets, stack.settings)
    heard = Announced()
    listening = asyncio.create_task(
        listen(
            f"{console_url(stack.settings)}/events?only=panics",
            heard,
            bearer(stack.settings.var),
        )
    )
    try:
        load_began_ms = time.time() * 1000
        report = await simulate_peak(wanted, stack.settings, SILENT)
        load_over_ms = time.time() * 1000
        await faults
        await stack.healthy_again()
        found: Account = await drained(stack.settings, start, report, heard)
    finally:
        listening.cancel()
    assert found.produced == sum(report["produced"].values())
    assert found.lost == 0
    assert found.duplicated == 0
    assert found.rollups_off == {}
    assert found.dead_lettered == report["expected_dead_letters"]
    assert len(report["panics"]) == wanted.panics
    assert heard.missing(report["panics"]) == 0
    assert heard.doubled == 0
    assert await asyncio.to_thread(accused, stack.settings, load_began_ms, load_over_ms) == set()


def accused(settings: Settings, began_ms: float, over_ms: float) -> set[str]:
    """Schools that this load said to be offline although none of their devices was silent for long enough.

    Between two loads all are silent indeed: a silence that reaches into this load, and is past the device's
    deadline when it is said, is no accusation.
    """
    beats: dict[str, dict[str, list[int]]] = defaultdict(lambda: defaultdict(list))
    period_ms: dict[tuple[str, str], int] = {}
    for record in records(settings, HEARTBEATS.name):
        with suppress(ValueError, TypeError, KeyError):  # the load has bad records, too
            said = json.loads(record.value)
            school, device = record.key.decode(), said["device"]
            period_ms[school, device] = said["period_s"] * 1000
            beats[school][device].append(record.timestamp)
    own = settings.liveness

    def one_was_silent(school: str, decided_ms: int) -> bool:
        return any(
            was_silent(
                heard_ms,
                own.misses * period_ms[school, device] + own.grace_s * 1000,
                decided_ms,
                began_ms,
            )
            for device, heard_ms in beats[school].items()
        )

    alerts = [json.loads(record.value) for record in records(settings, ALERTS.name)]
    return {
        alert["school"]
        for alert in alerts
        if (alert["kind"], alert["action"]) == ("school_offline", "opened")
        and began_ms <= alert["decided_ms"] < over_ms
        and not one_was_silent(alert["school"], alert["decided_ms"])
    }


def records(settings: Settings, topic: str) -> list[Any]:
    """Everything on the topic, read by a plain kafka-python consumer."""
    ends = end_offsets(settings, (topic,))[topic]
    consumer = KafkaConsumer(**settings.kafka.kafka_python_kwargs(), auto_offset_reset="earliest")
    partitions = [TopicPartition(topic, partition) for partition in ends]
    consumer.assign(partitions)
    consumer.seek_to_beginning(*partitions)
    found: list[Any] = []
    while any(consumer.position(tp) < ends[tp.partition] for tp in partitions):
        for polled in consumer.poll(timeout_ms=500).values():
            found += polled
    consumer.close()
    return found


async def kill_each(stack: Stack, names: tuple[str, ...], times: int, rng: random.Random) -> None:
    order = [name for name in names for _ in range(times)]
    rng.shuffle(order)
    for name in order:
        await asyncio.sleep(rng.uniform(0.2, 1.8))  # the random moment itself is the test
        stack.supervisor.kill(name)


async def kill_the_broker_under_load(stack: Stack, rng: random.Random) -> None:
    """Not before the simulator is connected: a load that can't begin proves nothing."""
    before = await asyncio.to_thread(end_offsets, stack.settings, (PASSES.name,))
    while await asyncio.to_thread(end_offsets, stack.settings, (PASSES.name,)) == before:
        await asyncio.sleep(0.2)
    await kill_each(stack, ("kafka",), 1, rng)


async def test_each_lane_may_be_killed_twice(stack: Stack) -> None:
    faults = asyncio.create_task(kill_each(stack, lanes(), 2, seeded()))
    await load_while(stack, 14, faults)


async def test_the_clickhouse_process_may_be_killed(stack: Stack) -> None:
    faults = asyncio.create_task(kill_each(stack, ("clickhouse",), 2, seeded()))
    await load_while(stack, 8, faults)


async def test_the_broker_may_be_killed(stack: Stack) -> None:
    faults = asyncio.create_task(kill_the_broker_under_load(stack, seeded()))
    await load_while(stack, 10, faults)


async def test_what_all_of_them_wrote_can_be_read_by_nobody_else(stack: Stack) -> None:
    """This process stands for `saqshy up`, which keeps its own (log, run) private too."""
    written = [path for path in below(stack.settings.var) if not path.is_symlink()]
    own = ("log", "run")
    found = [p for p in written if p.relative_to(stack.settings.var).parts[0] not in own]
    folders = {path.relative_to(stack.settings.var).parts[0] for path in found}
    assert {"kafka", "clickhouse", "gateway", "dispatch", "notify", "console"} <= folders <= OURS
    open_ = []
    for path in found:
        with suppress(FileNotFoundError):  # ClickHouse merges and Kafka deletes meanwhile
            if path.stat().st_mode & OTHERS:
                open_.append(path)
    assert open_ == []


@pytest.mark.faults
async def test_each_lane_may_be_killed_twenty_times(stack: Stack) -> None:
    faults = asyncio.create_task(kill_each(stack, lanes(), 20, seeded()))
    await load_while(stack, 130, faults)
