"""The supervisor with real processes."""

import asyncio
import os
import signal
import subprocess
import sys
from pathlib import Path

import psutil
import pytest

from deploy.supervisor import Notice, Part, PartFailed, Supervisor, What

SERVE = (
    "import sys, pathlib, signal, time\n"
    "pathlib.Path(sys.argv[1]).touch()\n"
    "signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))\n"
    "while True: time.sleep(60)\n"
)


def part(name: str, tmp_path: Path, code: str = SERVE, **more: float) -> Part:
    flag = tmp_path / f"{name}.ready"

    async def ready() -> bool:
        return flag.exists()

    return Part(name, (sys.executable, "-c", code, str(flag)), ready, **more)  # type: ignore[arg-type]


async def until(condition: object, timeout_s: float = 60.0) -> None:
    assert callable(condition)
    async with asyncio.timeout(timeout_s):
        while not condition():
            await asyncio.sleep(0.02)


async def test_it_waits_for_health_and_stops_in_reverse_order(tmp_path: Path) -> None:
    said: list[Notice] = []
    supervisor = Supervisor(tmp_path / "log", said.append)
    await supervisor.start(part("first", tmp_path))
    await supervisor.start(part("second", tmp_path))
    assert supervisor.healthy() == {"first": True, "second": True}
    pids = [supervisor.pid("first"), supervisor.pid("second")]
    await supervisor.stop()
    stopped = [notice.part for notice in said if notice.what == What.STOPPED]
    assert stopped == ["second", "first"]
    assert not any(psutil.pid_exists(pid) for pid in pids if pid is not None)


async def test_a_killed_part_comes_back(tmp_path: Path) -> None:
    said: list[Notice] = []
    supervisor = Supervisor(tmp_path / "log", said.append)
    await supervisor.start(part("worker", tmp_path))
    first = supervisor.pid("worker")
    supervisor.kill("worker")
    await until(lambda: supervisor.pid("worker") not in (None, first))
    await until(lambda: supervisor.healthy()["worker"])
    crashed = next(notice for notice in said if notice.what == What.CRASHED)
    assert "SIGKILL" in crashed.detail
    await supervisor.stop()


async def test_a_part_that_never_starts_fails_with_its_log(tmp_path: Path) -> None:
    supervisor = Supervisor(tmp_path / "log", lambda _: None)
    broken = part("broken", tmp_path, "raise SystemExit('no such school')")
    with pytest.raises(PartFailed, match="no such school"):
        await supervisor.start(broken)
    await supervisor.stop()


async def test_a_part_that_is_never_healthy_fails_in_its_time(tmp_path: Path) -> None:
    supervisor = Supervisor(tmp_path / "log", lambda _: None)
    silent = part("silent", tmp_path, "import time; time.sleep(60)", start_timeout_s=0.3)
    with pytest.raises(PartFailed, match="isn't healthy"):
        await supervisor.start(silent)
    await supervisor.stop()


async def test_a_part_that_ignores_sigterm_is_killed(tmp_path: Path) -> None:
    said: list[Notice] = []
    supervisor = Supervisor(tmp_path / "log", said.append)
    stubborn = (
        SERVE.replace("lambda *_: sys.exit(0)", "signal.SIG_IGN")
        .replace("pathlib.Path(sys.argv[1]).touch()\n", "")
        .replace("while True", "pathlib.Path(sys.argv[1]).touch()\nwhile True")
    )
    await supervisor.start(part("stubborn", tmp_path, stubborn, stop_timeout_s=0.3))
    await supervisor.stop()
    assert What.KILLED in [notice.what for notice in said]
    assert supervisor.pid("stubborn") is None


@pytest.mark.skipif(sys.platform != "linux", reason="PR_SET_PDEATHSIG is Linux's")
async def test_parts_die_with_a_killed_supervisor(tmp_path: Path) -> None:
    flag = tmp_path / "child.ready"
    pid_file = tmp_path / "child.pid"
    code = f"""
import asyncio, pathlib, sys
from deploy.supervisor import Part, Supervisor
async def ready(): return pathlib.Path({str(flag)!r}).exists()
async def main():
    s = Supervisor(pathlib.Path({str(tmp_path)!r}), lambda _: None)
    await s.start(Part("child", (sys.executable, "-c", {SERVE!r}, {str(flag)!r}), ready))
    pathlib.Path({str(pid_file)!r}).write_text(str(s.pid("child")))
    await asyncio.sleep(60)
asyncio.run(main())
"""
    parent = subprocess.Popen([sys.executable, "-c", code])
    await until(lambda: pid_file.exists() and pid_file.read_text())
    child = int(pid_file.read_text())
    os.kill(parent.pid, signal.SIGKILL)
    parent.wait()
    await until(lambda: not psutil.pid_exists(child))


def nice_of_session(pid: int) -> int | None:
    """None where the kernel has no autogroups (sched(7))."""
    try:
        said = Path(f"/proc/{pid}/autogroup").read_text().split()
    except FileNotFoundError:
        return None
    return int(said[-1]) if said else None


async def test_a_part_has_the_priority_it_asks_for_among_all_sessions(tmp_path: Path) -> None:
    ours = os.getpriority(os.PRIO_PROCESS, 0)
    supervisor = Supervisor(tmp_path / "log", lambda _: None)
    # Many at once, since the kernel takes only some changes of sessions at a time.
    bulk = [part(f"bulk-{n}", tmp_path, nice=ours + 3) for n in range(3)]
    await supervisor.start(part("urgent", tmp_path), *bulk)
    pids = {name: supervisor.pid(name) or 0 for name in supervisor.healthy()}
    found = {
        name: (os.getpriority(os.PRIO_PROCESS, pid), nice_of_session(pid))
        for name, pid in pids.items()
    }
    await supervisor.stop()
    assert found.pop("urgent") in ((ours, 0), (ours, None))
    assert len(found) == 3
    assert set(found.values()) in ({(ours + 3, ours + 3)}, {(ours + 3, None)})


async def test_a_part_that_comes_back_has_its_priority_again(tmp_path: Path) -> None:
    wanted = os.getpriority(os.PRIO_PROCESS, 0) + 2
    supervisor = Supervisor(tmp_path / "log", lambda _: None)
    await supervisor.start(part("bulk", tmp_path, nice=wanted))
    first = supervisor.pid("bulk")
    supervisor.kill("bulk")
    await until(lambda: supervisor.pid("bulk") not in (None, first))
    await until(lambda: supervisor.healthy()["bulk"])
    again = supervisor.pid("bulk")
    assert again is not None
    assert os.getpriority(os.PRIO_PROCESS, again) == wanted
    await supervisor.stop()


async def test_cpu_seconds_are_kept_when_a_part_is_restarted(tmp_path: Path) -> None:
    busy = SERVE.replace("while True", "n = sum(range(3_000_000))\nwhile True").replace(
        "pathlib.Path(sys.argv[1]).touch()\n", ""
    )
    busy = busy.replace("while True", "pathlib.Path(sys.argv[1]).touch()\nwhile True")
    supervisor = Supervisor(tmp_path / "log", lambda _: None)
    await supervisor.start(part("worker", tmp_path, busy))
    used, first = supervisor.cpu_seconds()["worker"], supervisor.pid("worker")
    assert used > 0.0
    supervisor.kill("worker")
    await until(lambda: supervisor.pid("worker") not in (None, first))
    assert supervisor.cpu_seconds()["worker"] >= used
    await supervisor.stop()
    assert supervisor.cpu_seconds()["worker"] >= used
