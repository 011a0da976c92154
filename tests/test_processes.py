"""Whatever lists processes agrees with streams.processes; a lane is added by a row alone."""

import json
import os
import re
import subprocess
import sys
import time
from http.client import HTTPException
from importlib.util import find_spec
from pathlib import Path
from urllib.request import urlopen

import pytest

from deploy import wiring
from deploy.addresses import health_port
from deploy.cli.replay import Lane as Replayed
from deploy.embedded.disk import SIMULATOR, stopped_at
from deploy.embedded.ports import free_port
from deploy.sampler import workers_here
from schemas.settings import ConsoleSettings, Settings, WatchdogSettings
from streams import processes
from streams.processes import PROCESSES, Process, parts, runnable
from streams.runtime.direct import MATTERS
from streams.runtime.service import Service, health_of, metrics_of
from streams.worker import LaneApp, serving
from tests.pipeline.test_kills import lanes

ROOT = Path(__file__).parents[1]
ARCHITECTURE = (ROOT / "docs" / "architecture.md").read_text()
OPERATIONS = (ROOT / "docs" / "operations.md").read_text()
NEEDS = {"kafka": "Kafka", "clickhouse": "ClickHouse", "disk": "disk"}

MADE_UP = Process(
    name="made-up",
    kind="lane",
    factory="made_up_lane:service",
    does="nothing",
    nice=processes.BULK,
    shed_at="low",
)
ITS_MODULE = """
import asyncio
from streams.runtime.service import Service

def service(settings):
    return Service(name="made-up", run=asyncio.Event().wait)
"""
ITS_START = """
from made_up import MADE_UP
from streams.__main__ import main
main([MADE_UP])
"""


def cells(text: str, heading: str) -> dict[str, list[str]]:
    """The rows of the table that begins with the line ``heading``, by the name in their first cell."""
    lines = text.split(f"\n{heading}\n")[1].splitlines()[1:]
    rows = {}
    for line in lines:
        if not line.startswith("|"):
            break
        first, *rest = [cell.strip() for cell in line.strip("|").split(" | ")]
        name = re.match(r"`([\w-]+)`", first.strip())
        assert name, line
        rows[name[1]] = rest
    return rows


def documented() -> dict[str, list[str]]:
    lanes = cells(ARCHITECTURE, "| worker | reads | does | needs |")
    return lanes | cells(ARCHITECTURE, "| service | hears | does | needs |")


def test_the_map_names_every_process_with_its_topics_and_needs() -> None:
    rows = documented()
    assert set(rows) == {row.name for row in PROCESSES}
    for row in PROCESSES:
        reads, _, needs = rows[row.name]
        assert set(re.findall(r"`(saqshy\.\w+)`", reads)) == {t.name for t in row.topics}, row.name
        said = needs.strip("| ").partition(" (")[0]
        assert said == (", ".join(NEEDS[need] for need in row.needs) or "nothing"), row.name


def test_the_runbook_names_every_part_of_a_machine_with_its_place() -> None:
    heading = "| process of one machine | runs | nice | stops when the disk is |"
    rows = cells(OPERATIONS, heading)
    marks = {None: "", "low": "low", "critical": "nearly full"}
    assert {name: [cell.strip("| ") for cell in rest] for name, rest in rows.items()} == {
        part.name: [", ".join(row.name for row in part.rows), str(part.nice), marks[part.shed_at]]
        for part in parts()
    }


@pytest.mark.parametrize("row", PROCESSES, ids=lambda row: row.name)
async def test_every_row_makes_the_service_of_its_name(row: Process, tmp_path: Path) -> None:
    for replica in row.replicas:
        made = row.made(settings_in(tmp_path / (replica or "only")), replica)
        service = serving(made) if isinstance(made, LaneApp) else made
        assert isinstance(service, Service)
        assert service.name.removesuffix(f"-{replica}") == row.name
        assert await metrics_of(row.name, [service])
        assert set(health_of([service])[1]) >= {"service", "ready", "sources", "too_old"}


def test_what_the_table_starts_is_there() -> None:
    for row in PROCESSES:
        assert find_spec(f"{row.module}.__main__" if row.module != "deploy.sampler" else row.module)


def test_importing_the_table_imports_no_process() -> None:
    heavy = ("faust", "aiokafka", "aiohttp", "clickhouse_driver", "uvicorn")
    code = f"import sys, streams.processes; print([m for m in {heavy} if m in sys.modules])"
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert ran.stdout.strip() == "[]"


def test_what_runs_together_has_one_place_and_stops_together() -> None:
    for part in parts():
        assert len({(row.nice, row.shed_at, row.told, row.module) for row in part.rows}) == 1
        assert len(part.rows) == 1 or not part.member


def test_the_rules_of_grafana_watch_every_lane() -> None:
    sql = (ROOT / "dashboards" / "queries" / "sql" / "rules.sql").read_text()
    lists = re.findall(r"arrayJoin\(\[([^\]]*)\]\) AS lane", sql)
    lanes = [row.name for row in PROCESSES if row.kind == "lane"]
    assert [re.findall(r"'(\w+)'", one) for one in lists] == [lanes, lanes]


def test_every_deciding_lane_can_be_replayed() -> None:
    deciding = {r.name for r in PROCESSES if r.kind == "lane" and "clickhouse" not in r.needs}
    assert {lane.value for lane in Replayed} == deciding


def test_who_is_told_directly_has_a_door_and_starts_before_who_tells() -> None:
    assert {row.name for row in PROCESSES if row.told} == set(MATTERS)
    order = [part.name for part in parts()]
    told = [part.name for part in parts() if part.told and part.name != wiring.CONSOLE]
    assert max(order.index(name) for name in told) < order.index("gateway")


def test_the_disk_stops_what_the_table_says_and_never_a_press_path() -> None:
    assert stopped_at("none") == ()
    low, critical = set(stopped_at("flow")), set(stopped_at("all_but_panic"))
    assert low == {SIMULATOR, *(p.name for p in parts() if p.shed_at == "low")}
    assert critical - low == {p.name for p in parts() if p.shed_at == "critical"}
    assert not critical & {"panic-a", "panic-b", "gateway", "dispatch", "dispatch-b", "notify"}


@pytest.fixture
def with_made_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(processes, "PROCESSES", (*PROCESSES, MADE_UP))


def settings_in(folder: Path) -> Settings:
    return Settings(
        var=folder,
        console=ConsoleSettings(port=free_port()),
        watchdog=WatchdogSettings(canaries=False),
    )


@pytest.mark.usefixtures("with_made_up")
def test_a_made_up_lane_is_started_watched_sampled_and_shed_by_its_row_alone(
    tmp_path: Path,
) -> None:
    settings = settings_in(tmp_path)
    by_name = {part.name: part for part in wiring.worker_parts(settings)}
    part = by_name["made-up"]
    assert part.argv[1:] == ("-m", "streams", "made-up")
    assert part.nice == processes.BULK
    url = f"http://127.0.0.1:{health_port(tmp_path, 'made-up')}"
    watched = json.loads(by_name["watchdog"].env["SAQSHY_WATCHDOG"])["health_urls"]
    assert watched["made-up"] == f"{url}/health"
    assert set(watched) == {p.name for p in parts()} - {"watchdog"}
    assert workers_here(settings)["made-up"] == f"{url}/metrics"
    assert "made-up" in stopped_at("flow")
    assert "made-up" in runnable()
    assert "made-up" in lanes()


def test_a_made_up_lane_runs_until_sigterm_by_its_row_alone(tmp_path: Path) -> None:
    """From outside of the tree, on the skeleton that all others have."""
    (tmp_path / "made_up_lane.py").write_text(ITS_MODULE)
    (tmp_path / "made_up.py").write_text(
        f"from streams.processes import Process\nMADE_UP = {MADE_UP}"
    )
    port = free_port()
    process = subprocess.Popen(
        [sys.executable, "-c", ITS_START, "made-up"],
        env={
            **os.environ,
            "PYTHONPATH": f"{tmp_path}:{ROOT}",
            "SAQSHY_VAR": str(tmp_path / "var"),
            "SAQSHY_WORKER__HEALTH_PORT": str(port),
        },
    )
    try:
        status, said = answered(f"http://127.0.0.1:{port}/health", process)
        assert (status, json.loads(said)["service"]) == (200, "made-up")
        _, text = answered(f"http://127.0.0.1:{port}/metrics", process)
        assert 'saqshy_cpu_seconds_total{lane="made-up"}' in text
    finally:
        process.terminate()
        assert process.wait(120) == 0


def answered(url: str, process: "subprocess.Popen[bytes]") -> tuple[int, str]:
    """Status and body, once somebody listens."""
    while True:
        assert process.poll() is None
        try:
            with urlopen(url, timeout=10) as it:
                return it.status, it.read().decode()
        except (OSError, HTTPException):
            time.sleep(0.05)


@pytest.mark.parametrize("name", ["gateway", "dispatch", "notify", "verify", "watchdog"])
def test_a_service_loads_no_faust(name: str) -> None:
    """It is 10 MB, and time at a restart."""
    code = f"import sys, streams.__main__, streams.{name}.process; print('faust' in sys.modules)"
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert ran.stdout.strip() == "False"
