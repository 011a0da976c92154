"""The last word on a key whose records lie in several partitions."""

from dataclasses import dataclass

from hypothesis import given
from hypothesis import strategies as st

from streams.runtime.kafka.newest import Newest


@dataclass(frozen=True)
class Row:
    partition: int
    offset: int
    timestamp: int
    key: bytes = b"KZ-75-00001"


def last_word(rows: list[Row]) -> Row:
    newest = Newest()
    return [row for row in rows if newest.takes(row)][-1]


@given(st.lists(st.integers(0, 3), min_size=1, max_size=20), st.randoms())
def test_however_partitions_are_read_one_after_the_other_the_newest_record_counts(
    partitions: list[int], random: "object"
) -> None:
    said = [Row(number, at, 1_000 + at) for at, number in enumerate(partitions)]
    waiting = {n: [row for row in said if row.partition == n] for n in set(partitions)}
    read = list[Row]()
    while any(waiting.values()):
        number = random.choice([n for n, rows in waiting.items() if rows])  # type: ignore[attr-defined]
        read.append(waiting[number].pop(0))
    assert last_word(read) == said[-1]


def test_within_a_partition_the_offset_decides_though_the_brokers_clock_was_set_back() -> None:
    assert last_word([Row(0, 0, 5_000), Row(0, 1, 4_000)]).offset == 1
