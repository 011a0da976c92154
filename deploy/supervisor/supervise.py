"""Start parts, wait until they are healthy, restart what crashes, stop them in reverse order.

Ours, and not circus or supervisord: neither waits for health before it starts the next part, neither
backs off, and circus opens control ports of its own.
"""

import asyncio
import random
import signal
from asyncio.subprocess import Process
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from time import monotonic

from deploy.supervisor.backoff import backoff_s, crashes_in_a_row
from deploy.supervisor.logs import rotate, tail
from deploy.supervisor.notice import Notice, What
from deploy.supervisor.part import Part
from deploy.supervisor.spawn import lower_session, spawn
from deploy.supervisor.usage import usage

ASK_EVERY_S = 0.1
MEASURE_EVERY_S = 1.0
GIVE_UP_AFTER_CRASHES = 4


class PartFailed(Exception):
    """A part did not become healthy; the message ends with the last lines of its log."""


class Kept:
    """One part and the process that is it now."""

    def __init__(self, part: Part, log: Path) -> None:
        self.part = part
        self.log = log
        self.process: Process | None = None
        self.task: asyncio.Task[None] | None = None
        self.first_ready: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self.healthy = False
        self.stopping = False
        self.peak_bytes = 0
        self.cpu_s = 0.0
        """Of the process that it is now, when it was looked at last."""
        self.spent_s = 0.0
        """Of those that it was before."""


class Supervisor:
    """Keeps parts running. ``tell`` is called with every Notice."""

    def __init__(self, log_dir: Path, tell: Callable[[Notice], None]) -> None:
        self._log_dir = log_dir
        self._tell = tell
        self._kept: dict[str, Kept] = {}
        self._random = random.Random()
        self._measuring: asyncio.Task[None] | None = None

    async def start(self, *parts: Part) -> None:
        """Start these at the same time and wait until all are healthy.

        Raises PartFailed when one crashes again and again, or isn't healthy in its time.
        """
        self._log_dir.mkdir(parents=True, exist_ok=True)
        if self._measuring is None:
            self._measuring = asyncio.create_task(self._measure())
        started = []
        for part in parts:
            kept = Kept(part, self._log_dir / f"{part.name}.log")
            self._kept[part.name] = kept
            kept.task = asyncio.create_task(self._keep(kept), name=part.name)
            started.append(kept.first_ready)
        await asyncio.gather(*started)

    async def stop(self) -> None:
        """Stop all, the last started first; SIGKILL for what outlives its time."""
        for name in reversed(list(self._kept)):
            await self.stop_part(name)
        if self._measuring is not None:
            self._measuring.cancel()

    async def stop_part(self, name: str) -> None:
        """Stop one part and keep it stopped. Peak memory stays known."""
        kept = self._kept[name]
        if kept.stopping:
            return
        kept.stopping = True
        began = monotonic()
        if kept.process is not None and kept.process.returncode is None:
            self._tell(Notice(name, What.STOPPING))
            kept.process.terminate()
            try:
                async with asyncio.timeout(kept.part.stop_timeout_s):
                    await kept.process.wait()
            except TimeoutError:
                self._tell(Notice(name, What.KILLED, kept.part.stop_timeout_s))
                kept.process.kill()
                await kept.process.wait()
        if kept.task is not None:
            kept.task.cancel()
            with suppress(asyncio.CancelledError):
                await kept.task
        self._tell(Notice(name, What.STOPPED, monotonic() - began))

    def kill(self, name: str, with_signal: signal.Signals = signal.SIGKILL) -> None:
        """Send a signal to a part, as a fault. What it dies of is restarted."""
        process = self._kept[name].process
        if process is not None and process.returncode is None:
            process.send_signal(with_signal)

    def pid(self, name: str) -> int | None:
        process = self._kept[name].process
        return None if process is None or process.returncode is not None else process.pid

    def healthy(self) -> dict[str, bool]:
        return {name: kept.healthy for name, kept in self._kept.items()}

    def peak_memory_mb(self) -> dict[str, float]:
        """The largest resident set seen of each part, sampled every second."""
        return {name: round(kept.peak_bytes / 1e6, 1) for name, kept in self._kept.items()}

    def cpu_seconds(self) -> dict[str, float]:
        """CPU seconds of each part so far, its earlier processes included: up to a second is missing
        of one that has ended."""
        for kept in self._kept.values():
            self._look(kept)
        return {name: kept.spent_s + kept.cpu_s for name, kept in self._kept.items()}

    async def _keep(self, kept: Kept) -> None:
        part, crashes = kept.part, 0
        while not kept.stopping:
            began = monotonic()
            self._tell(Notice(part.name, What.STARTING))
            kept.process = await self._spawn(kept)
            kept.spent_s, kept.cpu_s = kept.spent_s + kept.cpu_s, 0.0
            await lower_session(kept.process.pid, part.nice)
            gone = asyncio.create_task(kept.process.wait())
            try:
                if await self._becomes_ready(kept, gone, began):
                    kept.healthy = True
                    self._tell(Notice(part.name, What.READY, monotonic() - began))
                    if not kept.first_ready.done():
                        kept.first_ready.set_result(None)
                code = await gone
            finally:
                gone.cancel()
                kept.healthy = False
            if kept.stopping:
                return
            crashes = crashes_in_a_row(crashes, monotonic() - began)
            self._tell(Notice(part.name, What.CRASHED, monotonic() - began, _ended(code)))
            if not kept.first_ready.done() and crashes >= GIVE_UP_AFTER_CRASHES:
                kept.first_ready.set_exception(
                    PartFailed(
                        f"{part.name} ended {crashes} times before it was healthy ({_ended(code)})."
                        f" The end of its log, {kept.log}:\n{tail(kept.log)}"
                    )
                )
                return
            wait_s = backoff_s(crashes, self._random)
            self._tell(Notice(part.name, What.WAITING, wait_s))
            await asyncio.sleep(wait_s)

    async def _spawn(self, kept: Kept) -> Process:
        rotate(kept.log)
        with kept.log.open("ab") as log:
            return await spawn(kept.part.argv, kept.part.env, log, kept.part.nice)

    async def _becomes_ready(self, kept: Kept, gone: "asyncio.Task[int]", began: float) -> bool:
        """Whether it is healthy before it ends. After its time it is reported, and waited for on."""
        late = False
        while not gone.done():
            with suppress(Exception):
                if await kept.part.ready():
                    return True
            if not late and monotonic() - began > kept.part.start_timeout_s:
                late = True
                if not kept.first_ready.done():
                    kept.first_ready.set_exception(
                        PartFailed(
                            f"{kept.part.name} isn't healthy after "
                            f"{kept.part.start_timeout_s:.0f} s. The end of its log, {kept.log}:\n"
                            f"{tail(kept.log)}"
                        )
                    )
            await asyncio.wait({gone}, timeout=ASK_EVERY_S)
        return False

    async def _measure(self) -> None:
        while True:
            for kept in self._kept.values():
                if self._look(kept):
                    rotate(kept.log)
            await asyncio.sleep(MEASURE_EVERY_S)

    def _look(self, kept: Kept) -> bool:
        """Note what its process uses; False when it has none."""
        if kept.process is None or kept.process.returncode is not None:
            return False
        resident_bytes, cpu_s = usage(kept.process.pid)
        kept.peak_bytes = max(kept.peak_bytes, resident_bytes)
        kept.cpu_s = max(kept.cpu_s, cpu_s)
        return True


def _ended(code: int) -> str:
    if code >= 0:
        return f"exit code {code}"
    with suppress(ValueError):
        return f"killed by {signal.Signals(-code).name}"
    return f"killed by signal {-code}"
