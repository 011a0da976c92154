from pathlib import Path

import pytest

from loadtest.result import save
from loadtest.throughput.compare import load, side_by_side


def test_two_results_stand_side_by_side_with_their_ratio() -> None:
    rows = side_by_side(
        {"events_per_s": {"saqshy": 100, "faust": 10}, "exact": True},
        {"events_per_s": {"saqshy": 150, "bytewax": 20}, "exact": False},
    )
    assert rows == [
        ("events_per_s.saqshy", 100, 150, 1.5),
        ("events_per_s.faust", 10, None, None),
        ("events_per_s.bytewax", None, 20, None),
    ]


def test_a_result_says_commit_seed_and_machine(tmp_path: Path) -> None:
    whole = load(save(tmp_path, "transport", 7, {"events_per_s": {"saqshy": 1}}))
    assert whole["seed"] == 7
    assert whole["machine"]["cores"] >= 1
    assert whole["figures"] == {"events_per_s": {"saqshy": 1}}


def test_a_file_that_is_no_result_is_refused(tmp_path: Path) -> None:
    other = tmp_path / "other.json"
    other.write_text("[1, 2]")
    with pytest.raises(ValueError, match="no result file"):
        load(other)
