"""What the watchdog looks at from outside: offsets, ClickHouse, and the health of processes."""

import json
from collections.abc import Mapping
from contextlib import closing
from typing import Final, NamedTuple
from urllib.error import HTTPError, URLError
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
LARGEST_BYTES: Final = 64 * 1024
SHOWN: Final = 120
LOST_LATELY_S: Final = 900
"""A loss can't be undone: it is said for so long after it was found."""


def offsets(settings: KafkaSettings) -> tuple[dict[Place, int], dict[Place, int]]:
    """What our groups have committed, and where the partitions end. Raises kafka-python's KafkaError
    and OSError."""
    with closing(
        KafkaAdminClient(
            **settings.kafka_python_kwargs(),
            bootstrap_timeout_ms=int(ANSWER_S * 1000),
            request_timeout_ms=5_000,
            client_id="saqshy-watchdog",
        )
    ) as client:
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
    return committed, {place: by_name[place[1:]] for place in committed if place[1:] in by_name}


def stored_age_s(settings: ClickHouseSettings) -> float | None:
    """Age of the newest stored heartbeat by ClickHouse's clock; None without one of the last day.

    Raises clickhouse-driver's Error, OSError and EOFError.
    """
    with Client(**settings.driver_kwargs() | {"send_receive_timeout": ANSWER_S}) as client:
        ((age_s, count),) = client.execute(
            "SELECT date_diff('millisecond', max(kafka_time), now64(3)) / 1000, count() "
            "FROM heartbeats WHERE kafka_time > now() - INTERVAL 1 DAY"
        )
    return float(age_s) if count else None


def lost(settings: ClickHouseSettings) -> dict[str, str]:
    """What was found lately to be deleted before it was stored, by topic. Raises as above."""
    with Client(**settings.driver_kwargs() | {"send_receive_timeout": ANSWER_S}) as client:
        rows = client.execute(
            "SELECT topic, sum(records), max(last_offset IS NULL), min(first_offset), "
            "groupUniqArray(kafka_partition), groupUniqArray(why) FROM losses FINAL "
            "WHERE found > now() - toIntervalSecond(%(lately)s) GROUP BY topic",
            {"lately": LOST_LATELY_S},
        )
    return {
        topic: f"{'at least ' if open_ended else ''}{records} records from offset {first} on, "
        f"partitions {', '.join(map(str, sorted(partitions)))} ({', '.join(sorted(why))})"
        for topic, records, open_ended, first, partitions, why in rows
    }


class Sick(NamedTuple):
    """Names and why: who does not answer /health with 200, and who has not heard for too long."""

    unhealthy: dict[str, str]
    deaf: dict[str, str]


def sick(urls: Mapping[str, str]) -> Sick:
    found = Sick({}, {})
    for name, url in urls.items():
        try:
            old = _too_old(url)
        except (URLError, OSError, ValueError) as error:
            found.unhealthy[name] = _why(error)
        else:
            if old:
                found.deaf[name] = old
    return found


def _too_old(url: str) -> str:
    """Which sources are, by a /health that is answered with 200."""
    with urlopen(url, timeout=ANSWER_S) as answer:  # noqa: S310 (addresses of our own processes)
        return _named(answer.read(LARGEST_BYTES))


def _why(error: Exception) -> str:
    named = _named(error.read(LARGEST_BYTES)) if isinstance(error, HTTPError) else ""
    return f"{error}; {named}"[:SHOWN] if named else str(error)[:SHOWN]


def _named(body: bytes) -> str:
    try:
        said = json.loads(body)
    except ValueError:
        return ""
    names = said.get("too_old", []) if isinstance(said, dict) else []
    return f"heard nothing of {', '.join(map(str, names))}"[:SHOWN] if names else ""


TROUBLE: Final = (KafkaError, ClickHouseError, OSError, EOFError)
