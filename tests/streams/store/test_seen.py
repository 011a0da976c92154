from hypothesis import given
from hypothesis import strategies as st

from streams.store.seen import Seen

A = ("KZ-75-00001", "turnstile-1", 1)
sequences = st.lists(st.integers(0, 60), max_size=200)


@given(sequences)
def test_a_sequence_is_new_once_in_any_order(drawn: list[int]) -> None:
    seen, model = Seen(0), set()
    for seq in drawn:
        assert seen.first_time(*A, seq) == (seq not in model)
        model.add(seq)


@given(sequences, sequences)
def test_a_memory_built_from_stored_ranges_says_the_same(
    before: list[int], after: list[int]
) -> None:
    islands: list[tuple[str, str, int, int, int]] = []
    for seq in sorted(set(before)):
        if islands and islands[-1][4] == seq - 1:
            islands[-1] = (*A, islands[-1][3], seq)
        else:
            islands.append((*A, seq, seq))
    lived, rebuilt = Seen(0), Seen(0, reversed(islands))
    for seq in before:
        lived.first_time(*A, seq)
    assert lived.ranges == rebuilt.ranges
    assert [lived.first_time(*A, s) for s in after] == [rebuilt.first_time(*A, s) for s in after]


def test_a_gap_that_fills_leaves_one_range() -> None:
    seen = Seen(0)
    for seq in (1, 2, 5, 6, 4, 3):
        assert seen.first_time(*A, seq)
    assert seen.ranges == 1


def test_another_boot_starts_anew() -> None:
    seen = Seen(0)
    assert seen.first_time("s", "d", 1, 7)
    assert seen.first_time("s", "d", 2, 7)
    assert not seen.first_time("s", "d", 1, 7)


events = st.lists(
    st.tuples(st.sampled_from("ab"), st.integers(1, 3), st.integers(0, 12)), max_size=200
)


@given(events, events)
def test_devices_and_boots_in_any_order_are_told_apart(
    before: list[tuple[str, int, int]], after: list[tuple[str, int, int]]
) -> None:
    lived, model = Seen(0), set()
    for event in before:
        assert lived.first_time("s", *event) == (event not in model)
        model.add(event)
    rebuilt = Seen(0, [("s", device, boot, seq, seq) for device, boot, seq in model])
    assert rebuilt.ranges == len(model)
    for event in after:
        new = event not in model
        assert lived.first_time("s", *event) == rebuilt.first_time("s", *event) == new
        model.add(event)


@given(events)
def test_the_ranges_are_counted(drawn: list[tuple[str, int, int]]) -> None:
    seen, model = Seen(0), set()
    for event in drawn:
        seen.first_time("s", *event)
        model.add(event)
    starts = [(d, boot, seq) for d, boot, seq in model if (d, boot, seq - 1) not in model]
    assert seen.ranges == len(starts)
