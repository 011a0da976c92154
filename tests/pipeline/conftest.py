"""The whole stack, supervised, with a small country, in a folder of its own."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest
import pytest_asyncio

from deploy.embedded.ports import free_port
from deploy.embedded.stack import stack_parts
from deploy.supervisor import Notice, Supervisor
from deploy.topics import ensure_topics
from deploy.wiring import console_part, worker_parts
from schemas.migrations import migrate
from schemas.settings import ConsoleSettings, Settings, WatchdogSettings


@dataclass
class Stack:
    settings: Settings
    supervisor: Supervisor
    notices: list[Notice] = field(default_factory=list)

    async def healthy_again(self, timeout_s: float = 200.0) -> None:
        async with asyncio.timeout(timeout_s):
            while not all(self.supervisor.healthy().values()):
                await asyncio.sleep(0.1)


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def stack(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Stack]:
    patch = pytest.MonkeyPatch()
    var: Path = tmp_path_factory.mktemp("stack")
    patch.setenv("SAQSHY_VAR", str(var))
    notices: list[Notice] = []
    supervisor = Supervisor(var / "log", notices.append)
    try:
        await supervisor.start(*stack_parts(Settings()))
        # Every record is accounted for here, and the watchdog's own are stored nowhere.
        settings = Settings(
            console=ConsoleSettings(port=free_port()), watchdog=WatchdogSettings(canaries=False)
        )
        await asyncio.to_thread(ensure_topics, settings)
        await asyncio.to_thread(migrate, settings.clickhouse)
        await supervisor.start(*worker_parts(settings), console_part(settings))
        yield Stack(settings, supervisor, notices)
    finally:
        await supervisor.stop()
        patch.undo()
