"""What a record on the panic topic means. Pure: record and state in, transitions out.

The state is what the last day of the topic said, so that a second worker, a restart or a replay from an
earlier offset comes to the same transitions, byte for byte. First who, then what: a record that
can't be read whole still raises, as unidentified, with what is known.
"""

import json
import re
from dataclasses import dataclass, field, replace
from hashlib import sha256
from typing import Final, TypeVar

from pydantic import ValidationError

from schemas.alerts import CANCELLED, Action, AlertChanged, AlertKind, Cause, Severity, alert_id
from schemas.events import (
    EVENT,
    SCHOOL_PATTERN,
    UUID7_PATTERN,
    DrillDeclared,
    PanicCancelled,
    PanicPressed,
    PanicTest,
)
from streams.panic.salvage import Salvaged, Twice, parsed, said_by, said_in

ALARM_LASTS_MS: Final = 10 * 60_000
"""Presses of one school within this time (Kafka's) after the last one are one alarm."""
SAME_BYTES_MS: Final = 60_000
"""Identical bytes within this time are one press sent twice."""
LATE_MS: Final = 5 * 60_000
"""A press older or newer than this by its own clock goes to a human, who decides on dispatch."""
REMEMBER_IDS_MS: Final = 24 * 3_600_000
"""So long after it was last seen, a press is known by its event id."""
DECLARED_BEFORE_MS: Final = 20 * 3_600_000
"""A drill that begins later than this after it was declared is none: who starts to read REBUILD_MS
before a record must find every declaration that counts for it."""
REBUILD_MS: Final = 2 * REMEMBER_IDS_MS
"""Who reads from so long before a record decides on it as one who never stopped: a day of ids for
each press of an alarm that has been open for up to a day."""
UNKNOWN_SCHOOL: Final = "unknown"
UNREAD: Final = "panic.unread"
"""Type of the envelope in which the gateway sends what an authenticated device sent as a press and
could not be read: ``school`` and ``device`` by its key, a ``receipt`` (UUIDv7) of its own for each,
the bytes as ``raw_base64``, and under ``said`` what they still say (streams.panic.salvage.Salvaged),
read once so that every replay has the same. No model accepts it, so it is raised as unidentified."""
MANY_BUTTONS: Final = 3

K = TypeVar("K")

_SCHOOL = re.compile(SCHOOL_PATTERN.replace("$", r"\Z"))
_UUID7 = re.compile(UUID7_PATTERN.replace("$", r"\Z"))


@dataclass(slots=True)
class Alarm:
    """An open alarm of one school: presses collapse into it, another school's never do.

    A drill's presses have an alarm of their own, so that a real press always opens or moves a real
    one. ``devices``: of the first few that pressed.
    """

    id: str
    drill: bool
    number: int = -1
    presses: int = 0
    last_press_ms: int = 0
    duress: bool = False
    devices: set[str] = field(default_factory=set)


@dataclass(frozen=True, slots=True)
class Drill:
    """Declared and not over. ``devices``: all of the school's when empty."""

    devices: frozenset[str]
    supervisor: str
    starts_ms: int
    ends_ms: int


@dataclass(slots=True)
class PanicState:
    """Of all partitions, all by Kafka's time: open alarms by (school, drill), drills by school, what
    was seen lately.

    Seen: (school, kind, event id), as one device's broken ids may not silence another school's
    button, nor a cancel's id a press; and the hash of bytes that no model accepts.
    """

    alarms: dict[tuple[str, bool], Alarm] = field(default_factory=dict)
    drills: dict[str, list[Drill]] = field(default_factory=dict)
    ids: dict[tuple[str, str, str], int] = field(default_factory=dict)
    contents: dict[bytes, int] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Press:
    """A press as far as it is known."""

    school: str
    device: str
    event: str
    time_ms: int
    note: str
    unidentified: bool = False
    late: bool = False
    duress: bool = False
    drill: Drill | None = None
    place: str = ""


def decide(
    state: PanicState,
    key: bytes | None,
    value: bytes | None,
    kafka_ms: int,
    *,
    replayed: bool = False,
) -> list[AlertChanged]:
    """The transitions that this record causes; none for tests and for presses seen before.

    ``replayed``: somebody sent the record again, so what it says may be long over.
    """
    _forget(state, kafka_ms)
    raw = value or b""
    try:
        event = EVENT.validate_json(raw)
    except ValidationError:
        return _unread(state, key, raw, kafka_ms, replayed)
    if isinstance(event, PanicTest):
        return []
    if isinstance(event, DrillDeclared):
        if key == event.school.encode() and not replayed:
            _declared(state, event, kafka_ms)
        return []
    if isinstance(event, PanicCancelled):
        return _cancelled(state, event, kafka_ms)
    if not isinstance(event, PanicPressed):
        # Another family's event here: an encoder is broken, and a button may be behind it.
        return _unread(state, key, raw, kafka_ms, replayed)
    seen = (event.school, event.type, event.id)
    if _seen_again(state, seen, kafka_ms):
        return []
    return _raise(state, _press(state, event, key, kafka_ms, replayed), kafka_ms)


def _press(
    state: PanicState, event: PanicPressed, key: bytes | None, kafka_ms: int, replayed: bool
) -> Press:
    late = replayed or abs(kafka_ms - event.time_ms) > LATE_MS
    # Under duress nobody plays, and an old press may be from before the drill.
    drill = None if late or event.duress else _drill_of(state, event, kafka_ms)
    notes = {
        "duress": event.duress,
        "late": late,
        "replayed": replayed,
        "drill": drill is not None,
        "key of another school": key != event.school.encode(),
    }
    return Press(
        event.school,
        event.device,
        event.id,
        event.time_ms,
        note=", ".join(note for note, said in notes.items() if said),
        late=late,
        duress=event.duress,
        drill=drill,
        place=event.place or "",
    )


def _declared(state: PanicState, event: DrillDeclared, kafka_ms: int) -> None:
    if event.starts_ms - kafka_ms > DECLARED_BEFORE_MS:
        return
    ends_ms = event.starts_ms + event.lasting_s * 1000
    drill = Drill(frozenset(event.devices), event.supervisor, event.starts_ms, ends_ms)
    there = [d for d in state.drills.get(event.school, []) if d.ends_ms >= kafka_ms and d != drill]
    state.drills[event.school] = [*there, drill]


def _drill_of(state: PanicState, event: PanicPressed, kafka_ms: int) -> Drill | None:
    for drill in state.drills.get(event.school, []):
        inside = drill.starts_ms <= kafka_ms <= drill.ends_ms
        if inside and (not drill.devices or event.device in drill.devices):
            return drill
    return None


def _unread(
    state: PanicState, key: bytes | None, raw: bytes, kafka_ms: int, replayed: bool
) -> list[AlertChanged]:
    envelope = _envelope(raw)
    receipt = envelope.receipt if envelope else ""
    said = envelope.said if envelope else said_by(raw)
    school, device = _origin(key, said)
    if receipt:
        # The gateway's word for bytes that it could not read, said once for each that it got.
        if _seen_again(state, (school, UNREAD, receipt), kafka_ms):
            return []
        event = unread_id(receipt)
    else:
        event = _unread_content(state, key, raw, kafka_ms)
    if not event:
        return []
    notes = {"duress": said.duress, "late": replayed, "replayed": replayed}
    press = Press(
        school,
        device,
        event,
        kafka_ms,
        note=", ".join(["could not be read whole", *(n for n, holds in notes.items() if holds)]),
        unidentified=True,
        late=replayed,
        duress=said.duress,
        place=said.place,
    )
    return _raise(state, press, kafka_ms)


def _unread_content(state: PanicState, key: bytes | None, raw: bytes, kafka_ms: int) -> str:
    """The id of a record that nobody gave one; empty when the same bytes were there just now."""
    content = sha256((key or b"") + b"\0" + raw).digest()
    at_ms = state.contents.get(content)
    # The broker's clock may have been set back, so presence alone does not prove it recent.
    if at_ms is not None and abs(kafka_ms - at_ms) <= SAME_BYTES_MS:
        return ""
    state.contents.pop(content, None)
    state.contents[content] = kafka_ms
    # Nothing but bytes and Kafka's time, so that every reader gives it the same id.
    return unread_id(f"{content.hex()[:29]}-{kafka_ms}")


def unread_id(name: str) -> str:
    """The event id of a press that could not be read whole."""
    return f"unread-{name}"


def _seen_again(state: PanicState, seen: tuple[str, str, str], kafka_ms: int) -> bool:
    """Remembered anew each time: so what is known at a record follows from the day before it."""
    known_ms = state.ids.pop(seen, None)
    state.ids[seen] = kafka_ms
    # Of partitions that are not read in one order, what is older may stand behind what is newer.
    return known_ms is not None and kafka_ms - known_ms <= REMEMBER_IDS_MS


def _raise(state: PanicState, press: Press, kafka_ms: int) -> list[AlertChanged]:
    where = press.school, press.drill is not None
    alarm = _open_alarm(state, where, kafka_ms)
    if alarm is None:
        alarm = Alarm(alert_id(AlertKind.PANIC, press.school, press.event), where[1])
        state.alarms[where] = alarm
    alarm.presses += 1
    alarm.last_press_ms = kafka_ms
    alarm.duress |= press.duress
    if len(alarm.devices) < MANY_BUTTONS:
        alarm.devices.add(press.device)
    action = Action.OPENED if alarm.presses == 1 else Action.UPDATED
    return [_transition(alarm, action, press, kafka_ms, Cause.PRESS)]


def _open_alarm(state: PanicState, where: tuple[str, bool], kafka_ms: int) -> Alarm | None:
    alarm = state.alarms.get(where)
    if alarm is not None and kafka_ms - alarm.last_press_ms > ALARM_LASTS_MS:
        del state.alarms[where]
        return None
    return alarm


def _cancelled(state: PanicState, event: PanicCancelled, kafka_ms: int) -> list[AlertChanged]:
    """A device's cancel never closes: it is a note on the alarm, if there is one."""
    alarm = _open_alarm(state, (event.school, False), kafka_ms)
    alarm = alarm or _open_alarm(state, (event.school, True), kafka_ms)
    seen = (event.school, event.type, event.id)
    if alarm is None or _seen_again(state, seen, kafka_ms):
        return []
    note = f"{CANCELLED}{event.press}"
    cancel = Press(event.school, event.device, event.id, event.time_ms, note)
    return [_transition(alarm, Action.UPDATED, cancel, kafka_ms, Cause.CANCEL)]


def _transition(
    alarm: Alarm, action: Action, press: Press, kafka_ms: int, cause: Cause
) -> AlertChanged:
    alarm.number += 1
    score, why = _score(alarm, press)
    return AlertChanged(
        id=alarm.id,
        number=alarm.number,
        kind=AlertKind.PANIC,
        severity=Severity.INFO if alarm.drill else Severity.PANIC,
        action=action,
        school=press.school,
        device=press.device,
        time_ms=press.time_ms,
        decided_ms=kafka_ms,
        count=alarm.presses,
        event=press.event,
        unidentified=press.unidentified,
        note=press.note,
        late=press.late,
        duress=press.duress,
        drill=alarm.drill,
        score=score,
        why=why,
        place=press.place,
        cause=cause,
    )


def _score(alarm: Alarm, press: Press) -> tuple[int, list[str]]:
    """0 to 4 and what it rests on, after the levels of TMA-AVS-01.

    0: no call for service; 1: a call of which nothing more is known; 2: people are there; 3: several
    say so, or one under duress; 4: life is in danger. It orders attention, and delays no sending.
    """
    if alarm.drill:
        by = press.drill.supervisor if press.drill else "its supervisor"
        return 0, [f"inside a drill that {by} answers for"]
    buttons = len(alarm.devices)
    reasons = {
        f"pressed {alarm.presses} times": alarm.presses > 1,
        f"{buttons} buttons" + (" or more" if buttons >= MANY_BUTTONS else ""): buttons > 1,
        "duress": alarm.duress,
    }
    why = [reason for reason, holds in reasons.items() if holds]
    weight = (alarm.presses > 1) + max(0, buttons - 1) + 2 * alarm.duress
    score = min(4, 1 + weight)
    if press.unidentified:
        why.append("the record could not be read whole")
    if press.late:
        why.append("late or replayed: a human decides on dispatch")
    return score, why or ["one press"]


@dataclass(frozen=True, slots=True)
class _Unread:
    receipt: str
    said: Salvaged


def _envelope(raw: bytes) -> _Unread | None:
    """The gateway's word for what it could not read; None for anything else."""
    try:
        fields = json.loads(raw)
    except (ValueError, RecursionError):
        return None
    if not isinstance(fields, dict) or fields.get("type") != UNREAD:
        return None
    receipt, said = fields.get("receipt"), fields.get("said")
    legible = said_in(parsed(json.dumps(said))) if isinstance(said, dict) else Salvaged()
    # By its key: what the bytes say of school and device is for people.
    own = said_in(Twice((name, fields.get(name)) for name in ("school", "device")))
    return _Unread(
        receipt if isinstance(receipt, str) and _UUID7.match(receipt) else "",
        replace(legible, school=own.school, device=own.device),
    )


def _origin(key: bytes | None, said: Salvaged) -> tuple[str, str]:
    """School and device of a record that no model accepts. The key names the school, if it does."""
    named = (key or b"").decode(errors="replace")
    return (named if _SCHOOL.match(named) else said.school or UNKNOWN_SCHOOL), said.device


def _forget(state: PanicState, kafka_ms: int) -> None:
    """Drop what is over. By Kafka's time only, so that every reader forgets at the same record."""
    _drop_before(state.contents, kafka_ms - SAME_BYTES_MS)
    _drop_before(state.ids, kafka_ms - REMEMBER_IDS_MS)


def _drop_before(seen: dict[K, int], before_ms: int) -> None:
    while seen and next(iter(seen.values())) < before_ms:  # the oldest stand first
        del seen[next(iter(seen))]
