"""Records as the topics carry them, for the console's tests."""

import json
import time
import uuid
from typing import Any

from schemas.alerts import Action, AlertChanged, AlertKind, Severity, Status, StatusChanged
from schemas.events import EVENT, SchoolRegistered
from schemas.steps import StepTaken, Took

SCHOOL = "KZ-75-00001"
NOW_MS = 1_700_000_000_000


def alert(
    id_: str = "a1", number: int = 0, action: Action = Action.OPENED, **fields: Any
) -> AlertChanged:
    """A transition of an alert, a panic at SCHOOL unless told otherwise."""
    told = {
        "kind": AlertKind.PANIC,
        "severity": Severity.PANIC,
        "school": SCHOOL,
        "time_ms": NOW_MS + number,
        "decided_ms": NOW_MS + number,
        **fields,
    }
    return AlertChanged(id=id_, number=number, action=action, **told)


def status(school: str, now: Status, since_ms: int = NOW_MS, device: str = "") -> StatusChanged:
    return StatusChanged(
        school=school, device=device, status=now, since_ms=since_ms, decided_ms=since_ms
    )


def registered(record: bytes) -> SchoolRegistered:
    event = EVENT.validate_json(record)
    assert isinstance(event, SchoolRegistered)
    return event


def acted(took: Took, actor: str = "aigerim", alert: str = "a1", **fields: Any) -> StepTaken:
    told = {"id": uuid.uuid4().hex, "school": SCHOOL, "time_ms": NOW_MS, **fields}
    return StepTaken(alert=alert, took=took, actor=actor, **told)


def pressed(school: str, device: str = "button-1") -> bytes:
    """The record of a button that is pressed now."""
    now_ms = time.time_ns() // 1_000_000
    bits = now_ms << 80 | 7 << 76 | 2 << 62 | uuid.uuid4().int & (1 << 62) - 1
    event = {
        "id": str(uuid.UUID(int=bits)),
        "type": "panic.pressed",
        "v": 1,
        "school": school,
        "device": device,
        "time_ms": now_ms,
        "boot": 1,
        "seq": now_ms,
    }
    return json.dumps(event).encode()
