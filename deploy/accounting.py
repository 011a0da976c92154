"""Was every record stored once? Kafka's offsets against ClickHouse's rows, record by record.

Each raw row and each dead letter names the (topic, partition, offset) that it came from, so a
window of offsets is proven complete by counting, without trusting any counter of our own.
"""

from collections.abc import Mapping
from contextlib import closing
from dataclasses import dataclass, field
from typing import Final

from clickhouse_driver import Client
from kafka import KafkaConsumer, TopicPartition

from schemas.settings import Settings
from schemas.topics import EVENT_TOPICS
from streams.store.rows import TABLE_OF

Offsets = Mapping[str, Mapping[int, int]]
"""topic -> partition -> offset"""

EVENT_TOPIC_NAMES: Final = tuple(topic.name for topic in EVENT_TOPICS)

# (rollup, what one row counts for, raw table): their sums must equal the raw rows.
ROLLUPS: Final = tuple(
    (f"{family}_{size}", counted, raw)
    for family, counted, raw in (
        ("flow", "came_in + went_out + denied", "passes"),
        ("heartbeats", "beats", "heartbeats"),
        ("incidents", "events", "incidents"),
        ("panics", "pressed + cancelled + tests", "panics"),
    )
    for size in ("1m", "5m", "1h")
)


@dataclass(frozen=True, slots=True)
class Account:
    """``lost`` and ``duplicated`` count records; ``rollups_off`` names rollups that disagree."""

    produced: int
    stored: int
    dead_lettered: dict[str, int]
    lost: int
    duplicated: int
    rollups_off: dict[str, int] = field(default_factory=dict)

    @property
    def settled(self) -> bool:
        return self.lost <= 0

    @property
    def exact(self) -> bool:
        return self.lost == 0 and self.duplicated == 0 and not self.rollups_off


def end_offsets(
    settings: Settings, topics: tuple[str, ...] = EVENT_TOPIC_NAMES
) -> dict[str, dict[int, int]]:
    """Where each partition of these topics ends now. Raises kafka.errors.KafkaError."""
    with closing(KafkaConsumer(**settings.kafka.kafka_python_kwargs())) as consumer:
        partitions = [
            TopicPartition(topic, partition)
            for topic in topics
            for partition in sorted(consumer.partitions_for_topic(topic) or ())
        ]
        found: dict[str, dict[int, int]] = {topic: {} for topic in topics}
        for tp, offset in consumer.end_offsets(partitions).items():
            found[tp.topic][tp.partition] = offset
        return found


def account(client: Client, start: Offsets, end: Offsets) -> Account:
    """Count the records with start <= offset < end in ClickHouse.

    Raises clickhouse_driver.errors.Error when ClickHouse can't answer.
    """
    produced = stored = rows = both = 0
    dead: dict[str, int] = {}
    distinct_dead = dead_rows = 0
    for topic, partitions in end.items():
        ranges = [
            (partition, start.get(topic, {}).get(partition, 0), stop)
            for partition, stop in partitions.items()
        ]
        produced += sum(stop - begin for _, begin, stop in ranges)
        window = " OR ".join(
            f"(kafka_partition = {p} AND kafka_offset >= {begin} AND kafka_offset < {stop})"
            for p, begin, stop in ranges
        )
        if not window:
            continue
        raw = f"SELECT kafka_partition, kafka_offset, kafka_time FROM {TABLE_OF[topic].name} WHERE {window}"  # noqa: S608
        [(count, distinct)] = client.execute(
            f"SELECT count(), uniqExact(kafka_partition, kafka_offset, kafka_time) FROM ({raw})"  # noqa: S608
        )
        rows += count
        stored += distinct
        letters = f"FROM dead_letters WHERE topic = '{topic}' AND ({window})"
        for reason, count, distinct in client.execute(
            f"SELECT reason, count(), uniqExact(kafka_partition, kafka_offset, kafka_time) {letters} "
            "GROUP BY reason"
        ):
            dead[reason] = dead.get(reason, 0) + distinct
            dead_rows += count
            distinct_dead += distinct
        [(overlap,)] = client.execute(
            f"SELECT count() {letters} AND (kafka_partition, kafka_offset, kafka_time) IN ({raw})"
        )
        both += overlap
    return Account(
        produced=produced,
        stored=stored,
        dead_lettered=dead,
        lost=produced - stored - distinct_dead + both,
        duplicated=(rows - stored) + (dead_rows - distinct_dead) + both,
        rollups_off=rollups_off(client),
    )


def rollups_off(client: Client) -> dict[str, int]:
    """Rollups whose sum over the last days differs from the raw rows' count, with the difference.

    Both sides are cut at the same Monday, inside what the shortest-lived raw table keeps.
    """
    off = {}
    for rollup, counted, raw in ROLLUPS:
        [(difference,)] = client.execute(
            f"SELECT (SELECT toInt64(sum({counted})) FROM {rollup} WHERE bucket >= today() - 1) - "  # noqa: S608
            f"(SELECT toInt64(count()) FROM {raw} WHERE time >= today() - 1)"
        )
        if difference:
            off[rollup] = difference
    return off
