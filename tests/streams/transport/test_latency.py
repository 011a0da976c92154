"""The histogram of how long records waited: never too small, a quarter too large at most, of one minute."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from streams.transport.latency import GROWTH, Latency

NOW_S = 1_790_000_000.0


def test_nothing_handled_is_no_latency() -> None:
    assert Latency().quantile_s(0.99, NOW_S) is None


@given(
    st.lists(
        st.tuples(st.floats(1, 3_600_000), st.integers(1, 5_000), st.integers(0, 49)), min_size=1
    )
)
def test_a_quantile_is_never_too_small_and_a_quarter_too_large_at_most(
    batches: list[tuple[float, int, int]],
) -> None:
    latency = Latency()
    for wait_ms, records, ago_s in sorted(batches, key=lambda one: -one[2]):
        at_s = NOW_S - ago_s
        latency.handled(at_s * 1000 - wait_ms, records, at_s)
    waits = sorted((wait_ms, records) for wait_ms, records, _ in batches)
    wanted, seen, true_ms = 0.99 * sum(records for _, records in waits), 0, 0.0
    for true_ms, records in waits:  # noqa: B007 (the one at which it stops)
        seen += records
        if seen >= wanted:
            break
    found_s = latency.quantile_s(0.99, NOW_S)
    assert found_s is not None
    assert true_ms * 0.999 <= found_s * 1000 <= true_ms * GROWTH * 1.001 + 1


def test_what_was_handled_more_than_a_minute_ago_counts_no_more() -> None:
    latency = Latency()
    latency.handled((NOW_S - 100) * 1000, 10, NOW_S)
    latency.handled((NOW_S + 60) * 1000 - 2, 10, NOW_S + 60)
    assert latency.quantile_s(0.99, NOW_S + 60) == pytest.approx(0.002, rel=0.5)
    assert latency.quantile_s(0.99, NOW_S + 121) is None


def test_one_late_record_of_a_hundred_is_seen_in_the_last_percent_only() -> None:
    latency = Latency()
    latency.handled(NOW_S * 1000 - 10, 985, NOW_S)
    latency.handled(NOW_S * 1000 - 5_000, 15, NOW_S)
    assert (latency.quantile_s(0.98, NOW_S) or 9) < 0.02
    assert (latency.quantile_s(0.99, NOW_S) or 0) >= 5


def test_a_broker_whose_clock_is_ahead_makes_no_negative_wait() -> None:
    latency = Latency()
    latency.handled((NOW_S + 5) * 1000, 1, NOW_S)
    assert latency.quantile_s(0.99, NOW_S) == pytest.approx(0.001)
