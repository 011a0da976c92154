"""Records of several partitions in the order of their stamps."""

from schemas.alerts import Status, StatusChanged
from streams.outage.merge import GATED_MS, Merge

T0 = 1_790_000_000_000


def status(number: int) -> StatusChanged:
    return StatusChanged(
        school=f"KZ-10-{number:05}", status=Status.OFFLINE, since_ms=T0, decided_ms=T0
    )


def offsets(merge: Merge) -> list[tuple[int, int]]:
    return [(partition, offset) for _, partition, offset, _ in merge.take(merge.watermark_ms())]


def test_a_record_waits_until_the_other_partitions_have_come_as_far() -> None:
    merge = Merge([0, 1])
    merge.put(0, 7, T0 + 10, status(1))
    assert merge.watermark_ms() == 0 and offsets(merge) == []
    merge.put(1, 3, T0 + 5, status(2))
    merge.put(1, 4, T0 + 20, status(3))
    assert offsets(merge) == [(1, 3)]
    merge.prove(0, T0 + 30)
    merge.prove(1, T0 + 30)
    assert offsets(merge) == [(0, 7), (1, 4)]


def test_while_old_records_are_read_again_nothing_overtakes() -> None:
    """A partition is far behind at first; only later is one that stands still given up."""
    merge = Merge([0, 1])
    merge.put(0, 0, T0 - 3_600_000, status(1))
    merge.prove(1, T0)
    assert offsets(merge) == [] and not merge.is_caught_up
    merge.prove(0, T0)
    assert offsets(merge) == [(0, 0)] and merge.is_caught_up
    merge.put(1, 1, T0 + 10, status(2))
    merge.prove(1, T0 + GATED_MS - 1)
    assert offsets(merge) == []
    merge.prove(1, T0 + GATED_MS + 1)
    assert offsets(merge) == [(1, 1)]


def test_what_it_does_not_own_proves_nothing() -> None:
    merge = Merge([0])
    merge.prove(5, T0)
    assert merge.watermark_ms() == 0
