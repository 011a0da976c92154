"""The embedded parts as bare processes, so that a test may end them as it likes."""

import asyncio
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from clickhouse_driver.errors import Error as ClickHouseError

from deploy.embedded.clickhouse import clickhouse_ready, clickhouse_settings
from deploy.embedded.kafka import kafka_ready, kafka_settings
from schemas.settings import ClickHouseSettings, KafkaSettings

READY_WITHIN_S = 200


@contextmanager
def part(module: str, var: Path, port: int) -> Iterator["subprocess.Popen[bytes]"]:
    """The part started; killed at the end if it still runs."""
    process = subprocess.Popen(
        [sys.executable, "-m", module, "--var", str(var), "--port", str(port)]
    )
    try:
        yield process
    finally:
        if process.poll() is None:
            process.kill()
            process.wait(60)


@contextmanager
def clickhouse(
    var: Path, port: int
) -> Iterator[tuple[ClickHouseSettings, "subprocess.Popen[bytes]"]]:
    """The engine, ready."""
    settings = clickhouse_settings(var, port)
    with part("deploy.embedded.clickhouse", var, port) as process:
        _wait(process, lambda: asyncio.run(clickhouse_ready(settings)))
        yield settings, process


@contextmanager
def kafka(var: Path, port: int) -> Iterator[tuple[KafkaSettings, "subprocess.Popen[bytes]"]]:
    """The broker, ready."""
    settings = kafka_settings(var, port)
    with part("deploy.embedded.kafka", var, port) as process:
        _wait(process, lambda: asyncio.run(kafka_ready(settings)))
        yield settings, process


def _wait(process: "subprocess.Popen[bytes]", ready: Callable[[], bool]) -> None:
    deadline = time.monotonic() + READY_WITHIN_S
    while True:
        assert process.poll() is None, "the part ended"
        assert time.monotonic() < deadline, "the part is not ready"
        try:
            if ready():
                return
        except (ClickHouseError, OSError, EOFError):
            pass  # not yet
        time.sleep(0.05)
