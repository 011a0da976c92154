"""Is this record an event that belongs here? Pure: bytes in, an event or the reason why not."""

from collections.abc import Callable
from dataclasses import dataclass
from hashlib import sha256
from typing import Final

from pydantic import ValidationError

from schemas.alerts import NOTICE, DeadLetter, Notice, Reason
from schemas.events import EVENT, Event
from schemas.times import untimely
from schemas.topics import ALERTS, REGISTRY, STATUS, STEPS, Topic
from streams.decode.events import MAX_VALUE_BYTES
from streams.store import mark

MAX_TEXT: Final = 300
# What we say ourselves: no school signs it and no device numbers it.
NOTICE_TOPICS: Final = frozenset({STATUS.name, ALERTS.name, STEPS.name})


@dataclass(frozen=True, slots=True)
class Rejected:
    """``path`` is a JSON pointer (RFC 6901); ``detail`` never holds the input itself."""

    reason: Reason
    path: str = ""
    detail: str = ""


def judge(
    topic: Topic,
    key: bytes | None,
    value: bytes | None,
    kafka_ms: int,
    knows: Callable[[str], bool],
) -> Event | Notice | Rejected:
    """The event in this record, or why it is a dead letter. ``knows``: is this school registered?"""
    if not mark.kafka_ms(kafka_ms):
        return impossible_time(kafka_ms)
    if not value:
        return Rejected(Reason.EMPTY)
    if len(value) > MAX_VALUE_BYTES:
        return Rejected(Reason.TOO_LARGE, detail=f"{len(value)} bytes, at most {MAX_VALUE_BYTES}")
    if topic.name in NOTICE_TOPICS:
        try:
            return NOTICE.validate_json(value)
        except ValidationError as error:
            return explain(value, error)
    try:
        event = EVENT.validate_json(value)
    except ValidationError as error:
        return explain(value, error)
    return check(topic, key, event, kafka_ms, knows) or event


def check(
    topic: Topic, key: bytes | None, event: Event, kafka_ms: int, knows: Callable[[str], bool]
) -> Rejected | None:
    """What no schema can tell: the right topic, key, school and time."""
    if not mark.kafka_ms(kafka_ms):
        return impossible_time(kafka_ms)
    if event.type not in topic.types:
        return Rejected(Reason.WRONG_TOPIC, "/type", f"{event.type} doesn't belong on {topic.name}")
    if key != event.school.encode():
        return Rejected(Reason.WRONG_KEY, "/school", "the record's key isn't its school")
    if topic is not REGISTRY and not knows(event.school):
        return Rejected(Reason.UNKNOWN_SCHOOL, "/school", "the registry has no such school")
    why = untimely(event.time_ms, kafka_ms)
    if why is None:
        return None
    ahead_ms = event.time_ms - kafka_ms
    said = f"{abs(ahead_ms) // 1000} s {'after' if ahead_ms > 0 else 'before'} Kafka"
    return Rejected(Reason(why), "/time_ms", said)


def impossible_time(kafka_ms: int) -> Rejected:
    """It would be stored and be gone at once by its TTL, or stay for good."""
    return Rejected(Reason.KAFKA_TIME, detail=f"{kafka_ms} ms: not a broker's time of this century")


def explain(value: bytes, error: ValidationError) -> Rejected:
    """The first thing that pydantic holds against these bytes."""
    first = error.errors(include_url=False, include_input=False, include_context=False)[0]
    kind, detail = first["type"], first["msg"][:300]
    if kind == "json_invalid":
        try:
            value.decode()
        except UnicodeDecodeError:
            return Rejected(Reason.NOT_UTF8)
        return Rejected(Reason.NOT_JSON, detail=detail.removeprefix("Invalid JSON: "))
    if kind in ("union_tag_invalid", "union_tag_not_found"):
        return Rejected(Reason.UNKNOWN_TYPE, "/type")
    # The union's tag stands first in the location and is no part of the JSON.
    path = "".join(
        f"/{str(part).replace('~', '~0').replace('/', '~1')}" for part in first["loc"][1:]
    )
    return Rejected(Reason.INVALID, path, detail)


def dead_letter(
    topic: str, partition: int, offset: int, kafka_ms: int, value: bytes | None, why: Rejected
) -> DeadLetter:
    raw = value or b""
    return DeadLetter(
        topic=topic,
        partition=partition,
        offset=offset,
        kafka_time_ms=mark.kafka_ms(kafka_ms),
        reason=why.reason,
        path=why.path[:MAX_TEXT],
        detail=why.detail[:MAX_TEXT],
        sha256=sha256(raw).hexdigest(),
        size_bytes=len(raw),
    )
