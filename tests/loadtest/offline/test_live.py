"""The live part of the benchmark, small: everything that it starts and hurts is real."""

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from loadtest.__main__ import app

pytestmark = [pytest.mark.broker, pytest.mark.faults]

ASKED = {
    *("school_days", "detect_p50_periods", "detect_p99_periods", "pipeline_p99_ms"),
    *("false_pages", "false_pages_from_own_trouble", "missed", "outage", "replay_identical"),
}


def test_silent_schools_are_found_live_and_our_own_trouble_pages_nobody(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SAQSHY_VAR", str(tmp_path))
    ended = CliRunner().invoke(app, ["offline", "--quick"])
    assert ended.exit_code == 0, ended.output
    figures = json.loads(ended.stdout.splitlines()[-1])
    assert figures.keys() >= ASKED
    assert figures["live_outages"] == 104 and figures["live_missed"] == 0
    assert figures["false_pages_from_own_trouble"] == figures["live_false_pages"] == 0
    assert figures["missed_after_own_trouble"] == 0
    assert any("clock" in what for what in figures["own_trouble"])
    assert figures["outage"]["incidents"] == 1 and figures["outage"]["notifications"] <= 3
    assert figures["outage"]["attributed"] >= 0.99 and figures["outage"]["absorbed"] <= 0.01
    assert figures["replay_identical"]
