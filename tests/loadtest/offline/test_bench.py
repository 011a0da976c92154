"""The simulated days, their truth, and the rules that are judged on them."""

import json
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

from loadtest.__main__ import app
from loadtest.offline.peers import Gap, Rule
from loadtest.offline.score import score
from loadtest.offline.simulate import Block, Scenario, judge, simulate
from loadtest.offline.trace import (
    DAY_MS,
    PERIOD_MS,
    START_MS,
    Cut,
    Habits,
    Trace,
    planned_cuts,
    shared_outages,
)
from loadtest.simulator.country import country

CALM = Habits(loss=0.0, short_per_day=0, middle_per_day=0, long_per_day=0, shared_per_day=0)
HOUR = 1 / 24
ASKED = {
    "school_days",
    "detect_p50_periods",
    "detect_p99_periods",
    "false_pages",
    "missed",
    "peers",
    "broker_stall",
}


def trace(cuts: list[list[Cut]], days: float = HOUR, habits: Habits = CALM) -> Trace:
    return Trace(country(1, len(cuts)), cuts, days, habits, seed=3)


def whole(it: Trace) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    columns = zip(*it.chunks(), strict=True)
    arrival, event, number = (np.concatenate(column) for column in columns)
    return arrival, event, number


def test_each_gateway_beats_once_a_period_in_the_order_of_arrival() -> None:
    arrival, _, number = whole(trace([[] for _ in range(20)]))
    assert (np.diff(arrival) >= 0).all()
    counts = np.bincount(number)
    assert (counts >= 238).all() and (counts <= 240).all()


def test_a_cut_swallows_what_was_sent_in_it_and_its_onset_is_the_first_of_that() -> None:
    cut = Cut(START_MS + 600_000, START_MS + 720_000)
    it = trace([[cut], []], habits=Habits(kept_share=0.0, loss=0.0))
    _, event, number = whole(it)
    sent = event[number == 0]
    assert not ((sent >= cut.start_ms) & (sent < cut.end_ms)).any()
    assert cut.start_ms - 1000 <= it.onsets[0, cut] <= cut.start_ms + PERIOD_MS + 1000


def test_what_a_gateway_kept_arrives_after_the_cut_with_its_own_time() -> None:
    cut = Cut(START_MS + 630_000, START_MS + 720_000)
    arrival, event, _ = whole(trace([[cut]], habits=Habits(kept_share=1.0, loss=0.0)))
    kept = (event >= cut.start_ms) & (event < cut.end_ms - PERIOD_MS)
    assert kept.sum() >= 5 and (arrival[kept] >= cut.end_ms).all()


def test_the_same_seed_gives_the_same_heartbeats() -> None:
    one, two = (whole(trace([[], []], habits=Habits())) for _ in range(2))
    assert all(np.array_equal(a, b) for a, b in zip(one, two, strict=True))


def test_planned_cuts_are_apart_and_shared_ones_are_in_all_their_schools() -> None:
    schools, habits = country(1, 300), Habits(shared_per_day=8)
    shared = shared_outages(schools, 1.0, habits, 1)
    planned = planned_cuts(schools, shared, 1.0, habits, 1)
    for cuts in planned:
        assert all(a.end_ms + 120_000 < b.start_ms for a, b in pairwise(cuts))
    hit = {cut.shared for cuts in planned for cut in cuts}
    assert {one.number for one in shared} <= hit


def test_a_page_is_right_within_a_cut_and_false_beside_it() -> None:
    cut, short = Cut(1_000_000, 1_100_000), Cut(2_000_000, 2_020_000)
    scored = score(
        [(0, 1_060_000), (0, 1_500_000), (0, 2_010_000)],
        [[cut, short], [cut]],
        {(0, cut): 1_005_000, (0, short): 2_005_000, (1, cut): 1_001_000},
    )
    assert (scored.pages, scored.right, scored.false) == (3, 1, 2)
    assert (scored.cuts, scored.missed, scored.delays_ms) == (2, 1, [55_000])


def test_a_rule_pages_at_the_first_look_after_its_timeout_if_it_still_holds() -> None:
    rule = Rule("absent", timeout_s=45, look_s=60, wait_s=30)
    # Silent since 10 s, so absent at 55 s, seen at 60 s, paged at 90 s.
    assert rule.pages([Gap(7, 10_000, 90_001), Gap(8, 10_000, 90_000)]) == [(7, 90_000)]


def test_a_stall_of_the_broker_pages_nobody_and_a_cut_is_found() -> None:
    schools = tuple(country(1, 40))
    wanted = Scenario(40, HOUR, 1, CALM)
    stall = (START_MS + 1_200_000, START_MS + 1_320_000)
    calm = judge(Block(tuple(range(40)), schools, tuple(() for _ in schools), wanted, stall))
    assert calm.ours.pages == 0
    assert all(peer.pages == 40 for peer in calm.peers[1:])
    cut = Cut(START_MS + 1_800_000, START_MS + 2_000_000)
    cuts = ((cut,), *(() for _ in schools[1:]))
    found = judge(Block(tuple(range(40)), schools, cuts, wanted))
    assert (found.ours.pages, found.ours.false, found.ours.missed) == (1, 0, 0)
    assert found.ours.delays_ms[0] <= 4.5 * PERIOD_MS


def test_two_days_of_a_few_schools_reach_what_is_asked() -> None:
    figures = simulate(Scenario(250, 0.25, 1, cores=1), lambda _: None)
    assert figures.keys() >= ASKED
    assert figures["missed"] == 0 and figures["false_pages"] == 0
    assert figures["detect_p50_periods"] <= 3.5 and figures["detect_p99_periods"] <= 4.5
    assert figures["heartbeats"] > 0.95 * 250 * 0.25 * DAY_MS / PERIOD_MS


def test_the_command_prints_one_json_object(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SAQSHY_VAR", str(tmp_path))
    ended = CliRunner().invoke(
        app, ["offline", "--quick", "--simulated", "--schools", "40", "--days", "0.05"]
    )
    assert ended.exit_code == 0, ended.output
    assert json.loads(ended.stdout.splitlines()[-1]).keys() >= ASKED
    assert list((tmp_path / "loadtest").glob("offline-*.json"))
