"""A partition counts as caught up only as of a moment before the end was asked for."""

from hypothesis import given
from hypothesis import strategies as st

from streams.transport import Progress


def test_it_is_caught_up_as_of_the_question_not_of_the_answer_or_the_work() -> None:
    progress = Progress()
    progress.handled(5)
    progress.end_seen(7, asked_at_s=100.0)
    assert (progress.caught_up_at_s, progress.lag) == (None, 2)
    progress.handled(7, timestamp_ms=99_000)
    assert (progress.caught_up_at_s, progress.lag) == (100.0, 0)


def test_it_stays_caught_up_as_of_the_past_when_more_arrives() -> None:
    progress = Progress()
    progress.handled(7)
    progress.end_seen(7, asked_at_s=100.0)
    progress.end_seen(9, asked_at_s=101.0)
    assert (progress.caught_up_at_s, progress.lag) == (100.0, 2)


def test_an_unknown_position_is_no_lag_and_no_progress() -> None:
    progress = Progress()
    progress.end_seen(7, asked_at_s=100.0)
    assert (progress.caught_up_at_s, progress.lag) == (None, None)


@given(st.lists(st.tuples(st.booleans(), st.integers(0, 5))))
def test_nothing_appended_before_the_moment_is_unhandled(steps: list[tuple[bool, int]]) -> None:
    """At each moment a record is appended; the end is asked for, or some records are handled."""
    progress = Progress()
    progress.handled(0)
    handled = 0
    for now, (ask, amount) in enumerate(steps, start=1):
        appended = now
        if ask:
            progress.end_seen(appended, asked_at_s=float(now))
        else:
            handled = min(appended, handled + amount)
            progress.handled(handled)
        if progress.caught_up_at_s is not None:
            assert handled >= progress.caught_up_at_s
