"""``python -m loadtest scale``: what an event costs as schools, devices, partitions and workers grow."""

import asyncio
import json
import subprocess
import sys
import time
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass, replace
from typing import Annotated, Any, Final

import typer
from kafka.admin import KafkaAdminClient
from rich.table import Table

from loadtest.result import save
from loadtest.throughput.exact import check, visible
from loadtest.throughput.generator import Task
from loadtest.throughput.passes import Crowd
from loadtest.throughput.pipeline import SCREEN, External, Owned, Seed, create_topics, ends, tell
from loadtest.throughput.sending import preload, register
from loadtest.throughput.stack import Aim, client, stack
from loadtest.throughput.watched import ASK_EVERY_S, MeasuredProcess
from loadtest.throughput.windows import FLOW_GROUP, OURS, forget_group
from schemas.settings import Settings
from schemas.topics import PASSES
from streams.store.clickhouse import ClickHouse
from streams.store.rows import TABLE_OF
from streams.store.seen import Seen

FLAT_WITHIN: Final = 1.2
LIVENESS_DEVICES: Final = 10
"""Of a school that send heartbeats."""
MEMORY_DEVICES: Final = 100_000
JOIN_S: Final = 60.0
FINISH_S: Final = 180.0


@dataclass(frozen=True, slots=True)
class Shape:
    """``devices`` per school that send passes."""

    schools: int
    devices: int
    partitions: int
    workers: int = 1


def shapes(largest: int, devices: int, partitions: int) -> tuple[list[Shape], list[Shape]]:
    """Schools growing at fixed partitions; then partitions and workers growing at fixed schools, and
    at last the most devices that the memory is measured at."""
    sizes = [n for n in (1_000, 10_000, 100_000) if n <= largest] or [largest]
    middle = sizes[min(1, len(sizes) - 1)]
    growing = [Shape(n, devices, partitions) for n in sizes]
    spread = [
        Shape(middle, devices, max(1, partitions // 4)),
        Shape(middle, devices, partitions * 4),
        Shape(middle, devices, partitions, workers=2),
        Shape(middle, MEMORY_DEVICES // middle, partitions),
    ]
    return growing, spread


def scale(
    schools: Annotated[
        int, typer.Option(min=100, max=100_000, help="The largest point.")
    ] = 100_000,
    devices: Annotated[
        int, typer.Option(min=1, help="Turnstiles of each school; the simulated country has 2.9.")
    ] = 3,
    partitions: Annotated[int, typer.Option(min=1, help="Of the fixed points.")] = 8,
    events: Annotated[
        int, typer.Option(min=100_000, help="Measured at each point, beyond one per device.")
    ] = 500_000,
    seed: Seed = 1,
    external: External = False,
    i_own: Owned = None,
) -> None:
    """What an event costs the flow worker and the liveness decisions as the country grows.

    The flow points are real workers on a real broker and engine; every device sends once before the
    measurement, so that its memory is there. With --external only the point of the settings' own
    partitions and one worker is measured, on empty topics.

    \b
    Examples:
      python -m loadtest scale
      python -m loadtest scale --schools 1000 --events 100000
    """
    settings = Settings()
    growing, spread = shapes(schools, devices, partitions)
    if external:
        growing, spread = [Shape(schools, devices, settings.kafka.partitions)], []
    aim = Aim(external, tuple(i_own or ()))
    aim.check(settings)
    points: list[dict[str, Any]] = []
    for shape in (*growing, *spread):
        tell(f"flow: {shape}")
        points.append(flow_point(settings, aim, shape, events, seed))
        tell(f"  {points[-1]['cpu_us_per_event']} us, {points[-1]['memory_mb']} MB")
    deciding = []
    for shape in growing:
        tell(f"liveness: {shape}")
        deciding.append(liveness_point(replace(shape, devices=LIVENESS_DEVICES), seed))
    figures = {
        "points": points,
        "flat": flat(points[: len(growing)]),
        "flat_ratio": ratio(points[: len(growing)]),
        f"memory_mb_at_{points[-1]['devices']}_devices": points[-1]["memory_mb"],
        f"rebuild_s_at_{points[-1]['devices']}_devices": points[-1]["rebuild_s"],
        "liveness_points": deciding,
        "liveness_flat": flat(deciding),
        "liveness_flat_ratio": ratio(deciding),
        "limit": "system",  # the topics are preloaded or filled faster than they are read
        "exact": all(point["exact"] for point in points),
    }
    SCREEN.print(_table(points, "flow worker"), _table(deciding, "liveness decisions"))
    SCREEN.print(f"saved to {save(settings.var, 'scale', seed, figures)}")
    sys.stdout.write(json.dumps(figures) + "\n")


def ratio(points: Sequence[dict[str, Any]]) -> float:
    """The dearest event over the cheapest."""
    costs: list[float] = [point["cpu_us_per_event"] for point in points]
    return round(max(costs) / min(costs), 3)


def flat(points: Sequence[dict[str, Any]]) -> bool:
    return ratio(points) <= FLAT_WITHIN


def flow_point(
    settings: Settings, aim: Aim, shape: Shape, events: int, seed: int
) -> dict[str, Any]:
    """Workers of the flow lane on a topic of this shape, from the last device's first event on.

    Raises RuntimeError when a worker ends or the rows don't come.
    """
    kafka = settings.kafka.model_copy(update={"partitions": shape.partitions})
    wanted = settings.model_copy(update={"kafka": kafka})
    crowd = Crowd(shape.schools, shape.devices, shape.partitions, seed)
    known = shape.schools * shape.devices
    with ExitStack() as closing:
        there = closing.enter_context(stack(wanted, aim, lambda _: None))
        if not aim.external:
            create_topics(there.settings)
        register(crowd, there.settings)
        forget_group(there.settings)
        own = closing.enter_context(there.database())
        connection = client(own)
        closing.callback(connection.disconnect)
        workers = [
            closing.enter_context(
                MeasuredProcess(OURS.argv, own.environment(), own.var / f"flow-{n}.log")
            )
            for n in range(shape.workers)
        ]
        _await_members(own, workers)
        preload(Task(crowd, PASSES.name, known + events, each_first=True), own)
        used_s, took_s, rows = _measured(workers, lambda: sum(visible(connection).values()), known,
                                         known + events)  # fmt: skip
        for worker in workers:
            worker.stop()
        rebuilt_s, ranges = asyncio.run(rebuild(own, shape.partitions))
        return {
            "schools": shape.schools,
            "devices": known,
            "partitions": shape.partitions,
            "workers": shape.workers,
            "cpu_us_per_event": round(used_s / rows * 1e6, 2),
            "events_per_s": round(rows / took_s),
            "memory_mb": round(max(worker.peak_bytes for worker in workers) / 1e6, 1),
            "memory_ranges": ranges,
            "rebuild_s": round(rebuilt_s, 2),
            "exact": check(connection, ends(own)).exact,
        }


def _await_members(settings: Settings, workers: Sequence[MeasuredProcess]) -> None:
    """Until the workers share the partitions: a rebalance is none of the cost per event."""
    admin = KafkaAdminClient(**settings.kafka.kafka_python_kwargs())
    until_s = time.monotonic() + JOIN_S
    try:
        while True:
            for worker in workers:
                worker.look()
            group = admin.describe_groups([FLOW_GROUP])[FLOW_GROUP]
            if group["group_state"] == "Stable" and len(group["members"]) == len(workers):
                return
            if time.monotonic() > until_s:
                raise RuntimeError(f"the workers haven't joined after {JOIN_S:.0f} s")
            time.sleep(ASK_EVERY_S)
    finally:
        admin.close()


def _measured(
    workers: Sequence[MeasuredProcess], rows: Any, since: int, until: int
) -> tuple[float, float, int]:
    """(CPU s, s, rows) from when ``since`` rows were there until ``until`` are. Raises RuntimeError."""
    began: tuple[float, float, int] | None = None
    give_up_s = time.perf_counter() + FINISH_S
    while True:
        cpu_s = sum(worker.look() for worker in workers)
        there, now_s = rows(), time.perf_counter()
        if began is None and there >= since:
            began = (cpu_s, now_s, there)
        if began is not None and there >= until:
            return cpu_s - began[0], now_s - began[1], there - began[2]
        if now_s > give_up_s:
            raise RuntimeError(f"{there} of {until} rows after {FINISH_S:.0f} s")
        time.sleep(ASK_EVERY_S)


async def rebuild(settings: Settings, partitions: int) -> tuple[float, int]:
    """(s, ranges): the memory of seen sequences made anew from the raw table, as one worker that is
    given all partitions would, one after another."""
    clickhouse, ranges = ClickHouse(settings.clickhouse), 0
    table, began_s = TABLE_OF[PASSES.name].name, time.perf_counter()
    for partition in range(partitions):
        stored = await clickhouse.ranges(table, partition, 0, None)
        ranges += Seen(0, stored).ranges
    return time.perf_counter() - began_s, ranges


def liveness_point(shape: Shape, seed: int) -> dict[str, Any]:
    """Raises subprocess.CalledProcessError when the deciding process fails."""
    arguments = (shape.schools, shape.devices, shape.partitions, seed)
    done = subprocess.run(
        [sys.executable, "-m", "loadtest.throughput.deciding", *map(str, arguments)],
        capture_output=True,
        text=True,
        check=True,
    )
    return {
        "schools": shape.schools,
        "devices": shape.schools * shape.devices,
        "partitions": shape.partitions,
        **json.loads(done.stdout),
    }


def _table(points: Sequence[dict[str, Any]], title: str) -> Table:
    table = Table(title=title)
    for column in (
        "schools",
        "devices",
        "partitions",
        "workers",
        "CPU us/event",
        "MB",
        "rebuild s",
    ):
        table.add_column(column, justify="right")
    for point in points:
        table.add_row(
            *(f"{point['schools']:,}", f"{point['devices']:,}", str(point["partitions"])),
            *(str(point.get("workers", "")), f"{point['cpu_us_per_event']:.2f}"),
            *(f"{point['memory_mb']:.0f}", str(point.get("rebuild_s", ""))),
        )
    return table
