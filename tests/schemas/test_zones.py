"""The host's old time zones do not reach us (moment/moment-timezone#1101): every process, in a process."""

import os
import shutil
import subprocess
import sys
from importlib.resources import as_file, files
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PROCESSES = (
    *("deploy.cli.main", "streams.__main__", "dashboards.console.__main__", "deploy.sampler"),
    *("deploy.embedded.clickhouse.__main__", "loadtest.simulator.simulate"),
)


@pytest.fixture(scope="module")
def old_zones(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A host where Almaty is on UTC+6 still."""
    folder = tmp_path_factory.mktemp("zoneinfo")
    (folder / "Asia").mkdir()
    with as_file(files("tzdata.zoneinfo.Etc") / "GMT-6") as six:
        shutil.copy(six, folder / "Asia" / "Almaty")
    return folder


def offset_after(imported: str, old_zones: Path) -> str:
    """Hours from UTC in Almaty, in a process that imported this."""
    done = subprocess.run(
        [
            *(sys.executable, "-c"),
            "import datetime, importlib, sys, zoneinfo\n"
            "zoneinfo.ZoneInfo('Asia/Almaty')\n"  # as a library might have done before
            "for name in sys.argv[1:]: importlib.import_module(name)\n"
            "at = datetime.datetime(2026, 1, 1, tzinfo=zoneinfo.ZoneInfo('Asia/Almaty'))\n"
            "print(at.utcoffset())",
            *imported.split(),
        ],
        env={**os.environ, "PYTHONTZPATH": str(old_zones)},
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    )
    return done.stdout.strip()


def test_the_old_host_is_one(old_zones: Path) -> None:
    assert offset_after("", old_zones) == "6:00:00"


@pytest.mark.parametrize("process", PROCESSES)
def test_every_process_is_on_the_locked_time_zones(old_zones: Path, process: str) -> None:
    assert offset_after(process, old_zones) == "5:00:00"
