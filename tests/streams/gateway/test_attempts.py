"""Which frames are one message: drawn courses of attempts against what the standard and panels do."""

from dataclasses import dataclass

from hypothesis import given
from hypothesis import strategies as st

from streams.gateway.attempts import AGAIN_WITHIN_MS, Attempts
from streams.gateway.read import Record
from streams.panic.decide import ALARM_LASTS_MS


def record(name: str) -> Record:
    return Record("t", "s", name, b"", (name,))


@dataclass(frozen=True)
class Press:
    """One message: ``pauses_s`` before each attempt, whether its panel counts up, and when at last it
    is acknowledged, if it is."""

    pauses_s: tuple[int, ...]
    counts_up: bool
    acknowledged: bool


presses = st.lists(
    st.builds(
        Press,
        st.lists(st.integers(1, 170), min_size=1, max_size=3).map(tuple),
        st.booleans(),
        st.booleans(),
    ),
    max_size=6,
)


@given(presses)
def test_each_message_is_taken_once_however_it_is_repeated(said: list[Press]) -> None:
    """A panel sends in order: the next message follows an acknowledgement, or a pause."""
    attempts, now_ms, seq, taken = Attempts(), 0, 1, list[Record]()
    for number, press in enumerate(said):
        messages = set()
        for pause_s in press.pauses_s:
            now_ms += pause_s * 1000
            message = attempts.message("panel", seq, record(f"{number}"), now_ms)
            messages.add(id(message))
            if not message.begun:
                message.begun = message.taken = True
                taken.append(message.record)
            message.turned_away = True
            seq += press.counts_up
        assert len(messages) == 1
        message.turned_away = not press.acknowledged
        if not press.acknowledged:
            now_ms += AGAIN_WITHIN_MS + 1
        seq += 1
    assert [one.id for one in taken] == [f"{number}" for number in range(len(said))]


def test_what_was_acknowledged_and_comes_under_the_next_number_is_new() -> None:
    attempts = Attempts()
    first = attempts.message("panel", 1, record("a"), 0)
    assert attempts.message("panel", 2, record("b"), 1_000) is not first
    assert attempts.message("other", 1, record("c"), 1_000) is not first
    assert attempts.message("panel", 1, record("d"), 1_000) is first


def test_a_panel_that_is_turned_away_for_ever_is_heard_again() -> None:
    """Behind its repeats may be a new press."""
    attempts, taken = Attempts(), set()
    for number in range(60):
        message = attempts.message("panel", number, record("a"), number * 60_000)
        message.turned_away = True
        taken.add(id(message))
        assert len(taken) <= 1 + number * 60_000 // ALARM_LASTS_MS
    assert len(taken) > 1


def test_a_better_record_counts_until_it_is_taken() -> None:
    attempts = Attempts()
    attempts.message("panel", 1, record("own clock"), 0)
    message = attempts.message("panel", 1, record("right clock"), 1)
    assert message.record.id == "right clock"
    message.begun = True
    assert attempts.message("panel", 1, record("again"), 2).record.id == "right clock"


def test_it_remembers_no_more_than_it_may() -> None:
    attempts = Attempts(most=10)
    for number in range(1_000):
        attempts.message(f"panel {number % 50}", number, record("a"), number)
    assert len(attempts._messages) <= 10
    assert len(attempts._last) <= 10
