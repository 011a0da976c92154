import pytest

from schemas.alerts import Reason
from streams.store.limit import MAX_RUN, WINDOW, DeadLetterLimit, TooManyDeadLetters


def test_a_run_without_a_good_record_stops_the_lane() -> None:
    limit = DeadLetterLimit()
    with pytest.raises(TooManyDeadLetters, match="in a row"):
        for _ in range(MAX_RUN + 1):
            limit.note(0, [Reason.INVALID])


def test_a_high_share_stops_the_lane() -> None:
    limit = DeadLetterLimit()
    with pytest.raises(TooManyDeadLetters, match="%"):
        for _ in range(WINDOW):
            limit.note(1, [Reason.INVALID, Reason.NOT_JSON])


def test_duplicates_and_a_few_bad_records_do_not() -> None:
    limit = DeadLetterLimit()
    for _ in range(WINDOW):
        limit.note(10, [Reason.INVALID, *[Reason.DUPLICATE] * 50])
    for _ in range(MAX_RUN + 1):
        limit.note(0, [Reason.DUPLICATE])
