"""Did every record become one row, and every row count once in the rollups?

Nothing of the store's own counters is asked: each row names its partition and offset, so a stored
prefix is proven complete by counting, and the rollups by their sums.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

from clickhouse_driver import Client

ROLLUPS: Final = ("flow_1m", "flow_5m", "flow_1h")


@dataclass(frozen=True, slots=True)
class Stored:
    """One partition's rows: how many, of how many offsets, from the first to the last of them."""

    rows: int
    offsets: int
    first: int
    last: int


@dataclass(frozen=True, slots=True)
class Proof:
    """``wrong`` is empty when every stored offset stands there once, without a gap, and what is
    built on the rows agrees with them."""

    rows: int
    wrong: tuple[str, ...] = field(default=())

    @property
    def exact(self) -> bool:
        return not self.wrong


def prove(
    stored: Mapping[int, Stored],
    ends: Mapping[int, int] | None,
    rollups: Mapping[str, int],
    events: int,
    rejected: int = 0,
) -> Proof:
    """Judge what was found. ``ends``: where the partitions end, when all of it should be stored.

    ``events``: different (school, device, boot, seq) among the rows; ``rejected``: dead letters.
    """
    rows = sum(partition.rows for partition in stored.values())
    wrong = [
        f"partition {number}: {at.rows} rows of {at.offsets} offsets in {at.first}..{at.last}"
        for number, at in sorted(stored.items())
        if not at.rows == at.offsets == at.last + 1 or at.first != 0
    ]
    for number, end in (ends or {}).items():
        last = stored[number].last if number in stored else -1
        if last + 1 != end:
            wrong.append(f"partition {number}: stored to {last}, but it ends at {end}")
    if events != rows:
        wrong.append(f"{rows} rows of {events} different events")
    wrong += [
        f"{name} counts {found}, not {rows}" for name, found in rollups.items() if found != rows
    ]
    if rejected:
        wrong.append(f"{rejected} dead letters of valid events")
    return Proof(rows, tuple(wrong))


def check(client: Client, ends: Mapping[int, int] | None = None) -> Proof:
    """Prove the passes of a database of its own. Raises clickhouse_driver's errors."""
    stored = {
        number: Stored(rows, offsets, first, last)
        for number, rows, offsets, first, last in client.execute(
            "SELECT kafka_partition, count(), uniqExact(kafka_offset), min(kafka_offset), "
            "max(kafka_offset) FROM passes GROUP BY kafka_partition"
        )
    }
    # By device: one set of all events would need gigabytes.
    [(events,)] = client.execute(
        "SELECT sum(n) FROM (SELECT uniqExact(seq) AS n FROM passes GROUP BY school, device, boot)"
    )
    [(rejected,)] = client.execute("SELECT count() FROM dead_letters")
    rollups = {
        name: client.execute(f"SELECT sum(came_in + went_out + denied) FROM {name}")[0][0]  # noqa: S608
        for name in ROLLUPS
    }
    return prove(stored, ends, rollups, events, rejected)


def visible(client: Client) -> dict[int, int]:
    """Rows per partition, as any reader sees them now: one cheap column."""
    counts: Sequence[tuple[int, int]] = client.execute(
        "SELECT kafka_partition, count() FROM passes GROUP BY kafka_partition"
    )
    return dict(counts)
