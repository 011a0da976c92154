"""The whole embedded stack under the national peak, in a folder of its own, with its parts at hand."""

import asyncio
import json
import resource
import shutil
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Callable, Iterable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

import aiohttp
import psutil
from aiokafka import AIOKafkaProducer

from deploy.addresses import console_url
from deploy.embedded.ports import free_port
from deploy.embedded.stack import stack_parts
from deploy.police import with_police
from deploy.supervisor import Part, Supervisor
from deploy.supervisor.spawn import spawn
from deploy.topics import ensure_topics
from deploy.wiring import console_part, worker_parts
from loadtest.panic.pressing import Buttons
from schemas.migrations import migrate
from schemas.settings import (
    ClickHouseSettings,
    ConsoleSettings,
    KafkaSettings,
    Settings,
    stack_file,
)
from streams.runtime.kafka import clients

HEALTHY_WITHIN_S: Final = 120.0
WITHOUT_END_S: Final = 3_600
LITTLE: Final = 20_000
"""Records of lag that are no backlog at the national peak: some seconds of it."""
DISK_WRITERS: Final = ("gateway", "dispatch", "dispatch-b", "notify")


@dataclass(slots=True)
class Whole:
    """Everything that `saqshy up` runs but its simulator, which is the load here."""

    settings: Settings
    supervisor: Supervisor
    parts: dict[str, Part]
    keep_logs: bool = False
    _load: asyncio.subprocess.Process | None = None
    _loading: asyncio.Task[None] | None = field(default=None)

    @property
    def console(self) -> str:
        return console_url(self.settings)

    @property
    def panic_url(self) -> str:
        return f"http://127.0.0.1:{self.settings.gateway.panic_port}/v1/panic"

    async def healthy(self) -> None:
        """Raises TimeoutError."""
        async with asyncio.timeout(HEALTHY_WITHIN_S):
            while True:
                if all(self.supervisor.healthy().values()):
                    return
                await asyncio.sleep(0.1)

    async def down(self, name: str, seconds: float, meanwhile: Callable[[], object]) -> None:
        """Stop a part for so long; ``meanwhile`` is called once it is down."""
        await self.supervisor.stop_part(name)
        meanwhile()
        await asyncio.sleep(seconds)
        await self.supervisor.start(self.parts[name])

    async def acting(self) -> str:
        """Of the two that tell the police, the one that does."""
        async with aiohttp.ClientSession() as session:
            for name in ("dispatch", "dispatch-b"):
                with suppress(aiohttp.ClientError, TimeoutError):
                    async with session.get(f"{self._worker_url(name)}/health") as answer:
                        if (await answer.json())["acts"]:
                            return name
        return "dispatch"

    def _worker_url(self, name: str) -> str:
        port = json.loads(self.parts[name].env["SAQSHY_WORKER"])["health_port"]
        return f"http://127.0.0.1:{port}"

    async def drained(self, name: str, within_s: float) -> None:
        """Until a worker's lag is small, or ``within_s`` is over."""
        until_s = time.monotonic() + within_s
        async with aiohttp.ClientSession() as session:
            while True:
                with suppress(aiohttp.ClientError, TimeoutError):
                    async with session.get(f"{self._worker_url(name)}/health") as answer:
                        lag = (await answer.json())["lag"].values()
                        if sum(behind or 0 for behind in lag) < LITTLE:
                            return
                if time.monotonic() > until_s:
                    return
                await asyncio.sleep(0.5)

    def fill_disk(self, full: bool) -> None:
        """To those who must go on without one: no file of theirs may grow (Linux' prlimit)."""
        limit = 0 if full else resource.RLIM_INFINITY
        for name in DISK_WRITERS:
            pid = self.supervisor.pid(name)
            if pid is not None:
                psutil.Process(pid).rlimit(psutil.RLIMIT_FSIZE, (limit, resource.RLIM_INFINITY))

    def start_load(self, rate_per_s: int, schools: int, seed: int) -> None:
        self._loading = asyncio.create_task(self._keep_loading(rate_per_s, schools, seed))

    async def _keep_loading(self, rate_per_s: int, schools: int, seed: int) -> None:
        """A simulator that gives up while the broker is down is started again. It yields to nobody: a
        peak that does is none."""
        registry = "--registry"
        with (self.settings.var / "log" / "simulator.log").open("ab") as log:
            while True:
                argv = (
                    *(sys.executable, "-m", "loadtest", "simulate", registry, "--panics", "0"),
                    *("--peak", str(rate_per_s), "--for", f"{WITHOUT_END_S}s"),
                    *("--schools", str(schools), "--seed", str(seed), "--garbage", "0"),
                )
                self._load = await spawn(argv, self.settings.environment(), log)
                await self._load.wait()
                registry = "--no-registry"
                await asyncio.sleep(1)

    async def stop_load(self) -> None:
        if self._loading is not None:
            self._loading.cancel()
            await asyncio.gather(self._loading, return_exceptions=True)
        if self._load is not None and self._load.returncode is None:
            self._load.terminate()
            await self._load.wait()


@asynccontextmanager
async def whole_stack(buttons: Buttons, tell: Callable[[str], None]) -> AsyncIterator[Whole]:
    """Up and healthy, with the buttons known to registry and gateway."""
    with tempfile.TemporaryDirectory(prefix="saqshy-panic-", ignore_cleanup_errors=True) as folder:
        var = Path(folder)
        supervisor = Supervisor(var / "log", lambda notice: tell(f"{notice.part} {notice.what}"))
        base = Settings().model_copy(update={"var": var})
        embedded = stack_parts(base)
        whole: Whole | None = None
        try:
            await supervisor.start(*embedded)
            settings = _settings(base, var)
            await asyncio.to_thread(ensure_topics, settings)
            await asyncio.to_thread(migrate, settings.clickhouse)
            settings, police = with_police(settings)
            buttons.install(settings)
            await register(settings, buttons)
            services = worker_parts(settings)
            parts = (*embedded, police, *services, console_part(settings))
            await supervisor.start(police, *services, parts[-1])
            whole = Whole(settings, supervisor, {part.name: part for part in parts})
            try:
                yield whole
            finally:
                await whole.stop_load()
        finally:
            with suppress(Exception):
                await supervisor.stop()
            if whole is None or whole.keep_logs:
                kept = Settings().var / "loadtest" / f"panic-logs-{int(time.time())}"
                shutil.copytree(var / "log", kept)
                tell(f"logs are kept in {kept}")


def _settings(base: Settings, var: Path) -> Settings:
    written = json.loads(stack_file(var).read_text())
    gateway = base.gateway.model_copy(update={"port": free_port(), "panic_port": free_port()})
    return base.model_copy(
        update={
            "kafka": KafkaSettings(**written["kafka"]),
            "clickhouse": ClickHouseSettings(**written["clickhouse"]),
            "console": ConsoleSettings(port=free_port()),
            "gateway": gateway,
        }
    )


async def register(settings: Settings, buttons: Buttons) -> None:
    producer = clients.producer(settings.kafka, linger_ms=20)
    await producer.start()
    try:
        now_ms = time.time_ns() // 1_000_000
        await _send_all(producer, buttons.registrations(now_ms))
    finally:
        await producer.stop()


async def _send_all(
    producer: AIOKafkaProducer, records: Iterable[tuple[str, bytes, bytes]]
) -> None:
    for topic, key, value in records:
        await producer.send(topic, value, key=key)
    await producer.flush()
