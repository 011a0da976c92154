"""The embedded parts, supervised, in a data folder of their own."""

import asyncio
from collections.abc import AsyncIterator, Collection
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

from deploy.embedded.stack import stack_parts
from deploy.supervisor import Supervisor
from schemas.settings import Settings


@dataclass(frozen=True)
class Running:
    var: Path
    settings: Settings
    supervisor: Supervisor

    async def kill(self, part: str) -> None:
        """SIGKILL, and wait until the supervisor has another process of it healthy."""
        before = self.supervisor.pid(part)
        self.supervisor.kill(part)
        async with asyncio.timeout(200):
            while self.supervisor.pid(part) in (before, None) or not self._healthy(part):
                await asyncio.sleep(0.05)

    def _healthy(self, part: str) -> bool:
        return self.supervisor.healthy()[part]


@asynccontextmanager
async def running(var: Path, names: Collection[str]) -> AsyncIterator[Running]:
    """Those of the two parts that are named, healthy; stopped at the end."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("SAQSHY_VAR", str(var))
        supervisor = Supervisor(var / "log", lambda _: None)
        try:
            parts = stack_parts(Settings())
            await supervisor.start(*(part for part in parts if part.name in names))
            yield Running(var, Settings(), supervisor)
        finally:
            await supervisor.stop()
