"""Kafka's clock as a worker sees it."""

from hypothesis import given
from hypothesis import strategies as st

from streams.runtime.kafka.clock import KafkaClock

WALL_S = 1_790_000_000.0
BROKER_AHEAD_S = 3_600.0


@given(st.lists(st.tuples(st.floats(0, 30), st.floats(0, 300)), min_size=1, max_size=50))
def test_it_is_never_ahead_of_the_broker_however_late_records_come(
    drawn: list[tuple[float, float]],
) -> None:
    clock, now_s = KafkaClock(WALL_S, 0.0), 0.0
    for pause_s, late_s in drawn:
        now_s += pause_s
        clock.observe(int((WALL_S + BROKER_AHEAD_S + now_s - late_s) * 1000), now_s)
        assert clock.now_ms(now_s) <= (WALL_S + BROKER_AHEAD_S + now_s) * 1000


def test_it_follows_a_broker_that_is_an_hour_ahead_of_us() -> None:
    clock = KafkaClock(WALL_S, 100.0)
    clock.observe(int((WALL_S + BROKER_AHEAD_S) * 1000), 100.0)
    assert clock.at_ms(WALL_S + 4, WALL_S + 5, 105.0) == (WALL_S + BROKER_AHEAD_S + 4) * 1000


def test_a_proof_from_before_our_wall_clock_stepped_counts_for_nothing() -> None:
    clock = KafkaClock(WALL_S, 0.0)
    assert clock.at_ms(WALL_S + 1, WALL_S + 3_602, 2.0) is None
    assert clock.at_ms(WALL_S + 3_603, WALL_S + 3_603, 3.0) == (WALL_S + 3) * 1000


def test_a_proof_from_the_future_counts_for_nothing() -> None:
    clock = KafkaClock(WALL_S, 0.0)
    assert clock.at_ms(WALL_S + 1, WALL_S - 3_598, 2.0) is None
