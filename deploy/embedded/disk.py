"""When the disk fills: which work stops, so that panics keep room to the last.

Statistics go first, then everything that isn't a panic. What stops loses nothing: its records wait
in Kafka. A reserve file is kept for the moment when others have filled the disk to its last byte.
"""

import asyncio
import os
import shutil
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Final, Literal

from deploy.supervisor import Part, Supervisor
from streams import processes
from streams.processes import ShedAt

Shed = Literal["none", "flow", "all_but_panic"]

LOW_BYTES: Final = 2 << 30
LOW_SHARE: Final = 0.05
CRITICAL_BYTES: Final = 512 << 20
CRITICAL_SHARE: Final = 0.01
BACK_FACTOR: Final = 1.5
"""Work comes back at so many times the mark it stopped at, or it would stop again at once."""
RESERVE_BYTES: Final = 64 << 20
CHECK_EVERY_S: Final = 5.0
SIMULATOR: Final = "simulator"
"""Who makes what fills the disk stops before all others."""
MARKS: Final[dict[Shed, tuple[ShedAt, ...]]] = {
    "none": (),
    "flow": ("low",),
    "all_but_panic": ("low", "critical"),
}


def stopped_at(state: Shed) -> tuple[str, ...]:
    """Names of the parts that stand still then."""
    marks = MARKS[state]
    stopping = tuple(part.name for part in processes.parts() if part.shed_at in marks)
    return (SIMULATOR, *stopping) if marks else ()


def shed(free_bytes: int, total_bytes: int, before: Shed = "none") -> Shed:
    """What is to stand still now, given what does (``before``).

    A mark is its bytes or its share of the disk, whichever is less: a small disk isn't always low,
    and a large one has room in plenty at 5 %.
    """
    low = min(LOW_BYTES, LOW_SHARE * total_bytes)
    critical = min(CRITICAL_BYTES, CRITICAL_SHARE * total_bytes)
    if free_bytes < critical * (BACK_FACTOR if before == "all_but_panic" else 1):
        return "all_but_panic"
    if free_bytes < low * (BACK_FACTOR if before != "none" else 1):
        return "flow"
    return "none"


def free_and_total_bytes(folder: Path) -> tuple[int, int]:
    """Of the disk that holds the folder."""
    usage = shutil.disk_usage(folder)
    return usage.free, usage.total


async def watch_disk(
    supervisor: Supervisor,
    var: Path,
    tell: Callable[[str], None],
    parts: tuple[Part, ...],
    *,
    space: Callable[[Path], tuple[int, int]] = free_and_total_bytes,
    every_s: float = CHECK_EVERY_S,
) -> None:
    """Stop and start parts by the free space, until cancelled.

    ``parts`` are those that may be stopped; of them only those of ``stopped_at`` are. ``tell`` gets
    one sentence for a person at each change. Trouble with one part or one look is told, and tried again.
    """
    state: Shed = "none"
    stopped: dict[str, Part] = {}
    keep_reserve(var, space)
    while True:
        try:
            free, total = space(var)
            now = shed(free, total, state)
            if now == "all_but_panic":
                reserve_path(var).unlink(missing_ok=True)
            if now != state:
                tell(_sentence(now, free))
                state = now
            await _stop(supervisor, parts, stopped_at(state), stopped)
            await _start(supervisor, stopped_at(state), stopped)
            if state == "none":
                keep_reserve(var, space)
        except Exception as error:  # the watcher must outlive whatever it meets
            tell(f"Watching the disk: {error}")
        await asyncio.sleep(every_s)


async def _stop(
    supervisor: Supervisor,
    parts: tuple[Part, ...],
    names: tuple[str, ...],
    stopped: dict[str, Part],
) -> None:
    for part in parts:
        if part.name in names and part.name not in stopped:
            await supervisor.stop_part(part.name)
            stopped[part.name] = part


async def _start(supervisor: Supervisor, names: tuple[str, ...], stopped: dict[str, Part]) -> None:
    for name in [name for name in stopped if name not in names]:
        part = stopped.pop(name)  # the supervisor keeps it from here on, whether healthy or not
        await supervisor.start(part)


def reserve_path(var: Path) -> Path:
    return var / "run" / "reserve"


def keep_reserve(var: Path, space: Callable[[Path], tuple[int, int]]) -> None:
    """Take the reserve from the disk, unless that would make it low. Real blocks, no sparse file."""
    path = reserve_path(var)
    free, total = space(var)
    if path.exists() or shed(free - RESERVE_BYTES, total, "flow") != "none":
        return
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("wb") as file:
        try:
            os.posix_fallocate(file.fileno(), 0, RESERVE_BYTES)
        except OSError:
            with suppress(OSError):
                path.unlink()


def _sentence(now: Shed, free_bytes: int) -> str:
    free = f"{free_bytes / 1e9:.1f} GB of disk are free"
    if now == "none":
        return f"{free}: all parts work again."
    if now == "flow":
        return f"{free}: statistics of passes wait in Kafka. Make room: next, all but panics will wait."
    return f"{free}: everything but panics waits in Kafka. Make room now."
