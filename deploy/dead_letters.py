"""Dead letters: which there are, what was in them, and sending them again.

ClickHouse knows where each came from and why (no content). The bytes themselves hold children's
data and stay in the restricted topic saqshy.dead-letters until they expire:

- key: ``topic/partition/offset@ms`` of the record as it first came: offsets begin anew with a topic that
  is made anew, so Kafka's time is told, too (not by letters of before);
- value: its bytes, unchanged; header ``saqshy``: schemas.alerts.DeadLetter as JSON;
- header ``saqshy-key``: its key, unchanged, or empty if it had none;
- header ``saqshy-without-bytes``: they are too many for a letter. They are fetched from where they came,
  as long as that topic keeps them.

Every look at the bytes is logged before they are shown. A replay sends the same bytes with the same
key to the same partition, with a header ``saqshy-replay-of`` that names the origin, and then leaves
a marker of no content beside the letter (header ``saqshy-replayed``), so that the next replay skips
it. Between the two a crash can send it twice; that is a duplicate like any other.
"""

import json
import os
import pwd
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from hashlib import sha256
from itertools import islice
from pathlib import Path
from typing import Any, Final, Literal

import structlog
from clickhouse_driver import Client
from clickhouse_driver.errors import Error as ClickHouseError
from kafka import KafkaConsumer, KafkaProducer, TopicPartition
from kafka.errors import KafkaTimeoutError, MessageSizeTooLargeError
from pydantic import ValidationError

from deploy.origins import Origin, Selection
from deploy.topics import CONNECT_WITHIN_MS, require_listener
from schemas.alerts import DeadLetter
from schemas.settings import ClickHouseSettings, KafkaSettings, Settings
from schemas.topics import BY_NAME, DEAD_LETTERS, REPLAY_OF_HEADER, WITHOUT_BYTES_HEADER

LETTER_HEADER: Final = "saqshy"
KEY_HEADER: Final = "saqshy-key"
REPLAYED_HEADER: Final = "saqshy-replayed"

SILENT_FOR_S: Final = 10.0  # a broker that gives nothing for so long is taken for gone
SENT_WITHIN_S: Final = 30.0
CLOCKS_APART_MS: Final = 60_000  # brokers stamp records, and their clocks differ a little
LARGEST_BYTES: Final = int(DEAD_LETTERS.configs()["max.message.bytes"])


@dataclass(frozen=True, slots=True)
class StoredLetter:
    """A dead letter with its original bytes, as long as the topic keeps them.

    ``key`` is empty when the record had none, and None when the letter does not tell.
    ``without_bytes``: they were too many for it.
    """

    letter: DeadLetter
    key: bytes | None
    value: bytes | None
    without_bytes: bool = False

    @property
    def is_genuine(self) -> bool:
        return sha256(self.value or b"").hexdigest() == self.letter.sha256


ReplayOutcome = Literal[
    "would be sent",
    "sent",
    "replayed before",
    "key unknown",
    "not genuine",
    "bytes gone",
    "refused",
]


@dataclass(frozen=True, slots=True)
class Replay:
    """What became of one letter of a replay; ``sent_as`` is the new record."""

    letter: DeadLetter
    outcome: ReplayOutcome
    sent_as: Origin | None = None


def stored(clickhouse: ClickHouseSettings, selection: Selection, limit: int) -> list[DeadLetter]:
    """The newest dead letters that ClickHouse knows. Raises clickhouse_driver's errors."""
    conditions, values = ["1"], {"limit": limit}
    if selection.reasons:
        conditions.append("reason IN %(reasons)s")
    if selection.topic is not None:
        conditions.append("topic = %(topic)s")
    if selection.since_ms is not None:
        conditions.append("kafka_time >= fromUnixTimestamp64Milli(%(since_ms)s)")
    if selection.origins:
        at = "(topic, kafka_partition, kafka_offset"
        conditions.append(
            f"({at}) IN %(places)s OR {at}, toUnixTimestamp64Milli(kafka_time)) IN %(origins)s)"
        )
    parameters = values | {
        "reasons": tuple(sorted(str(reason) for reason in selection.reasons)),
        "topic": selection.topic,
        "since_ms": selection.since_ms,
        "places": tuple(
            (o.topic, o.partition, o.offset) for o in selection.origins if o.kafka_time_ms is None
        )
        or (("", 0, 0),),
        "origins": tuple(
            (o.topic, o.partition, o.offset, o.kafka_time_ms)
            for o in selection.origins
            if o.kafka_time_ms is not None
        )
        or (("", 0, 0, 0),),
    }
    client = Client(**clickhouse.driver_kwargs())
    try:
        rows = client.execute(
            "SELECT topic, kafka_partition, kafka_offset, toUnixTimestamp64Milli(kafka_time), "  # noqa: S608
            "reason, path, detail, sha256, size_bytes FROM dead_letters "
            f"WHERE {' AND '.join(conditions)} ORDER BY kafka_time DESC, topic, kafka_offset DESC "
            "LIMIT 1 BY topic, kafka_partition, kafka_offset, kafka_time LIMIT %(limit)s",
            parameters,
        )
    finally:
        client.disconnect()
    names = tuple(DeadLetter.model_fields)
    return [DeadLetter(**dict(zip(names, row, strict=True))) for row in rows]


def kept(
    kafka: KafkaSettings, selection: Selection, appended_since_ms: int | None = None
) -> Iterator[StoredLetter]:
    """The selected letters with their bytes, each origin once, in the order of the topic.

    Records of that topic that are no letters of ours are passed over. Raises KafkaError.
    """
    seen = set()
    since_ms = selection.since_ms if appended_since_ms is None else appended_since_ms
    for record in _records(kafka, since_ms):
        letter = _letter(record)
        if letter is None or not selection.takes(letter) or Origin.of(letter) in seen:
            continue
        seen.add(Origin.of(letter))
        headers = dict(record.headers)
        without = WITHOUT_BYTES_HEADER in headers
        yield StoredLetter(letter, headers.get(KEY_HEADER), record.value, without)


def find(settings: Settings, origin: Origin) -> StoredLetter | None:
    """One letter with its bytes, or None when it is unknown or has expired. Raises KafkaError.

    ClickHouse, when it answers, says from when on to look, so that not all 14 days are read.
    """
    selection = Selection(origins=frozenset({origin}))
    since_ms = None
    try:
        for known in stored(settings.clickhouse, selection, 1):
            since_ms = max(0, known.kafka_time_ms - CLOCKS_APART_MS)
    except (ClickHouseError, OSError, EOFError):
        structlog.get_logger().warning("ClickHouse does not answer: reading the whole topic")
    found = next(kept(settings.kafka, selection, since_ms), None)
    return None if found is None else _with_bytes(settings.kafka, found)


def replay(
    settings: Settings, selection: Selection, *, send: bool, limit: int, now: Callable[[], datetime]
) -> Iterator[Replay]:
    """Send the selected letters again, or only say what would be sent.

    Each is acknowledged by all in-sync replicas, and marked, before the next. Raises KafkaError;
    what was yielded as sent stays sent.
    """
    done = _replayed(settings.kafka, selection.since_ms)
    with _producer(settings.kafka) if send else _nothing() as producer:
        for one in islice(kept(settings.kafka, selection), limit):
            origin = Origin.of(one.letter)
            if origin.is_of(done):
                yield Replay(one.letter, "replayed before")
                continue
            letter = _with_bytes(settings.kafka, one)
            if letter.without_bytes:
                yield Replay(letter.letter, "bytes gone")
            elif not letter.is_genuine or origin.topic not in BY_NAME:
                yield Replay(letter.letter, "not genuine")
            elif letter.key is None:
                yield Replay(letter.letter, "key unknown")
            elif producer is None:
                yield Replay(letter.letter, "would be sent")
            else:
                log_access(settings.var, "replay", letter.letter, now())
                try:
                    yield Replay(letter.letter, "sent", _send(producer, letter, now()))
                except MessageSizeTooLargeError:  # with the header that a replay has on top
                    yield Replay(letter.letter, "refused")


def log_access(
    var: Path, action: Literal["show", "replay"], letter: DeadLetter, now: datetime
) -> None:
    """Append who looks at (or sends) what to var/log/dlq-access.jsonl, on disk before it returns.

    Raises OSError; then nothing may be shown.
    """
    entry = {
        "time": now.astimezone(UTC).isoformat(timespec="milliseconds"),
        "user": _user(),
        "action": action,
        "origin": str(Origin.of(letter)),
        "reason": str(letter.reason),
        "sha256": letter.sha256,
    }
    path = var / "log" / "dlq-access.jsonl"
    path.parent.mkdir(parents=True, exist_ok=True)
    descriptor = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
    try:
        os.write(descriptor, json.dumps(entry, ensure_ascii=False).encode() + b"\n")
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
    structlog.get_logger().info("dead letter accessed", **entry)


def _user() -> str:
    """By the process's own id: variables like USER are anybody's to set."""
    uid = os.getuid()
    try:
        return pwd.getpwuid(uid).pw_name
    except KeyError:
        return str(uid)


def _letter(record: Any) -> DeadLetter | None:
    header = dict(record.headers).get(LETTER_HEADER)
    if header is None:
        return None
    try:
        return DeadLetter.model_validate_json(header)
    except ValidationError:
        return None


def _with_bytes(kafka: KafkaSettings, one: StoredLetter) -> StoredLetter:
    """With the bytes that did not fit into it, if its own topic still has them. Raises KafkaError."""
    if not one.without_bytes or one.letter.topic not in BY_NAME:
        return one
    tp = TopicPartition(one.letter.topic, one.letter.partition)
    consumer = _consumer(kafka)
    try:
        consumer.assign([tp])
        if (
            not consumer.beginning_offsets([tp])[tp]
            <= one.letter.offset
            < consumer.end_offsets([tp])[tp]
        ):
            return one
        consumer.seek(tp, one.letter.offset)
        polled = consumer.poll(timeout_ms=int(SILENT_FOR_S * 1000), max_records=1)
        for record in polled.get(tp, ()):
            if sha256(record.value or b"").hexdigest() == one.letter.sha256:
                return StoredLetter(one.letter, record.key or b"", record.value)
    finally:
        consumer.close()
    return one


def _replayed(kafka: KafkaSettings, since_ms: int | None) -> set[Origin]:
    done = set()
    for record in _records(kafka, since_ms):
        if REPLAYED_HEADER in dict(record.headers) and record.key is not None:
            try:
                done.add(Origin.parse(record.key.decode()))
            except ValueError:
                continue
    return done


def _records(kafka: KafkaSettings, since_ms: int | None) -> Iterator[Any]:
    """Everything in the topic of dead letters now, appended at ``since_ms`` or later."""
    consumer = _consumer(kafka)
    try:
        numbers = consumer.partitions_for_topic(DEAD_LETTERS.name) or set()
        partitions = [TopicPartition(DEAD_LETTERS.name, number) for number in sorted(numbers)]
        consumer.assign(partitions)
        positions = consumer.beginning_offsets(partitions)
        ends = consumer.end_offsets(partitions)
        if since_ms is not None:
            for partition, found in consumer.offsets_for_times(
                dict.fromkeys(partitions, since_ms)
            ).items():
                positions[partition] = ends[partition] if found is None else found.offset
        for partition in partitions:
            consumer.seek(partition, positions[partition])
        while any(consumer.position(partition) < ends[partition] for partition in partitions):
            polled = consumer.poll(timeout_ms=int(SILENT_FOR_S * 1000))
            if not polled:
                raise KafkaTimeoutError(
                    f"{DEAD_LETTERS.name}: nothing came for {SILENT_FOR_S:.0f} s"
                )
            for partition, records in polled.items():
                yield from (record for record in records if record.offset < ends[partition])
    finally:
        consumer.close()


def _consumer(kafka: KafkaSettings) -> Any:
    require_listener(kafka)
    return KafkaConsumer(
        **kafka.kafka_python_kwargs(),
        client_id="saqshy-dead-letters",
        group_id=None,
        enable_auto_commit=False,
        bootstrap_timeout_ms=CONNECT_WITHIN_MS,
    )


@contextmanager
def _producer(kafka: KafkaSettings) -> Iterator[Any]:
    producer = KafkaProducer(
        **kafka.kafka_python_kwargs(),
        client_id="saqshy-dead-letters",
        acks="all",
        max_request_size=LARGEST_BYTES,
        bootstrap_timeout_ms=CONNECT_WITHIN_MS,
    )
    try:
        yield producer
    finally:
        producer.close(timeout=SENT_WITHIN_S)


@contextmanager
def _nothing() -> Iterator[None]:
    yield None


def _send(producer: Any, letter: StoredLetter, now: datetime) -> Origin:
    origin = Origin.of(letter.letter)
    sent = producer.send(
        origin.topic,
        value=letter.value,
        key=letter.key or None,
        partition=origin.partition,
        headers=[(REPLAY_OF_HEADER, str(origin).encode())],
    ).get(timeout=SENT_WITHIN_S)
    sent_as = Origin(sent.topic, sent.partition, sent.offset)
    marker = {"time": now.astimezone(UTC).isoformat(), "user": _user(), "sent_as": str(sent_as)}
    producer.send(
        DEAD_LETTERS.name,
        key=str(origin).encode(),
        value=None,
        headers=[(REPLAYED_HEADER, json.dumps(marker).encode())],
    ).get(timeout=SENT_WITHIN_S)
    return sent_as
