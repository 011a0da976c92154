import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

pytestmark = pytest.mark.broker


def asked(folder: Path) -> dict[str, Any]:
    """Figures of a run over 200 schools, as sound as they must be."""
    command = [sys.executable, "-m", "loadtest", "queries", "--schools", "200"]
    environment = {"SAQSHY_VAR": str(folder), "PATH": "/usr/bin:/bin", "COLUMNS": "160"}
    done = subprocess.run(
        command, capture_output=True, text=True, timeout=240, env=environment, check=False
    )
    figures: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    assert figures["queries"] >= 100
    assert figures["failed"] == figures["wrong_shape"] == 0
    assert figures["raw_rows"] > 100_000 and figures["rollup_rows"] > 1_000_000
    assert "map_schools" in done.stdout
    return figures


def test_it_asks_every_query_on_thirty_days_and_says_what_each_costs(tmp_path: Path) -> None:
    assert asked(tmp_path)["made_in_s"] > 0


@pytest.mark.faults
def test_a_second_run_asks_what_the_first_has_made(tmp_path: Path) -> None:
    assert [asked(tmp_path)["made_in_s"] > 0 for _ in range(2)] == [True, False]
