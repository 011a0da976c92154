"""`saqshy up` as it is, and another user of the machine who looks for what it wrote."""

import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from deploy.embedded.ports import free_port
from schemas.private import OURS

pytestmark = [pytest.mark.broker, pytest.mark.faults, pytest.mark.timeout(1_000)]

ROOT = Path(__file__).parents[2]
NOBODY = 65_534


@pytest.fixture
def place() -> Iterator[Path]:
    """A folder that everybody may enter, as where people put data; pytest's own are closed."""
    folder = Path(tempfile.mkdtemp())
    folder.chmod(0o755)
    yield folder
    shutil.rmtree(folder, ignore_errors=True)


def read_by_nobody(*folders: Path) -> str:
    """The files that another user may read, a line each."""
    looked = subprocess.run(
        ["find", *folders, "-type", "f", "-readable"],
        cwd="/",
        user=NOBODY,
        group=NOBODY,
        extra_groups=[],
        capture_output=True,
        check=False,  # it fails at the folders that are closed to it
    )
    return looked.stdout.decode()


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can be somebody else")
def test_another_user_reads_nothing_of_a_stack_that_runs(place: Path) -> None:
    var = place / "var"
    # What an older version left: open, and with a report in it.
    (var / "dispatch").mkdir(parents=True)
    (var / "dispatch" / "old.journal").write_text("a child's report")
    (var / "dispatch" / "old.journal").chmod(0o644)
    assert read_by_nobody(place) != ""
    environment = {
        **os.environ,
        "SAQSHY_VAR": str(var),
        "SAQSHY_CONSOLE__PORT": str(free_port()),
        "PYTHONPATH": str(ROOT),
    }
    command = [sys.executable, "-c", "from deploy.cli.main import app; app()", "up", "--for=3s"]
    with (place / "run.log").open("wb") as log:
        subprocess.run(
            [*command, "--schools=50", "--rate=200", "--panics=5"],
            env=environment,
            umask=0o022,
            cwd=place,
            stdout=log,
            stderr=log,
            check=True,
            timeout=900,
        )
    assert "sign in as operator" in (place / "run.log").read_text()
    assert {path.name for path in var.iterdir()} <= OURS
    assert read_by_nobody(place) == ""
    # Not only because the outermost door is closed.
    var.chmod(0o755)
    assert read_by_nobody(*var.iterdir()) == ""
    files = [path for path in var.rglob("*") if path.is_file()]
    assert len(files) > 100
    assert [path for path in files if path.stat().st_mode & 0o077] == []
