from loadtest.throughput.exact import Stored, prove

GOOD = {0: Stored(rows=10, offsets=10, first=0, last=9), 1: Stored(5, 5, 0, 4)}
ROLLUPS = {"flow_1m": 15, "flow_1h": 15}


def test_every_offset_once_is_exact() -> None:
    proof = prove(GOOD, {0: 10, 1: 5}, ROLLUPS, events=15)
    assert proof.exact
    assert proof.rows == 15


def test_a_stored_prefix_is_exact_when_the_window_ended_early() -> None:
    assert prove(GOOD, None, ROLLUPS, events=15).exact


def test_a_double_row_is_found() -> None:
    doubled = {0: Stored(rows=11, offsets=10, first=0, last=9)}
    assert not prove(doubled, None, {"flow_1m": 11}, events=11).exact


def test_a_gap_is_found() -> None:
    gap = {0: Stored(rows=9, offsets=9, first=0, last=9)}
    assert not prove(gap, None, {"flow_1m": 9}, events=9).exact


def test_a_missing_end_is_found() -> None:
    assert not prove(GOOD, {0: 10, 1: 6}, ROLLUPS, events=15).exact


def test_a_partition_without_a_row_is_found() -> None:
    assert not prove(GOOD, {0: 10, 1: 5, 2: 3}, ROLLUPS, events=15).exact


def test_a_rollup_that_counts_otherwise_is_named() -> None:
    assert prove(GOOD, None, {"flow_5m": 14}, events=15).wrong == ("flow_5m counts 14, not 15",)


def test_an_event_stored_at_two_offsets_is_found() -> None:
    assert not prove(GOOD, None, ROLLUPS, events=14).exact


def test_a_valid_event_among_the_dead_letters_is_found() -> None:
    assert not prove(GOOD, None, ROLLUPS, events=15, rejected=1).exact
