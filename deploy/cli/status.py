"""``saqshy status``: are the parts there, and does data flow?"""

import http.client
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass, field
from typing import Any, Final

import typer
from clickhouse_driver import Client
from clickhouse_driver.errors import Error as ClickHouseError
from kafka import TopicPartition
from kafka.admin import OffsetSpec
from kafka.errors import KafkaError

from deploy.cli.output import (
    AsJson,
    Code,
    first_line,
    kafka_trouble,
    load_settings,
    print_json,
    print_table,
    say,
)
from deploy.topics import admin_client, check_topics
from schemas.settings import ConsoleSettings, Settings
from schemas.topics import BY_NAME

TABLES: Final = (
    *("passes", "heartbeats", "panics", "incidents", "facilities", "registry"),
    *("status_history", "alert_transitions", "dead_letters"),
)
CONSOLE_WITHIN_S: Final = 3
HEALTH_PATH: Final = "/health"


@dataclass(frozen=True, slots=True)
class Part:
    """``rows`` are for people; the same facts are in ``facts`` for machines."""

    name: str
    up: bool
    detail: str
    facts: dict[str, Any] = field(default_factory=dict)


def status(as_json: AsJson = False) -> None:
    """Say whether Kafka, ClickHouse and the console are up, and how far each group is behind.

    \b
    Examples:
      saqshy status
      saqshy status --json | jq '.kafka.facts.lag'
    """
    settings = load_settings()
    # Each part has its own deadline, so none waits for another's.
    with ThreadPoolExecutor() as pool:
        asked: list[Callable[[Settings], Part]] = [kafka_part, clickhouse_part, console_part]
        parts = list(pool.map(lambda ask: ask(settings), asked))
    if as_json:
        print_json({part.name: asdict(part) for part in parts})
    else:
        _print(parts)
    raise typer.Exit(Code.WELL if all(part.up for part in parts) else Code.UNREACHABLE)


def kafka_part(settings: Settings) -> Part:
    try:
        with admin_client(settings.kafka) as client:
            brokers = len(client.describe_cluster()["brokers"])
            lag = _lag(client)
        mismatches = check_topics(settings)
    except KafkaError as error:
        return Part("kafka", False, kafka_trouble(settings.kafka, error))
    except OSError as error:  # of a password's file
        return Part("kafka", False, str(error))
    topics = (
        f"{len(mismatches)} differences from the declared topics (saqshy topics check)"
        if mismatches
        else f"{len(BY_NAME)} topics as declared"
    )
    return Part(
        "kafka",
        True,
        f"{settings.kafka.bootstrap}: {brokers} broker{'s' * (brokers != 1)}, {topics}",
        {"brokers": brokers, "mismatches": len(mismatches), "lag": lag},
    )


def _lag(client: Any) -> dict[str, dict[str, int]]:
    """Group -> topic -> records not yet processed, of the groups that read our topics."""
    groups = [group["group_id"] for group in client.list_groups()]
    committed = client.list_group_offsets(groups) if groups else {}
    ours = {
        group: {
            partition: known.offset
            for partition, known in offsets.items()
            if partition.topic in BY_NAME and known.offset >= 0
        }
        for group, offsets in committed.items()
    }
    partitions: set[TopicPartition] = {one for offsets in ours.values() for one in offsets}
    if not partitions:
        return {}
    ends = client.list_partition_offsets(dict.fromkeys(partitions, OffsetSpec.LATEST))
    lag: dict[str, dict[str, int]] = {}
    for group, offsets in ours.items():
        for partition, offset in offsets.items():
            of_group = lag.setdefault(group, {})
            behind = max(0, ends[partition].offset - offset)
            of_group[partition.topic] = of_group.get(partition.topic, 0) + behind
    return lag


def clickhouse_part(settings: Settings) -> Part:
    where = f"{settings.clickhouse.host}:{settings.clickhouse.port}"
    client = None
    try:
        # The database is there only after the first migration.
        client = Client(**settings.clickhouse.driver_kwargs() | {"database": "default"})
        database = settings.clickhouse.database
        version = client.execute("SELECT version()")[0][0]
        existing = {
            name
            for (name,) in client.execute(
                "SELECT name FROM system.tables WHERE database = %(database)s",
                {"database": database},
            )
        }
        tables = {}
        for table in TABLES:
            if table in existing:
                # Both are answered from the metadata of the parts, however many rows there are.
                rows, newest_ms = client.execute(
                    f"SELECT count(), toUnixTimestamp64Milli(max(kafka_time)) "  # noqa: S608
                    f"FROM `{database}`.{table}"
                )[0]
                tables[table] = {"rows": rows, "age_s": _age_s(newest_ms) if rows else None}
    except (ClickHouseError, OSError, EOFError) as error:
        return Part("clickhouse", False, f"{where} does not answer: {first_line(error)}")
    finally:
        if client is not None:
            client.disconnect()
    missing = len(TABLES) - len(tables)
    detail = f"{where}: version {version}"
    if missing:
        detail += f", {missing} tables are missing (saqshy migrate)"
    return Part("clickhouse", True, detail, {"version": version, "tables": tables})


def _age_s(ms: int) -> float:
    return round(max(0.0, time.time() - ms / 1000), 1)


def console_part(settings: Settings) -> Part:
    where = f"http://{settings.console.host}:{settings.console.port}"
    trouble = console_trouble(settings.console)
    if trouble is not None:
        return Part("console", False, f"{where}: {trouble}")
    return Part("console", True, where)


def console_trouble(console: ConsoleSettings) -> str | None:
    """Why the console is not healthy, or None."""
    connection = http.client.HTTPConnection(console.host, console.port, timeout=CONSOLE_WITHIN_S)
    try:
        connection.request("GET", HEALTH_PATH)
        answer = connection.getresponse()
        body = answer.read(200).decode("utf-8", "replace")
    except (OSError, http.client.HTTPException) as error:
        return f"does not answer ({first_line(error)})"
    finally:
        connection.close()
    return None if answer.status == http.client.OK else f"says {answer.status} {body.strip()}"


def _print(parts: list[Part]) -> None:
    print_table(
        ("part", "state", "detail"),
        [(part.name, "up" if part.up else "DOWN", part.detail) for part in parts],
        ["" if part.up else "red" for part in parts],
    )
    facts = {name: value for part in parts for name, value in part.facts.items()}
    if lag := facts.get("lag"):
        say("")
        print_table(
            ("group", "topic", "behind"),
            [
                (group, topic, behind)
                for group, of_group in sorted(lag.items())
                for topic, behind in sorted(of_group.items())
            ],
        )
    if tables := facts.get("tables"):
        say("")
        print_table(
            ("table", "rows", "newest"),
            [
                (table, f"{known['rows']:,}", _ago(known["age_s"]))
                for table, known in tables.items()
            ],
        )


def _ago(age_s: float | None) -> str:
    return "" if age_s is None else f"{age_s:,.0f} s ago"
