from loadtest.throughput.hdr import histogram, loaded, percentiles_ms, recorded, saved
from loadtest.throughput.live import Poll, growth, latencies


def test_a_row_is_as_late_as_the_poll_that_saw_it_first() -> None:
    polls = [Poll(1_000, {}), Poll(1_500, {0: 3}), Poll(2_000, {0: 3}), Poll(3_000, {0: 4})]
    appended = {0: [(1_100, 2), (1_400, 2)]}
    assert list(latencies(polls, appended)) == [(400, 2), (100, 1), (1_600, 1)]


def test_partitions_are_timed_apart() -> None:
    polls = [Poll(2_000, {0: 1}), Poll(3_000, {0: 1, 1: 1})]
    assert list(latencies(polls, {0: [(1_000, 1)], 1: [(1_000, 1)]})) == [(1_000, 1), (2_000, 1)]


def test_what_was_never_seen_has_no_latency() -> None:
    assert list(latencies([Poll(1_000, {0: 1})], {0: [(900, 5)], 1: [(900, 5)]})) == [(100, 1)]


def polled(per_s: int) -> list[Poll]:
    return [Poll(t * 100, {0: t * per_s // 10}) for t in range(101)]


def test_a_system_that_stores_what_comes_has_no_growing_backlog() -> None:
    assert abs(growth(polled(1_000), began_ms=0, seconds=10, sent=10_000)) < 1


def test_a_system_that_stores_less_falls_behind_by_the_difference() -> None:
    assert abs(growth(polled(600), began_ms=0, seconds=10, sent=10_000) - 400) < 1


def test_percentiles_are_in_milliseconds() -> None:
    found = percentiles_ms(recorded([(10.0, 99), (1_000.0, 1)]))
    assert found["p50"] == 10.0
    assert 999 <= found["max"] <= 1_001


def test_an_empty_histogram_has_no_percentiles() -> None:
    assert percentiles_ms(histogram()) == {}


def test_a_saved_histogram_is_read_back() -> None:
    made = recorded([(3.5, 7), (250.0, 2)])
    back = loaded(saved({"latency": made})["latency"])
    assert back.get_total_count() == 9
    assert percentiles_ms(back) == percentiles_ms(made)
