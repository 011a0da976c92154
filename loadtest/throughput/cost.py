"""``python -m loadtest cost``: what the whole stack costs, at three rates and with two countries.

Each load is a run of its own of `saqshy up --for`, in the arrival rush, on a folder of its own, while ten
consoles listen and a reader asks as Grafana does. Ordinary: what 8,000 schools send on a school day.
"""

import asyncio
import json
import os
import sys
import tempfile
import time
from collections.abc import Sequence
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Annotated, Any, Final

import typer
from clickhouse_driver import Client
from clickhouse_driver.errors import Error as ClickHouseError

from dashboards.console.users import bearer
from dashboards.grafana.generate import dashboards
from dashboards.queries.ask import text_of
from dashboards.queries.macros import Range
from dashboards.queries.query import Query, queries
from deploy.embedded.ports import LOOPBACK, free_port
from deploy.panic_listener import Announced, listen
from loadtest.result import save
from schemas.settings import ClickHouseSettings, Settings, stack_file

RATES: Final = (1_300, 5_000, 20_000)
COUNTRIES: Final = (8_000, 32_000)
CONSOLES: Final = 10
REFRESH_S: Final = 10.0
"""How often Grafana asks for all panels of a dashboard that somebody looks at."""
WATCHED: Final = ("saqshy-live-map", "saqshy-panic")
KEPT: Final = (
    *("produced", "lost", "duplicated", "rollups_off", "panic_p99_ms", "events_per_s"),
    *("cpu_cores", "cpu_cores_in_all", "cpu_us_per_event", "memory_mb"),
    *("merged_rows_per_row", "inserts_per_s"),
)


def cost(
    seconds: Annotated[int, typer.Option(min=5, help="of each load")] = 20,
    schools: Annotated[
        list[int] | None, typer.Option(help="a country [default: 8000, 32000]")
    ] = None,
    rates: Annotated[
        list[int] | None, typer.Option("--rate", help="events/s [default: 1300, 5000, 20000]")
    ] = None,
    seed: Annotated[int, typer.Option(min=0)] = 1,
) -> None:
    """Run the whole stack under each load, and print what it cost as one JSON line.

    \b
    Examples:
      python -m loadtest cost
      python -m loadtest cost --schools 8000 --rate 1300 --seconds 120
    """
    figures = [
        asyncio.run(_load(country, rate, seconds, seed))
        for country in schools or COUNTRIES
        for rate in rates or RATES
    ]
    save(Settings().var, "cost", seed, {"seconds": seconds, "loads": figures})
    sys.stdout.write(
        json.dumps({"seconds": seconds, "consoles": CONSOLES, "loads": figures}) + "\n"
    )
    if any("error" in one or one["lost"] or one["duplicated"] for one in figures):
        raise typer.Exit(1)


async def _load(schools: int, rate: int, seconds: int, seed: int) -> dict[str, Any]:
    """One run, with its readers beside it; ``error`` has the end of what it said when it failed."""
    with tempfile.TemporaryDirectory(prefix="saqshy-cost-") as folder:
        var, port = Path(folder), free_port()
        asked: list[float] = []
        process = await asyncio.create_subprocess_exec(
            *(
                sys.executable,
                "-c",
                "from deploy.cli.main import app; app()",
                "up",
                "--json",
                "--for",
                f"{seconds}s",
            ),
            *("--schools", str(schools), "--rate", str(rate), "--seed", str(seed)),
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
            env={**os.environ, "SAQSHY_VAR": folder, "SAQSHY_CONSOLE__PORT": str(port)},
        )
        url = f"http://{LOOPBACK}:{port}/events"
        readers = [
            *(asyncio.create_task(listen(url, Announced(), bearer(var))) for _ in range(CONSOLES)),
            asyncio.create_task(_refresh(var, asked)),
        ]
        try:
            out, err = await process.communicate()
        finally:
            for reader in readers:
                reader.cancel()
            await asyncio.gather(*readers, return_exceptions=True)
        lines = out.decode().splitlines()
        wanted = {"schools": schools, "rate": rate}
        if not lines:
            return {**wanted, "error": err.decode()[-500:], "lost": None, "duplicated": None}
        report = json.loads(lines[-1])
        slowest_ms = round(max(asked, default=0.0), 1)
        return {**wanted, **{name: report[name] for name in KEPT}, "slowest_query_ms": slowest_ms}


async def _refresh(var: Path, asked: list[float]) -> None:
    """Ask every query of the watched dashboards again and again; ``asked``: how long each took, ms."""
    shown = _shown()
    while True:
        began_s = time.monotonic()
        with suppress(ClickHouseError, OSError, EOFError):  # not up yet, or not any more
            settings = ClickHouseSettings(**json.loads(stack_file(var).read_text())["clickhouse"])
            asked += await asyncio.to_thread(_ask, settings, shown)
        await asyncio.sleep(max(1.0, REFRESH_S - (time.monotonic() - began_s)))


def _shown() -> list[Query]:
    texts = {
        target["rawSql"]
        for name in WATCHED
        for panel in dashboards()[name]["panels"]
        for target in panel["targets"]
    }
    return [query for query in queries().values() if query.sql in texts]


def _ask(settings: ClickHouseSettings, shown: Sequence[Query]) -> list[float]:
    client = Client(**settings.driver_kwargs())
    took: list[float] = []
    try:
        for query in shown:
            now = datetime.now(UTC)
            text = text_of(query, Range(now - timedelta(hours=3), now), {})
            began_s = time.perf_counter()
            client.execute(text)
            took.append((time.perf_counter() - began_s) * 1000)
    finally:
        client.disconnect()
    return took
