"""Bad input on purpose: one case per way in which a record can be useless, with its reason."""

import json
from collections.abc import Callable
from typing import Any, Final

from loadtest.simulator.encode import Encoder, Record
from schemas.alerts import Reason
from schemas.topics import DAY_MS, HEARTBEATS, PASSES

UNREGISTERED: Final = "KZ-99-99999"
OVERSIZE_BYTES: Final = 2 * 1024 * 1024

Case = Callable[[Encoder, int, int], list[Record]]
"""(encoder, turnstile's number, now in ms) -> records; those meant for the dead letters are
labelled ``!reason``."""


def bad(reason: Reason, record: Record, value: bytes) -> Record:
    """The record with another value, labelled as one that must become a dead letter."""
    return record[0], record[1], value, f"!{reason.value}"


def _changed(reason: Reason, record: Record, **fields: Any) -> Record:
    changed = {**json.loads(record[2]), **fields}
    return bad(reason, record, json.dumps(changed, separators=(",", ":")).encode())


def _valid(encoder: Encoder, device: int, now_ms: int) -> Record:
    return encoder.passed(device, now_ms, "in", 0xFEED)


def _garbage_bytes(encoder: Encoder, device: int, now_ms: int) -> list[Record]:
    value = b"\xff\xfe\x00\x9c" * 16
    return [bad(Reason.NOT_UTF8, _valid(encoder, device, now_ms), value)]


def _plain_text(encoder: Encoder, device: int, now_ms: int) -> list[Record]:
    return [bad(Reason.NOT_JSON, _valid(encoder, device, now_ms), b"turnstile says hello")]


def _truncated(encoder: Encoder, device: int, now_ms: int) -> list[Record]:
    record = _valid(encoder, device, now_ms)
    return [bad(Reason.NOT_JSON, record, record[2][: len(record[2]) // 2])]


def _spliced(encoder: Encoder, device: int, now_ms: int) -> list[Record]:
    record, other = _valid(encoder, device, now_ms), _valid(encoder, device, now_ms)
    return [bad(Reason.NOT_JSON, record, record[2] + b"," + other[2])]


def _empty(encoder: Encoder, device: int, now_ms: int) -> list[Record]:
    return [bad(Reason.EMPTY, _valid(encoder, device, now_ms), b"")]


def _wrong_types(encoder: Encoder, device: int, now_ms: int) -> list[Record]:
    return [_changed(Reason.INVALID, _valid(encoder, device, now_ms), seq="seven", boot=1.5)]


def _bad_value(encoder: Encoder, device: int, now_ms: int) -> list[Record]:
    return [_changed(Reason.INVALID, _valid(encoder, device, now_ms), direction="sideways")]


def _missing_field(encoder: Encoder, device: int, now_ms: int) -> list[Record]:
    record = _valid(encoder, device, now_ms)
    event = json.loads(record[2])
    del event["card"]
    return [bad(Reason.INVALID, record, json.dumps(event).encode())]


def _unknown_type(encoder: Encoder, device: int, now_ms: int) -> list[Record]:
    return [_changed(Reason.UNKNOWN_TYPE, _valid(encoder, device, now_ms), type="teleport")]


def _wrong_topic(encoder: Encoder, device: int, now_ms: int) -> list[Record]:
    _, key, value, _ = encoder.heartbeat(device, now_ms)
    return [(PASSES.name, key, value, f"!{Reason.WRONG_TOPIC.value}")]


def _unknown_school(encoder: Encoder, device: int, now_ms: int) -> list[Record]:
    topic, _, value, label = _changed(
        Reason.UNKNOWN_SCHOOL, _valid(encoder, device, now_ms), school=UNREGISTERED
    )
    return [(topic, UNREGISTERED.encode(), value, label)]


def _wrong_key(encoder: Encoder, device: int, now_ms: int) -> list[Record]:
    topic, key, value, _ = _valid(encoder, device, now_ms)
    keys = encoder.fleet.keys
    other = next((k for k in keys if k != key), UNREGISTERED.encode())
    return [(topic, other, value, f"!{Reason.WRONG_KEY.value}")]


def _far_past(encoder: Encoder, device: int, now_ms: int) -> list[Record]:
    time_ms = now_ms - 400 * DAY_MS
    return [_changed(Reason.TOO_OLD, _valid(encoder, device, now_ms), time_ms=time_ms)]


def _far_future(encoder: Encoder, device: int, now_ms: int) -> list[Record]:
    time_ms = now_ms + 2 * DAY_MS
    return [_changed(Reason.IN_FUTURE, _valid(encoder, device, now_ms), time_ms=time_ms)]


def _oversize(encoder: Encoder, device: int, now_ms: int) -> list[Record]:
    """Valid but for its size: unknown fields are allowed."""
    record = _valid(encoder, device, now_ms)
    return [_changed(Reason.TOO_LARGE, record, padding="x" * OVERSIZE_BYTES)]


def _oversize_report(encoder: Encoder, device: int, now_ms: int) -> list[Record]:
    desk = encoder.fleet.desk(encoder.fleet.school_of[device], "qr-1")
    record = encoder.other("help.requested", desk, now_ms, {"topic": "other", "language": "kk"})
    return [_changed(Reason.TOO_LARGE, record, padding="x" * OVERSIZE_BYTES)]


def _sent_twice(encoder: Encoder, device: int, now_ms: int) -> list[Record]:
    record = _valid(encoder, device, now_ms)
    return [record, bad(Reason.DUPLICATE, record, record[2])]


def _sequence_reused(encoder: Encoder, device: int, now_ms: int) -> list[Record]:
    """Another id and time under a (school, device, boot, seq) that is taken."""
    record = encoder.heartbeat(device, now_ms)
    encoder.fleet.seqs[device] -= 1
    again = encoder.heartbeat(device, now_ms + 1)
    return [record, (HEARTBEATS.name, again[1], again[2], f"!{Reason.DUPLICATE.value}")]


def _rebooted(encoder: Encoder, device: int, now_ms: int) -> list[Record]:
    """The sequence restarts under a new boot: no duplicate, no dead letter."""
    before = _valid(encoder, device, now_ms)
    encoder.fleet.reboot(device)
    return [before, _valid(encoder, device, now_ms)]


CASES: Final[dict[str, tuple[Case, Reason | None]]] = {
    "garbage_bytes": (_garbage_bytes, Reason.NOT_UTF8),
    "plain_text": (_plain_text, Reason.NOT_JSON),
    "truncated_json": (_truncated, Reason.NOT_JSON),
    "spliced_objects": (_spliced, Reason.NOT_JSON),
    "empty": (_empty, Reason.EMPTY),
    "wrong_types": (_wrong_types, Reason.INVALID),
    "bad_value": (_bad_value, Reason.INVALID),
    "missing_field": (_missing_field, Reason.INVALID),
    "unknown_type": (_unknown_type, Reason.UNKNOWN_TYPE),
    "wrong_topic": (_wrong_topic, Reason.WRONG_TOPIC),
    "unknown_school": (_unknown_school, Reason.UNKNOWN_SCHOOL),
    "wrong_key": (_wrong_key, Reason.WRONG_KEY),
    "far_past": (_far_past, Reason.TOO_OLD),
    "far_future": (_far_future, Reason.IN_FUTURE),
    "oversize": (_oversize, Reason.TOO_LARGE),
    "oversize_report": (_oversize_report, Reason.TOO_LARGE),
    "sent_twice": (_sent_twice, Reason.DUPLICATE),
    "sequence_reused": (_sequence_reused, Reason.DUPLICATE),
    "rebooted": (_rebooted, None),
}
"""name -> (case, the reason of its one dead letter; None if it must not become one)."""
