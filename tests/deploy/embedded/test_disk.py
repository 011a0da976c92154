"""What stops when the disk fills, and comes back when it has room."""

import asyncio
import sys
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from deploy.embedded.disk import (
    BACK_FACTOR,
    CRITICAL_BYTES,
    LOW_BYTES,
    RESERVE_BYTES,
    Shed,
    free_and_total_bytes,
    reserve_path,
    shed,
    watch_disk,
)
from deploy.supervisor import Part, Supervisor

TOTAL = 1 << 40
PLENTY = TOTAL // 2
SEVERITY: dict[Shed, int] = {"none": 0, "flow": 1, "all_but_panic": 2}

sizes = st.integers(0, 1 << 44)
states: st.SearchStrategy[Shed] = st.sampled_from(list(SEVERITY))


@given(sizes, sizes, sizes, states)
def test_less_room_never_sheds_less(one: int, other: int, total: int, before: Shed) -> None:
    less, more = sorted((one, other))
    assert SEVERITY[shed(less, total, before)] >= SEVERITY[shed(more, total, before)]


@given(sizes, sizes, states)
def test_it_stays_where_it_is_while_the_room_stays(free: int, total: int, before: Shed) -> None:
    now = shed(free, total, before)
    assert shed(free, total, now) == now


@given(sizes, sizes, states)
def test_what_stands_still_is_slower_to_return_than_to_stop(
    free: int, total: int, before: Shed
) -> None:
    assert SEVERITY[shed(free, total, before)] >= SEVERITY[shed(free, total)]


@given(st.integers(1, 1 << 44), states)
def test_an_empty_disk_sheds_nothing_and_a_full_one_all_but_panics(
    total: int, before: Shed
) -> None:
    assert shed(total, total, before) == "none"
    assert shed(0, total, before) == "all_but_panic"


@pytest.mark.parametrize(
    ("free", "before", "now"),
    [
        (LOW_BYTES, "none", "none"),
        (LOW_BYTES - 1, "none", "flow"),
        (LOW_BYTES, "flow", "flow"),
        (int(LOW_BYTES * BACK_FACTOR), "flow", "none"),
        (CRITICAL_BYTES, "flow", "flow"),
        (CRITICAL_BYTES - 1, "flow", "all_but_panic"),
        (CRITICAL_BYTES, "all_but_panic", "all_but_panic"),
        (int(CRITICAL_BYTES * BACK_FACTOR), "all_but_panic", "flow"),
        (PLENTY, "all_but_panic", "none"),
    ],
)
def test_the_marks(free: int, before: Shed, now: Shed) -> None:
    assert shed(free, TOTAL, before) == now


NAMES = ("panic-a", "flow", "archive")


async def at_once() -> bool:
    return True


@pytest.fixture
async def supervisor(tmp_path: Path) -> AsyncIterator[Supervisor]:
    supervisor = Supervisor(tmp_path / "log", lambda _: None)
    yield supervisor
    await supervisor.stop()


async def until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(60):
        while not condition():
            await asyncio.sleep(0.01)


async def test_parts_stop_and_come_back_with_the_room(
    supervisor: Supervisor, tmp_path: Path
) -> None:
    wait = (sys.executable, "-c", "import time; time.sleep(600)")
    parts = tuple(Part(name, wait, at_once) for name in NAMES)
    await supervisor.start(*parts)
    panic = supervisor.pid("panic-a")
    free = PLENTY
    said: list[str] = []

    def space(folder: Path) -> tuple[int, int]:
        if free < 0:
            raise OSError("the disk does not answer")
        return free, TOTAL

    def running() -> set[str]:
        return {name for name in NAMES if supervisor.pid(name) is not None}

    watching = asyncio.create_task(
        watch_disk(supervisor, tmp_path, said.append, parts, space=space, every_s=0.02)
    )
    reserve = reserve_path(tmp_path)
    await until(reserve.exists)
    assert reserve.stat().st_size == RESERVE_BYTES
    assert reserve.stat().st_blocks * 512 >= RESERVE_BYTES
    assert running() == set(NAMES)

    free = LOW_BYTES - 1
    await until(lambda: running() == {"panic-a", "archive"})
    assert reserve.exists()

    free = CRITICAL_BYTES - 1
    await until(lambda: running() == {"panic-a"})
    assert not reserve.exists()

    free = -1
    await until(lambda: "the disk does not answer" in said[-1])
    assert running() == {"panic-a"}

    free = LOW_BYTES
    await until(lambda: running() == {"panic-a", "archive"})
    assert not reserve.exists()

    free = PLENTY
    await until(lambda: running() == set(NAMES) and reserve.exists())
    assert supervisor.pid("panic-a") == panic
    assert not watching.done()
    watching.cancel()


def test_it_reads_the_disk_that_holds_the_folder(tmp_path: Path) -> None:
    free, total = free_and_total_bytes(tmp_path)
    assert 0 < free <= total
