"""What the watchdog looks at from outside: offsets, ClickHouse, and the health of processes."""

from collections.abc import Mapping
from typing import Final
from urllib.error import URLError
from urllib.request import urlopen

from clickhouse_driver import Client
from clickhouse_driver.errors import Error as ClickHouseError
from kafka import KafkaAdminClient
from kafka.admin import OffsetSpec
from kafka.errors import KafkaError

from schemas.settings import ClickHouseSettings, KafkaSettings
from schemas.topics import BY_NAME
from streams.watchdog.decide import Place

ANSWER_S: Final = 3.0
OURS: Final = "saqshy-"
LOST_LATELY_S: Final = 900
"""A loss can't be undone: it is said for so long after it was found."""


def offsets(settings: KafkaSettings) -> tuple[dict[Place, int], dict[Place, int]]:
    """What our groups have committed, and where the partitions end. Raises kafka-python's KafkaError
    and OSError."""
    client = KafkaAdminClient(
        **settings.kafka_python_kwargs(),
        bootstrap_timeout_ms=int(ANSWER_S * 1000),
        request_timeout_ms=5_000,
        client_id="saqshy-watchdog",
    )
    try:
        groups = [g["group_id"] for g in client.list_groups() if g["group_id"].startswith(OURS)]
        found = client.list_group_offsets(groups) if groups else {}
        committed = {
            (group, tp.topic, tp.partition): known.offset
            for group, of_group in found.items()
            for tp, known in of_group.items()
            if tp.topic in BY_NAME and known.offset >= 0
        }
        tps = {tp for of_group in found.values() for tp in of_group if tp.topic in BY_NAME}
        ends = client.list_partition_offsets(dict.fromkeys(tps, OffsetSpec.LATEST)) if tps else {}
        by_name = {(tp.topic, tp.partition): end.offset for tp, end in ends.items()}
    finally:
        client.close()
    return committed, {place: by_name[place[1:]] for place in committed if place[1:] in by_name}


def stored_age_s(settings: ClickHouseSettings) -> float | None:
    """Age of the newest stored heartbeat by ClickHouse's clock; None without one of the last day.

    Raises clickhouse-driver's Error, OSError and EOFError.
    """
    client = Client(**settings.driver_kwargs() | {"send_receive_timeout": ANSWER_S})
    try:
        ((age_s, count),) = client.execute(
            "SELECT date_diff('millisecond', max(kafka_time), now64(3)) / 1000, count() "
            "FROM heartbeats WHERE kafka_time > now() - INTERVAL 1 DAY"
        )
    finally:
        client.disconnect()
    return float(age_s) if count else None


def lost(settings: ClickHouseSettings) -> dict[str, str]:
    """What was found lately to be deleted before it was stored, by topic. Raises as above."""
    client = Client(**settings.driver_kwargs() | {"send_receive_timeout": ANSWER_S})
    try:
        rows = client.execute(
            "SELECT topic, sum(records), max(last_offset IS NULL), min(first_offset), "
            "groupUniqArray(kafka_partition), groupUniqArray(why) FROM losses FINAL "
            "WHERE found > now() - toIntervalSecond(%(lately)s) GROUP BY topic",
            {"lately": LOST_LATELY_S},
        )
    finally:
        client.disconnect()
    return {
        topic: f"{'at least ' if open_ended else ''}{records} records from offset {first} on, "
        f"partitions {', '.join(map(str, sorted(partitions)))} ({', '.join(sorted(why))})"
        for topic, records, open_ended, first, partitions, why in rows
    }


def unhealthy(urls: Mapping[str, str]) -> dict[str, str]:
    """Names of those that do not answer /health with 200, and what they say instead."""
    said = {name: _health(url) for name, url in urls.items()}
    return {name: why for name, why in said.items() if why}


def _health(url: str) -> str:
    try:
        with urlopen(url, timeout=ANSWER_S):  # noqa: S310 (addresses of our own processes)
            return ""
    except (URLError, OSError, ValueError) as error:
        return str(error)[:120]


TROUBLE: Final = (KafkaError, ClickHouseError, OSError, EOFError)
