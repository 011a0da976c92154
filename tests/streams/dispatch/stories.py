"""Panics, centers and schools for the tests of dispatch."""

import json
from typing import Any

from schemas.alerts import Action, AlertChanged, AlertKind, Severity, alert_id
from schemas.events import SchoolRegistered
from streams.dispatch.centers import Center, Centers
from tests.streams.workers import uuid7

SCHOOL = "KZ-75-00042"
UNLINKED = "KZ-75-00043"
T0 = 1_790_000_000_000


def pressed(school: str = SCHOOL, at_ms: int = T0, number: int = 0, **fields: Any) -> AlertChanged:
    """The transition of a press; number 0 opens."""
    first = fields.pop("first", f"event-{school}")
    said: dict[str, Any] = {
        "id": alert_id(AlertKind.PANIC, school, first),
        "number": number,
        "kind": AlertKind.PANIC,
        "severity": Severity.PANIC,
        "action": Action.UPDATED if number else Action.OPENED,
        "school": school,
        "device": "button-3",
        "time_ms": at_ms,
        "decided_ms": at_ms,
        "count": number + 1,
        "event": f"{first}-{number}",
        "score": 1,
        "why": ["one press"],
    }
    return AlertChanged(**said | fields)


def registered(school: str = SCHOOL, center: str = "own") -> SchoolRegistered:
    fields = {
        "id": uuid7(), "school": school, "device": "registry", "time_ms": T0, "boot": 1, "seq": 1,
        "names": {"kk": "№42 мектеп", "ru": "Школа № 42", "en": "School No. 42"},
        "region": school[:5], "district": "Almaty", "latitude": 43.2, "longitude": 76.9,
        "pupils": 700, "ownership": "public", "shifts": [{"bells": ["08:00", "08:45"]}],
        "provider": "kz-telecom", "devices": [], "center": center,
    }  # fmt: skip
    return SchoolRegistered.model_validate_json(json.dumps(fields))


def center(id_: str = "own", *addresses: str, **fields: Any) -> Center:
    said = {"id": id_, "adapter": "dc09", "addresses": addresses or ("127.0.0.1:1", "127.0.0.1:2")}
    return Center.model_validate(said | fields)


def centers(*there: Center, **fields: Any) -> Centers:
    said: dict[str, Any] = {"people": ("chief", "deputy"), "centers": there}
    return Centers.model_validate(said | fields)
