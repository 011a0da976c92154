"""Records as the topics carry them, for the console's tests."""

from typing import Any

from schemas.alerts import Action, AlertChanged, AlertKind, Severity, Status, StatusChanged
from schemas.events import EVENT, SchoolRegistered

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
