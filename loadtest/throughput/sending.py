"""The generator's process, seen from the benchmark that starts it; and what a run needs beforehand."""

import asyncio
import json
import subprocess
import sys
import time
from dataclasses import dataclass
from typing import Any, Final, Self

from loadtest.throughput.generator import Sender, Task, packed
from loadtest.throughput.passes import Crowd, registrations
from schemas.settings import Settings
from schemas.topics import REGISTRY
from streams.runtime.kafka import clients

STOP_S: Final = 60.0


@dataclass(slots=True)
class Generator:
    """Started with everything laid out: ``go()``, then ``report()``."""

    process: "subprocess.Popen[str]"

    @classmethod
    def start(cls, task: Task, settings: Settings) -> Self:
        """Raises RuntimeError when the generator ends before it is ready."""
        generator = cls(_popen(task, settings))
        assert generator.process.stdout is not None
        if generator.process.stdout.readline().strip() != "ready":
            raise RuntimeError(f"the generator ended with {generator.process.wait()}")
        return generator

    def go(self) -> None:
        assert self.process.stdin is not None
        self.process.stdin.write("go\n")
        self.process.stdin.flush()

    def running(self) -> bool:
        return self.process.poll() is None

    def report(self, timeout_s: float = STOP_S) -> dict[str, Any]:
        """Raises RuntimeError when it failed, subprocess.TimeoutExpired when it doesn't end."""
        try:
            said, _ = self.process.communicate(timeout=timeout_s)
        finally:
            self.stop()
        return _last_line(said, self.process.returncode)

    def stop(self) -> None:
        if self.process.poll() is None:
            self.process.kill()
            self.process.wait()


def preload(task: Task, settings: Settings, timeout_s: float = 300.0) -> dict[str, Any]:
    """Run a task without a rate to its end. Raises as ``Generator.report`` does."""
    return Generator(_popen(task, settings)).report(timeout_s)


def _popen(task: Task, settings: Settings) -> "subprocess.Popen[str]":
    return subprocess.Popen(
        [sys.executable, "-m", "loadtest.throughput.generator"],
        env=task.environment(settings.kafka.aiokafka_kwargs()),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )


def _last_line(said: str, code: int) -> dict[str, Any]:
    try:
        report: dict[str, Any] = json.loads(said.strip().splitlines()[-1])
    except (IndexError, ValueError):
        raise RuntimeError(f"the generator ended with {code} and no report") from None
    return report


def register(crowd: Crowd, settings: Settings) -> None:
    """Put the crowd's schools into the registry, as the store knows no others."""

    async def send() -> None:
        producer = clients.producer(settings.kafka)
        await producer.start()
        try:
            sender = Sender(producer, REGISTRY.name)
            for partition, builder in packed(registrations(crowd, time.time_ns() // 1_000_000)):
                await sender.send(partition, builder)
            await sender.flush()
        finally:
            await producer.stop()

    asyncio.run(send())
