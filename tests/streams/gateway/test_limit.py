from hypothesis import given
from hypothesis import strategies as st

from streams.gateway.limit import Limit, Recent


def test_a_burst_is_let_through_and_then_the_rate() -> None:
    limit = Limit(per_s=10, burst=20)
    assert limit.wait_s("a", 20, 0.0) == 0
    assert limit.wait_s("a", 5, 0.0) == 0.5
    assert limit.wait_s("a", 5, 0.5) == 0
    assert limit.wait_s("a", 1, 0.5) > 0


def test_one_device_does_not_use_up_anothers() -> None:
    limit = Limit(per_s=1, burst=1)
    assert limit.wait_s("a", 1, 0.0) == 0
    assert limit.wait_s("a", 1, 0.0) > 0
    assert limit.wait_s("b", 1, 0.0) == 0


def test_more_than_the_burst_is_had_by_a_full_bucket_which_then_owes_it() -> None:
    limit = Limit(per_s=10, burst=20)
    assert limit.wait_s("a", 50, 0.0) == 0
    assert limit.wait_s("a", 1, 3.0) > 0
    assert limit.wait_s("a", 1, 3.2) == 0


def test_a_clock_set_back_earns_nothing_and_breaks_nothing() -> None:
    limit = Limit(per_s=10, burst=20)
    limit.wait_s("a", 20, 100.0)
    assert limit.wait_s("a", 1, 50.0) > 0


@given(st.lists(st.tuples(st.floats(0, 2), st.integers(1, 30)), max_size=60))
def test_no_device_has_more_than_its_burst_and_its_rate(asked: list[tuple[float, int]]) -> None:
    limit, now_s, had = Limit(per_s=10, burst=20), 0.0, 0
    for pause_s, cost in asked:
        now_s += pause_s
        if limit.wait_s("a", cost, now_s) == 0:
            had += cost
    assert had <= 20 + 10 * now_s + 30


def test_what_was_seen_lately_is_known_and_what_was_long_ago_is_not() -> None:
    recent = Recent(2)
    for what in ("a", "b", "a", "c"):
        recent.add(what)
    assert "a" in recent
    assert "b" not in recent
