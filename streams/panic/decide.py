"""What a record on the panic topic means. Pure: record and state in, transitions out.

The state is what the last day of the topic said, so that a second worker, a restart or a replay from an
earlier offset comes to the same transitions, byte for byte. First who, then what: a record that
can't be read whole still raises, as unidentified, with what is known.
"""

import json
import re
from dataclasses import dataclass, field
from hashlib import sha256
from typing import Final, TypeVar

from pydantic import ValidationError

from schemas.alerts import Action, AlertChanged, AlertKind, Severity, alert_id
from schemas.events import (
    DEVICE_PATTERN,
    EVENT,
    SCHOOL_PATTERN,
    DrillDeclared,
    PanicCancelled,
    PanicPressed,
    PanicTest,
)

ALARM_LASTS_MS: Final = 10 * 60_000
"""Presses of one school within this time (Kafka's) after the last one are one alarm."""
SAME_BYTES_MS: Final = 60_000
"""Identical bytes within this time are one press sent twice."""
LATE_MS: Final = 5 * 60_000
"""A press older or newer than this by its own clock goes to a human, who decides on dispatch."""
REMEMBER_IDS_MS: Final = 24 * 3_600_000
"""So long after it was last seen, a press is known by its event id."""
REBUILD_MS: Final = 2 * REMEMBER_IDS_MS
"""Who reads from so long before a record decides on it as one who never stopped: a day of ids for
each press of an alarm that has been open for up to a day."""
UNKNOWN_SCHOOL: Final = "unknown"

K = TypeVar("K")

_SCHOOL = re.compile(SCHOOL_PATTERN.replace("$", r"\Z"))
_DEVICE = re.compile(DEVICE_PATTERN.replace("$", r"\Z"))
# What is left of a truncated or spliced object may still name them.
_SCHOOL_IN_BYTES = re.compile(rb'"school"\s*:\s*"(KZ-[0-9]{2}-[0-9]{5})"')
_DEVICE_IN_BYTES = re.compile(rb'"device"\s*:\s*"([a-z][a-z0-9-]{0,31})"')


@dataclass(slots=True)
class Alarm:
    """The open alarm of one school: presses collapse into it, another school's never do."""

    id: str
    number: int
    presses: int
    last_press_ms: int


@dataclass(slots=True)
class PanicState:
    """Of one partition, all by Kafka's time: open alarms by school, what was seen lately.

    Seen: (school, kind, event id), as one device's broken ids may not silence another school's
    button, nor a cancel's id a press; and the hash of bytes that no model accepts.
    """

    alarms: dict[str, Alarm] = field(default_factory=dict)
    ids: dict[tuple[str, str, str], int] = field(default_factory=dict)
    contents: dict[bytes, int] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Press:
    """A press as far as it is known."""

    school: str
    device: str
    event: str
    time_ms: int
    unidentified: bool
    note: str


def decide(
    state: PanicState, key: bytes | None, value: bytes | None, kafka_ms: int
) -> list[AlertChanged]:
    """The transitions that this record causes; none for tests and for presses seen before."""
    _forget(state, kafka_ms)
    raw = value or b""
    try:
        event = EVENT.validate_json(raw)
    except ValidationError:
        return _unread(state, key, raw, kafka_ms)
    if isinstance(event, PanicTest | DrillDeclared):
        return []
    if isinstance(event, PanicCancelled):
        return _cancelled(state, event, kafka_ms)
    if not isinstance(event, PanicPressed):
        # Another family's event here: an encoder is broken, and a button may be behind it.
        return _unread(state, key, raw, kafka_ms)
    seen = (event.school, event.type, event.id)
    if _seen_again(state, seen, kafka_ms):
        return []
    notes = []
    if event.duress:
        notes.append("duress")
    if abs(kafka_ms - event.time_ms) > LATE_MS:
        notes.append("late")
    if key != event.school.encode():
        notes.append("key of another school")
    press = Press(event.school, event.device, event.id, event.time_ms, False, ", ".join(notes))
    return _raise(state, press, kafka_ms)


def _unread(state: PanicState, key: bytes | None, raw: bytes, kafka_ms: int) -> list[AlertChanged]:
    content = sha256((key or b"") + b"\0" + raw).digest()
    at_ms = state.contents.get(content)
    # The broker's clock may have been set back, so presence alone does not prove it recent.
    if at_ms is not None and abs(kafka_ms - at_ms) <= SAME_BYTES_MS:
        return []
    state.contents.pop(content, None)
    state.contents[content] = kafka_ms
    school, device = _origin(key, raw)
    # Nothing but bytes and Kafka's time, so that every reader gives it the same id.
    event = f"unread-{content.hex()[:29]}-{kafka_ms}"
    press = Press(school, device, event, kafka_ms, True, "could not be read whole")
    return _raise(state, press, kafka_ms)


def _seen_again(state: PanicState, seen: tuple[str, str, str], kafka_ms: int) -> bool:
    """Remembered anew each time: so what is known at a record follows from the day before it."""
    known = state.ids.pop(seen, None) is not None
    state.ids[seen] = kafka_ms
    return known


def _raise(state: PanicState, press: Press, kafka_ms: int) -> list[AlertChanged]:
    alarm = _open_alarm(state, press.school, kafka_ms)
    if alarm is None:
        alarm = Alarm(alert_id(AlertKind.PANIC, press.school, press.event), 0, 1, kafka_ms)
        state.alarms[press.school] = alarm
        return [_transition(alarm, Action.OPENED, press, kafka_ms)]
    alarm.number += 1
    alarm.presses += 1
    alarm.last_press_ms = kafka_ms
    return [_transition(alarm, Action.UPDATED, press, kafka_ms)]


def _open_alarm(state: PanicState, school: str, kafka_ms: int) -> Alarm | None:
    alarm = state.alarms.get(school)
    if alarm is not None and kafka_ms - alarm.last_press_ms > ALARM_LASTS_MS:
        del state.alarms[school]
        return None
    return alarm


def _cancelled(state: PanicState, event: PanicCancelled, kafka_ms: int) -> list[AlertChanged]:
    """A device's cancel never closes: it is a note on the alarm, if there is one."""
    alarm = _open_alarm(state, event.school, kafka_ms)
    seen = (event.school, event.type, event.id)
    if alarm is None or _seen_again(state, seen, kafka_ms):
        return []
    alarm.number += 1
    note = f"cancelled {event.press}"
    cancel = Press(event.school, event.device, event.id, event.time_ms, False, note)
    return [_transition(alarm, Action.UPDATED, cancel, kafka_ms)]


def _transition(alarm: Alarm, action: Action, press: Press, kafka_ms: int) -> AlertChanged:
    return AlertChanged(
        id=alarm.id,
        number=alarm.number,
        kind=AlertKind.PANIC,
        severity=Severity.PANIC,
        action=action,
        school=press.school,
        device=press.device,
        time_ms=press.time_ms,
        decided_ms=kafka_ms,
        count=alarm.presses,
        event=press.event,
        unidentified=press.unidentified,
        note=press.note,
    )


def _origin(key: bytes | None, raw: bytes) -> tuple[str, str]:
    """School and device of a record that no model accepts. The key names the school, if it does."""
    fields = _fields(raw)
    schools = ((key or b"").decode(errors="replace"), fields.get("school"))
    school = next((s for s in schools if isinstance(s, str) and _SCHOOL.match(s)), UNKNOWN_SCHOOL)
    device = fields.get("device")
    if not isinstance(device, str) or not _DEVICE.match(device):
        device = ""
    return school, device


def _fields(raw: bytes) -> dict[str, object]:
    try:
        found = json.loads(raw)
    except (ValueError, RecursionError):
        found = None
    if isinstance(found, dict):
        return found
    school, device = _SCHOOL_IN_BYTES.search(raw), _DEVICE_IN_BYTES.search(raw)
    return {
        "school": school[1].decode() if school else None,
        "device": device[1].decode() if device else None,
    }


def _forget(state: PanicState, kafka_ms: int) -> None:
    """Drop what is over. By Kafka's time only, so that every reader forgets at the same record."""
    _drop_before(state.contents, kafka_ms - SAME_BYTES_MS)
    _drop_before(state.ids, kafka_ms - REMEMBER_IDS_MS)


def _drop_before(seen: dict[K, int], before_ms: int) -> None:
    while seen and next(iter(seen.values())) < before_ms:  # the oldest stand first
        del seen[next(iter(seen))]
