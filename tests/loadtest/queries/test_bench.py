import json
import subprocess
import sys
from pathlib import Path

import pytest


@pytest.mark.broker
def test_it_asks_every_query_on_thirty_days_and_says_what_each_costs(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "loadtest", "queries", "--schools", "200"]
    environment = {"SAQSHY_VAR": str(tmp_path), "PATH": "/usr/bin:/bin", "COLUMNS": "160"}
    for made_again in (True, False):
        done = subprocess.run(
            command, capture_output=True, text=True, timeout=240, env=environment, check=False
        )
        figures = json.loads(done.stdout.splitlines()[-1])
        assert figures["queries"] >= 100
        assert figures["failed"] == figures["wrong_shape"] == 0
        assert figures["raw_rows"] > 100_000 and figures["rollup_rows"] > 1_000_000
        assert "map_schools" in done.stdout
        assert (figures["made_in_s"] > 0) is made_again
