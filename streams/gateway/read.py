"""What an authenticated device sent, as records for Kafka. Pure: bytes in, records or reasons out.

First who, then what: the key says which school and device it is. Of a press nothing is ever refused:
what can't be read goes on in an envelope that is raised as unidentified.
"""

import base64
import json
import re
from collections.abc import Hashable, Mapping
from dataclasses import dataclass
from datetime import datetime
from hashlib import sha256
from typing import Any, Final

from pydantic import ValidationError
from pydantic_core import from_json, to_json

from schemas.events import (
    EVENT,
    DrillDeclared,
    Event,
    PanicCancelled,
    PanicPressed,
    PanicTest,
    SchoolRegistered,
)
from schemas.topics import PANICS, TOPIC_OF_TYPE
from streams.gateway.batch import most_telling
from streams.gateway.keys import Device
from streams.panic.decide import UNREAD

MAX_EVENTS: Final = 1_000
MAX_EVENT_BYTES: Final = 64 * 1024
MAX_BATCH_BYTES: Final = 1024 * 1024
MAX_RAW_BYTES: Final = 4 * 1024
"""So much of a press that can't be read is kept: a press has a few hundred bytes."""

JSON: Final = "application/json"
CLOUD_EVENT: Final = "application/cloudevents+json"
CLOUD_EVENTS: Final = "application/cloudevents-batch+json"
MEDIA_TYPES: Final = (JSON, CLOUD_EVENT, CLOUD_EVENTS)

# Schools and drills are declared by people who answer for them, not by a device's key.
_NOT_A_DEVICES: Final = (DrillDeclared, SchoolRegistered)
_NO_PRESS: Final = ("panic.test", "panic.cancelled")
_PRESS_FAMILY: Final = (PanicPressed, PanicCancelled, PanicTest)
_PRESS_IN_BYTES = re.compile(rb"panic[._]?press", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Record:
    """One record for Kafka. ``id`` is the event's; ``what`` tells a repeat from another event."""

    topic: str
    school: str
    id: str
    value: bytes
    what: tuple[object, ...]

    @property
    def sender(self) -> Hashable:
        """Who is held to account for it: the device, apart for its tests and its cancels."""
        device, *what = self.what
        return (device, what[0]) if what[0] in _NO_PRESS else device

    @property
    def is_press(self) -> bool:
        return self.topic == PANICS.name


@dataclass(frozen=True, slots=True)
class Rejected:
    """``at`` is the event's place in the batch, ``field`` a JSON pointer (RFC 6901)."""

    at: int
    detail: str
    field: str = ""
    forbidden: bool = False


class Unreadable(Exception):
    """The body is no event and no batch; the message says why."""


def read_events(
    device: Device, body: bytes, media_type: str, receipt: str
) -> tuple[list[Record], list[Rejected]]:
    """The records of a batch, and what is wrong with the rest of it. Raises Unreadable.

    A press that came here instead of the panic listener is a press all the same, ``receipt`` (a
    UUIDv7) naming it when it can't be read.
    """
    records: list[Record] = []
    rejected: list[Rejected] = []
    try:
        items = _items(body, media_type)
    except Unreadable:
        if claims_press(body):
            return [unread(device, body, receipt)], []
        raise
    for at, said in enumerate(items):
        found = _read(device, said, media_type, at)
        if isinstance(found, Rejected) and not found.forbidden and claims_press(to_json(said)):
            found = unread(device, to_json(said), f"{receipt[:-4]}{at:04x}")
        if isinstance(found, Record):
            records.append(found)
        else:
            rejected.append(found)
    return records, rejected


def read_press(device: Device, body: bytes, media_type: str, receipt: str) -> list[Record]:
    """The records of what came on the panic listener: at least one, whatever it was.

    Raises PermissionError for what is whole but not a device's to say.
    """
    try:
        items = most_telling(_items(body, media_type))
    except Unreadable:
        return [unread(device, body, receipt)]
    if len(items) == 1:
        found = _read(device, items[0], media_type, 0)
        if isinstance(found, Rejected) and found.forbidden:
            raise PermissionError(found.detail)
        if isinstance(found, Record) and found.is_press:
            return [found]
        return [unread(device, body, receipt)]
    records, forbidden = [], 0
    for at, said in enumerate(items):
        found = _read(device, said, media_type, at)
        forbidden += isinstance(found, Rejected) and found.forbidden
        if isinstance(found, Record) and found.is_press:
            records.append(found)
    if len(records) + forbidden < len(items) or not items:
        records.append(unread(device, body, receipt))
    return records


def unread(device: Device, body: bytes, receipt: str) -> Record:
    """The envelope of a press that could not be read (streams.panic.decide.UNREAD)."""
    said = {
        "type": UNREAD,
        "school": device.school,
        "device": device.device,
        "receipt": receipt,
        "raw_base64": base64.b64encode(body[:MAX_RAW_BYTES]).decode(),
    }
    content = sha256(body).digest()
    return Record(
        PANICS.name,
        device.school,
        f"unread-{receipt}",
        json.dumps(said).encode(),
        (device, content),
    )


def record_of(event: Event, value: bytes) -> Record:
    sender = Device(event.school, event.device)
    return Record(
        TOPIC_OF_TYPE[event.type].name,
        event.school,
        event.id,
        value,
        (sender, event.type, event.boot, event.seq, event.id),
    )


def _items(body: bytes, media_type: str) -> list[Any]:
    try:
        said = from_json(body, allow_inf_nan=False)
    except ValueError as error:
        raise Unreadable(f"the body is no JSON: {error}") from None
    if media_type == CLOUD_EVENTS and not isinstance(said, list):
        raise Unreadable("a CloudEvents batch is a JSON array")
    items = said if isinstance(said, list) else [said]
    if len(items) > MAX_EVENTS:
        raise Unreadable(f"{len(items)} events are more than the {MAX_EVENTS} of one batch")
    return items


def _read(device: Device, said: Any, media_type: str, at: int) -> Record | Rejected:
    if not isinstance(said, dict):
        return Rejected(at, "an event is a JSON object")
    if media_type in (CLOUD_EVENT, CLOUD_EVENTS):
        unwrapped = _unwrap(device, said)
        if isinstance(unwrapped, str):
            return Rejected(at, unwrapped)
        said = unwrapped
    value = to_json(said)
    if len(value) > MAX_EVENT_BYTES:
        return Rejected(at, f"an event has {MAX_EVENT_BYTES} bytes at most")
    try:
        event = EVENT.validate_json(value)
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False, include_context=False)[0]
        # The first step is the discriminator's, which is no part of the document.
        return Rejected(at, first["msg"], "".join(f"/{step}" for step in first["loc"][1:]))
    if (event.school, event.device) != (device.school, device.device):
        return Rejected(at, f"the key is for {device.device} of {device.school}", "/device")
    if isinstance(event, _NOT_A_DEVICES):
        return Rejected(at, f"{event.type} is not for a device to say", "/type", forbidden=True)
    return record_of(event, value)


def _unwrap(device: Device, cloud: Mapping[str, Any]) -> dict[str, Any] | str:
    """The event in a CloudEvent 1.0: its ``data``, completed by its attributes and by the key."""
    if cloud.get("specversion") != "1.0":
        return "specversion is 1.0"
    missing = [n for n in ("id", "source", "type") if not isinstance(cloud.get(n), str)]
    if missing:
        return f"a CloudEvent has {', '.join(missing)} as text"
    data = cloud.get("data")
    if "data_base64" in cloud:
        try:
            data = from_json(base64.b64decode(cloud["data_base64"], validate=True))
        except (ValueError, TypeError):
            return "data_base64 holds no JSON"
    if not isinstance(data, dict):
        return "data is a JSON object: the event's fields"
    event = {
        "id": cloud["id"],
        "type": cloud["type"],
        "school": device.school,
        "device": device.device,
        **data,
    }
    if (event["id"], event["type"]) != (cloud["id"], cloud["type"]):
        return "id and type of the CloudEvent and of its data differ"
    if "time_ms" not in event and isinstance(cloud.get("time"), str):
        try:
            at = datetime.fromisoformat(cloud["time"])
        except ValueError:
            return "time is a timestamp of RFC 3339"
        if at.tzinfo is None:
            return "time has an offset"
        event["time_ms"] = round(at.timestamp() * 1000)
    return event


def claims_press(body: bytes) -> bool:
    """Whether this was meant as a press, as far as its bytes tell."""
    return _PRESS_IN_BYTES.search(body) is not None
