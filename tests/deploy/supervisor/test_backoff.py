import random

from hypothesis import given
from hypothesis import strategies as st

from deploy.supervisor.backoff import HEALTHY_AFTER_S, LONGEST_S, backoff_s, crashes_in_a_row


@given(st.integers(1, 1000), st.integers())
def test_a_wait_is_bounded_and_never_nothing(crashes: int, seed: int) -> None:
    assert 0.1 <= backoff_s(crashes, random.Random(seed)) <= LONGEST_S


def test_crashes_in_a_row_are_forgotten_after_a_healthy_life() -> None:
    assert crashes_in_a_row(7, HEALTHY_AFTER_S) == 1
    assert crashes_in_a_row(7, 0.5) == 8
