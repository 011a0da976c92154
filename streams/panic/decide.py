"""What a record on the panic topic means. Pure: record and state in, transitions out.

The state is what the last minutes of the topic said, so that a second worker, a restart or a replay from
an earlier offset comes to the same transitions, byte for byte. First who, then what: a record that can't
be read whole still raises, as unidentified, with what is known.
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
"""So long a press is known by its event id."""
UNKNOWN_SCHOOL: Final = "unknown"

K = TypeVar("K")

_SCHOOL = re.compile(SCHOOL_PATTERN.replace("$", r"\Z"))
_DEVICE = re.compile(DEVICE_PATTERN.replace("$", r"\Z"))


@dataclass(slots=True)
class Alarm:
    """The open alarm of one school: presses collapse into it, another school's never do."""

    id: str
    number: int
    presses: int
    last_press_ms: int


@dataclass(slots=True)
class PanicState:
    """Of one partition, all by Kafka's time: open alarms by school, presses seen lately."""

    alarms: dict[str, Alarm] = field(default_factory=dict)
    ids: dict[str, int] = field(default_factory=dict)
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
        return _raise(state, _unidentified(key, raw, kafka_ms), raw, kafka_ms)
    if isinstance(event, PanicTest):
        return []
    if isinstance(event, PanicCancelled):
        return _cancelled(state, event, kafka_ms)
    if isinstance(event, PanicPressed):
        notes = []
        if event.duress:
            notes.append("duress")
        if abs(kafka_ms - event.time_ms) > LATE_MS:
            notes.append("late")
        if key != event.school.encode():
            notes.append("key of another school")
        press = Press(event.school, event.device, event.id, event.time_ms, False, ", ".join(notes))
        return _raise(state, press, raw, kafka_ms)
    # An event of another family on this topic: an encoder is broken, and a button may be behind it.
    return _raise(state, _unidentified(key, raw, kafka_ms), raw, kafka_ms)


def _raise(state: PanicState, press: Press, raw: bytes, kafka_ms: int) -> list[AlertChanged]:
    content = sha256(press.school.encode() + b"\0" + raw).digest()
    if press.event in state.ids or content in state.contents:
        return []
    state.ids[press.event] = kafka_ms
    state.contents[content] = kafka_ms
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
    if alarm is None or event.id in state.ids:
        return []
    state.ids[event.id] = kafka_ms
    alarm.number += 1
    press = Press(
        event.school, event.device, event.id, event.time_ms, False, f"cancelled {event.press}"
    )
    return [_transition(alarm, Action.UPDATED, press, kafka_ms)]


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


def _unidentified(key: bytes | None, raw: bytes, kafka_ms: int) -> Press:
    """What can be told of a record that no model accepts. The key names the school, if anything does."""
    fields = _fields(raw)
    school = next(
        (
            text
            for text in ((key or b"").decode(errors="replace"), fields.get("school"))
            if isinstance(text, str) and _SCHOOL.match(text)
        ),
        UNKNOWN_SCHOOL,
    )
    device = fields.get("device")
    if not isinstance(device, str) or not _DEVICE.match(device):
        device = ""
    # Equal bytes at equal places must get an equal id in every replay: nothing but the bytes.
    event = "unread-" + sha256((key or b"") + b"\0" + raw).hexdigest()[:29]
    return Press(school, device, f"{event}-{kafka_ms}", kafka_ms, True, "could not be read whole")


def _fields(raw: bytes) -> dict[str, object]:
    try:
        found = json.loads(raw)
    except (ValueError, RecursionError):
        return {}
    return found if isinstance(found, dict) else {}


def _forget(state: PanicState, kafka_ms: int) -> None:
    """Drop what is over. By Kafka's time only, so that every reader forgets at the same record."""
    _drop_before(state.contents, kafka_ms - SAME_BYTES_MS)
    _drop_before(state.ids, kafka_ms - REMEMBER_IDS_MS)


def _drop_before(seen: dict[K, int], before_ms: int) -> None:
    # Kafka's time never goes back within a partition, so the oldest stand first.
    while seen and next(iter(seen.values())) < before_ms:
        del seen[next(iter(seen))]
