"""The embedded engine as a process of these tests' own, on the native protocol."""

import asyncio
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from clickhouse_driver.errors import Error as ClickHouseError

from deploy.embedded.clickhouse import clickhouse_ready, clickhouse_settings
from deploy.embedded.ports import free_port
from schemas.settings import ClickHouseSettings

READY_WITHIN_S = 200


@contextmanager
def engine(var: Path) -> Iterator[ClickHouseSettings]:
    """Serve from ``var`` and stop at the end."""
    port = free_port()
    settings = clickhouse_settings(var, port)
    process = subprocess.Popen(
        [
            *(sys.executable, "-m", "deploy.embedded.clickhouse"),
            *("--var", str(var), "--port", str(port)),
        ]
    )
    try:
        deadline = time.monotonic() + READY_WITHIN_S
        while not _answers(settings):
            assert process.poll() is None, "the engine ended"
            assert time.monotonic() < deadline, "the engine is not ready"
            time.sleep(0.1)
        yield settings
    finally:
        process.terminate()
        process.wait(60)


def _answers(settings: ClickHouseSettings) -> bool:
    try:
        return asyncio.run(clickhouse_ready(settings))
    except (ClickHouseError, OSError, EOFError):
        return False
