"""Create the declared topics, and say where what exists differs from what is declared.

Nothing that exists is changed but how many replicas acknowledge, and that on demand (``protect``): more
partitions would move schools to other partitions, less retention would delete. A mismatch is for a person to
decide, so each says what to do.
"""

import socket
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Final

from kafka.admin import ConfigResource, ConfigResourceType, KafkaAdminClient
from kafka.errors import KafkaConnectionError, NoError, TopicAlreadyExistsError, for_code

from schemas.settings import KafkaSettings, Settings
from schemas.topics import MIN_INSYNC, TOPICS, Topic, min_insync

CONNECT_WITHIN_MS: Final = 5_000
READY_WITHIN_MS: Final = 30_000
NOTHING_LISTENS: Final = "nothing listens there"


@dataclass(frozen=True, slots=True)
class TopicChange:
    """A topic that was created."""

    topic: str
    partitions: int
    replication: int


@dataclass(frozen=True, slots=True)
class Mismatch:
    """``what`` is ``topic`` (it is missing), ``partitions``, ``replication`` or a config's name."""

    topic: str
    what: str
    declared: str
    found: str
    remedy: str


@dataclass(frozen=True, slots=True)
class Found:
    """A topic as the broker has it. ``in_sync``: replicas in step, of the partition with the fewest."""

    partitions: int
    replication: int
    configs: Mapping[str, str]
    in_sync: int = 1


class TooFewReplicas(Exception):
    """What is declared would stop what is written; the message says what to do."""


@contextmanager
def admin_client(kafka: KafkaSettings) -> Iterator[Any]:
    """kafka-python's admin client. Raises KafkaError when no broker answers within 5 s, and OSError
    when the password's file cannot be read."""
    login = kafka.kafka_python_kwargs()
    require_listener(kafka)
    client = KafkaAdminClient(
        **login,
        client_id="saqshy-admin",
        bootstrap_timeout_ms=CONNECT_WITHIN_MS,
        request_timeout_ms=READY_WITHIN_MS,
    )
    try:
        yield client
    finally:
        client.close()


def require_listener(kafka: KafkaSettings) -> None:
    """Raise KafkaConnectionError at once when nothing listens at any bootstrap address.

    kafka-python would try until its time is over, and then not say whether it was the login.
    """
    for server in kafka.bootstrap.split(","):
        host, _, port = server.strip().rpartition(":")
        try:
            socket.create_connection(
                (host.strip("[]"), int(port)), CONNECT_WITHIN_MS / 1000
            ).close()
        except (OSError, ValueError):
            continue
        return
    raise KafkaConnectionError(NOTHING_LISTENS)


def declared_partitions(topic: Topic, kafka: KafkaSettings) -> int:
    """Dead letters are few and read by hand, so one partition keeps them in order."""
    return kafka.partitions if topic.co_read else 1


def ensure_topics(settings: Settings) -> list[TopicChange]:
    """Create the declared topics that do not exist, and wait until each has its leaders.

    Raises KafkaError when no broker answers or it refuses, for instance more replicas than brokers.
    """
    kafka = settings.kafka
    with admin_client(kafka) as client:
        existing = set(client.list_topics())
        missing = [topic for topic in TOPICS if topic.name not in existing]
        if not missing:
            return []
        answer = client.create_topics(
            {
                topic.name: {
                    "num_partitions": declared_partitions(topic, kafka),
                    "replication_factor": kafka.replication,
                    "configs": topic.configs(kafka.replication),
                }
                for topic in missing
            },
            timeout_ms=READY_WITHIN_MS,
            raise_errors=False,
        )
        created = set()
        for result in answer["topics"]:
            error = for_code(result["error_code"])
            if error is NoError:
                created.add(result["name"])
            elif error is not TopicAlreadyExistsError:  # another process may be as quick as we are
                raise error(f"{result['name']}: {result.get('error_message') or 'refused'}")
        client.wait_for_topics([topic.name for topic in missing], timeout_ms=READY_WITHIN_MS)
    return [
        TopicChange(topic.name, declared_partitions(topic, kafka), kafka.replication)
        for topic in missing
        if topic.name in created
    ]


def check_topics(settings: Settings) -> list[Mismatch]:
    """Every difference between the declared topics and the broker's. Raises KafkaError."""
    with admin_client(settings.kafka) as client:
        found = _found(client)
    return [
        mismatch
        for topic in TOPICS
        for mismatch in mismatches(topic, found.get(topic.name), settings.kafka)
    ]


def mismatches(topic: Topic, found: Found | None, kafka: KafkaSettings) -> list[Mismatch]:
    """Where one topic differs from its declaration; ``found`` is None when it does not exist."""
    partitions = declared_partitions(topic, kafka)
    if found is None:
        return [
            Mismatch(
                topic.name,
                "topic",
                f"{partitions} partitions, replication {kafka.replication}",
                "missing",
                "Create it: saqshy topics create",
            )
        ]
    different = []
    if found.partitions != partitions:
        different.append(
            Mismatch(
                topic.name,
                "partitions",
                str(partitions),
                str(found.partitions),
                _partitions_remedy(topic, found.partitions),
            )
        )
    if found.replication != kafka.replication:
        different.append(
            Mismatch(
                topic.name,
                "replication",
                str(kafka.replication),
                str(found.replication),
                f"Set SAQSHY_KAFKA__REPLICATION={found.replication}, or move the replicas with "
                "kafka-reassign-partitions.sh.",
            )
        )
    for name, value in topic.configs(kafka.replication).items():
        actual = found.configs.get(name, "unset")
        if actual != value:
            different.append(
                Mismatch(
                    topic.name,
                    name,
                    value,
                    actual,
                    "saqshy topics protect"
                    if name == MIN_INSYNC
                    else f"kafka-configs.sh --alter --entity-type topics --entity-name {topic.name} "
                    f"--add-config {name}={value}, or change the declaration in schemas/topics.py.",
                )
            )
    return different


def protect(settings: Settings) -> list[str]:
    """Have as many replicas of each topic acknowledge as declared; the topics that were changed.

    Raises TooFewReplicas, and changes nothing, when writes to some partition would stop at once, and
    KafkaError.
    """
    declared = str(min_insync(settings.kafka.replication))
    with admin_client(settings.kafka) as client:
        found = _found(client)
        changed = sorted(n for n, topic in found.items() if topic.configs[MIN_INSYNC] != declared)
        few = [name for name in changed if found[name].in_sync < int(declared)]
        if few:
            raise TooFewReplicas(
                f"{', '.join(few)}: fewer than {declared} replicas are in step now, so that nothing could be "
                "written. Bring the brokers back, or give the topics more replicas "
                "(kafka-reassign-partitions.sh), and say it again."
            )
        if changed:
            client.alter_configs(
                [
                    ConfigResource(ConfigResourceType.TOPIC, name, configs={MIN_INSYNC: declared})
                    for name in changed
                ]
            )
    return changed


def _partitions_remedy(topic: Topic, found: int) -> str:
    if not topic.co_read:
        return "Dead letters are still read whole; recreate the topic when it is empty."
    return (
        f"Set SAQSHY_KAFKA__PARTITIONS={found} if every co-read topic has {found}. Otherwise let the "
        "workers drain, stop them, and recreate the topic: adding partitions would move schools to "
        "others, away from their history."
    )


def _found(client: Any) -> dict[str, Found]:
    names = set(client.list_topics()) & {topic.name for topic in TOPICS}
    if not names:
        return {}
    configs = client.describe_configs(
        [ConfigResource(ConfigResourceType.TOPIC, name) for name in sorted(names)],
        config_filter="all",
    )["topic"]
    return {
        topic["name"]: Found(
            partitions=len(topic["partitions"]),
            replication=min(len(partition["replica_nodes"]) for partition in topic["partitions"]),
            in_sync=min(len(partition["isr_nodes"]) for partition in topic["partitions"]),
            configs={key: str(config["value"]) for key, config in configs[topic["name"]].items()},
        )
        for topic in client.describe_topics(sorted(names))
    }
