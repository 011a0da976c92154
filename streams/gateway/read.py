"""What an authenticated device sent, as records for Kafka. Pure: bytes in, records or reasons out.

First who, then what: the key says which school and device it is. Of a press nothing is ever refused:
what can't be read goes on in an envelope that is raised as unidentified.
"""

import base64
import json
import re
from calendar import timegm
from collections.abc import Hashable, Mapping
from dataclasses import asdict, dataclass
from datetime import datetime
from functools import reduce
from hashlib import sha256
from typing import Any, Final, cast

from pydantic import ValidationError
from pydantic_core import from_json, to_json

from schemas.events import EVENT, DrillDeclared, Event, SchoolRegistered
from schemas.topics import PANICS, TOPIC_OF_TYPE
from streams.gateway.batch import Says, most_telling
from streams.gateway.body import CLOUD_EVENT, CLOUD_EVENTS, Body, binary_mode
from streams.keys import Device
from streams.panic.decide import UNREAD, unread_id
from streams.panic.salvage import Salvaged, Twice, both, parsed, said_in

MAX_EVENTS: Final = 1_000
MAX_EVENT_BYTES: Final = 64 * 1024
MAX_BATCH_BYTES: Final = 1024 * 1024
MAX_RAW_BYTES: Final = 4 * 1024
"""So much of a press that can't be read is kept: a press has a few hundred bytes."""
MOST_WRONG: Final = 20
"""So many fields are named of one event."""
NOTHING: Final = Salvaged()
DAY_S: Final = 86_400

# Schools and drills are declared by people who answer for them, not by a device's key.
_NOT_A_DEVICES: Final = (DrillDeclared, SchoolRegistered)
_NO_PRESS: Final = ("panic.test", "panic.cancelled")
_PRESS_IN_BYTES = re.compile(rb"panic(?:[\W_]|%2e|u002e){0,3}press", re.IGNORECASE)
_RFC_3339 = re.compile(
    r"([0-9]{4}-[0-9]{2}-[0-9]{2})[Tt]((?:[01][0-9]|2[0-3]):[0-5][0-9]:)([0-5][0-9]|60)(?:\.([0-9]+))?"
    r"([Zz]|[+-](?:[01][0-9]|2[0-3]):[0-5][0-9])\Z"
)


@dataclass(frozen=True, slots=True)
class Record:
    """One record for Kafka. ``id`` is the event's; ``what`` tells a repeat from another event. ``unread``:
    a press that could not be read whole. ``at``: the event's place in its batch. ``time_ms``: the device's
    clock, None where it can't be read."""

    topic: str
    school: str
    id: str
    value: bytes
    what: tuple[object, ...]
    unread: bool = False
    at: int = 0
    time_ms: int | None = None

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


class NoPress(Exception):
    """What came on the panic listener says that it is a test or a cancel, and what is wrong with it."""

    def __init__(self, rejected: list[Rejected]) -> None:
        super().__init__(rejected[0].detail)
        self.rejected = rejected


def read_events(device: Device, body: Body, receipt: str) -> tuple[list[Record], list[Rejected]]:
    """The records of a batch, and what is wrong with the rest of it. Raises Unreadable.

    A press that came here instead of the panic listener is a press all the same, ``receipt`` (a
    UUIDv7) naming it when it can't be read.
    """
    records: list[Record] = []
    rejected: list[Rejected] = []
    try:
        items = _items(body)
    except Unreadable:
        if claims_press(body):
            return [unread(device, body.raw, receipt, body.said())], []
        raise
    for at, item in enumerate(items):
        found = _read(device, item, body, at)
        if isinstance(found, Record):
            records.append(found)
            continue
        value = to_json(item.value)
        if not found[0].forbidden and _PRESS_IN_BYTES.search(value):
            said = said_in(item.twice) if len(items) > 1 else body.said()
            records.append(unread(device, value, f"{receipt[:-4]}{at:04x}", said))
        else:
            rejected += found
    return records, rejected


def read_press(device: Device, body: Body, receipt: str) -> list[Record]:
    """The records of what came on the panic listener: at least one, whatever it was.

    Raises PermissionError for what is whole but not a device's to say, NoPress for tests and cancels
    that can't be used.
    """
    try:
        items = most_telling(_items(body), _says)
    except Unreadable:
        return [unread(device, body.raw, receipt, body.said())]
    records: list[Record] = []
    wrong: list[tuple[_Item, list[Rejected]]] = []
    for at, item in enumerate(items):
        found = _read(device, item, body, at)
        if isinstance(found, list):
            wrong.append((item, found))
        elif found.is_press:
            records.append(found)
        else:
            wrong.append((item, []))
    forbidden = [found[0] for _, found in wrong if found and found[0].forbidden]
    if len(items) == 1 and forbidden:
        raise PermissionError(forbidden[0].detail)
    if wrong and not records and all(item.is_no_press and found for item, found in wrong):
        raise NoPress([one for _, found in wrong for one in found])
    if len(records) + len(forbidden) < len(items) or not items:
        said = body.said()
        if len(items) > 1:
            said = reduce(both, (said_in(item.twice) for item, _ in wrong))
        records.append(unread(device, body.raw, receipt, said))
    return records


def unread(device: Device, raw: bytes, receipt: str, said: Salvaged = NOTHING) -> Record:
    """The envelope of a press that could not be read (streams.panic.decide.UNREAD), with what it still
    says."""
    legible = {name: value for name, value in asdict(said).items() if value}
    envelope = {
        "type": UNREAD,
        "school": device.school,
        "device": device.device,
        "receipt": receipt,
        "said": legible,
        "raw_base64": base64.b64encode(raw[:MAX_RAW_BYTES]).decode(),
    }
    return Record(
        PANICS.name,
        device.school,
        unread_id(receipt),
        json.dumps(envelope).encode(),
        (device, sha256(raw).digest(), said),
        unread=True,
    )


def record_of(event: Event, value: bytes, at: int = 0) -> Record:
    sender = Device(event.school, event.device)
    return Record(
        TOPIC_OF_TYPE[event.type].name,
        event.school,
        event.id,
        value,
        (sender, event.type, event.boot, event.seq, event.id),
        at=at,
        time_ms=event.time_ms,
    )


@dataclass(frozen=True, slots=True)
class _Item:
    """One event of a body. ``twice``: the same with all names, also those that stand there twice."""

    value: Any
    twice: object

    @property
    def is_no_press(self) -> bool:
        return isinstance(self.value, dict) and self.value.get("type") in _NO_PRESS


def _says(item: _Item) -> Says:
    type_ = item.value.get("type") if isinstance(item.value, dict) else None
    said = said_in(item.twice)
    return Says(repr(type_)[:64], said.duress, said.place)


def _items(body: Body) -> list[_Item]:
    try:
        text = _json_text(body.text)
        said = from_json(text, allow_inf_nan=False)
        # Only a press is looked at again.
        twice = parsed(text.decode()) if claims_press(body) else said
    except (ValueError, RecursionError) as error:
        raise Unreadable(f"the body is no JSON: {error}") from None
    if body.media_type == CLOUD_EVENTS and not isinstance(said, list):
        raise Unreadable("a CloudEvents batch is a JSON array")
    if binary_mode(body):
        said = {**body.cloud, "data": said}
        twice = Twice([*body.cloud.items(), ("data", twice)])
    if not isinstance(said, list):
        return [_Item(said, twice)]
    if len(said) > MAX_EVENTS:
        raise Unreadable(f"{len(said)} events are more than the {MAX_EVENTS} of one batch")
    return [_Item(one, also) for one, also in zip(said, cast("list[object]", twice), strict=True)]


def _json_text(text: bytes) -> bytes:
    """Without what stands behind the zero that ends a text in C, if it was whole there."""
    before = text.strip(b"\0").partition(b"\0")[0].rstrip()
    return before if before[-1:] in (b"}", b"]") else text


def _read(device: Device, item: _Item, body: Body, at: int) -> Record | list[Rejected]:
    said = item.value
    if not isinstance(said, dict):
        return [Rejected(at, "an event is a JSON object")]
    if body.media_type in (CLOUD_EVENT, CLOUD_EVENTS) or _is_cloud_event(said):
        unwrapped = _unwrap(device, said)
        if isinstance(unwrapped, str):
            return [Rejected(at, unwrapped)]
        said = unwrapped
    if said.get("type") == "panic.pressed":
        said = _with_all_it_says(said, item.twice)
    value = to_json(said)
    if len(value) > MAX_EVENT_BYTES:
        return [Rejected(at, f"an event has {MAX_EVENT_BYTES} bytes at most")]
    try:
        event = EVENT.validate_json(value)
    except ValidationError as error:
        return _wrong_fields(at, error)
    if (event.school, event.device) != (device.school, device.device):
        return [Rejected(at, f"the key is for {device.device} of {device.school}", "/device")]
    if isinstance(event, _NOT_A_DEVICES):
        return [Rejected(at, f"{event.type} is not for a device to say", "/type", forbidden=True)]
    return record_of(event, value, at)


def _wrong_fields(at: int, error: ValidationError) -> list[Rejected]:
    """All that is wrong with one event."""
    wrong = error.errors(include_url=False, include_input=False, include_context=False)
    # The first step is the discriminator's, which is no part of the document.
    if wrong[0]["type"].startswith("union_tag"):
        types = ", ".join(sorted(TOPIC_OF_TYPE))
        return [Rejected(at, f"the type is one of {types}", "/type")]
    return [
        Rejected(at, one["msg"], "".join(f"/{step}" for step in one["loc"][1:]))
        for one in wrong[:MOST_WRONG]
    ]


def _with_all_it_says(said: dict[str, Any], twice: object) -> dict[str, Any]:
    """A press with the duress and place that stand where no model looks: in a name that is there twice
    or in capitals, beside a CloudEvent's data. An empty place is none."""
    place = said.get("place")
    if isinstance(place, str) and not place.strip():
        said = {name: value for name, value in said.items() if name != "place"}
    also = said_in(twice)
    if also.duress and said.get("duress", False) is False:
        said = {**said, "duress": True}
    if also.place and said.get("place") is None:
        said = {**said, "place": also.place}
    return said


def _is_cloud_event(said: Mapping[str, Any]) -> bool:
    """Whatever its media type says."""
    return "specversion" in said and ("data" in said or "data_base64" in said)


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
        at_ms = rfc_3339_ms(cloud["time"])
        if at_ms is None:
            return "time is a timestamp of RFC 3339, with an offset"
        event["time_ms"] = at_ms
    return event


def rfc_3339_ms(text: str) -> int | None:
    """Milliseconds since 1970 of a date-time of RFC 3339 (5.6); None for anything else."""
    match = _RFC_3339.match(text)
    if match is None:
        return None
    date, minutes, second, fraction, offset = match.groups()
    # A leap second is the last moment of its minute; datetime knows none.
    leaps = second == "60"
    try:
        at = datetime.fromisoformat(
            f"{date}T{minutes}{'59' if leaps else second}{offset.upper().replace('Z', '+00:00')}"
        )
        at_s = timegm(at.utctimetuple())
    except (ValueError, OverflowError):
        return None
    if leaps and at_s % DAY_S != DAY_S - 1:
        return None
    return at_s * 1000 + int(f"{fraction or 0:0<3}"[:3]) + 1000 * leaps


def claims_press(body: Body) -> bool:
    """Whether this was meant as a press, as far as it can be told."""
    if _PRESS_IN_BYTES.search(body.text):
        return True
    cloud = " ".join(body.cloud.values())
    if _PRESS_IN_BYTES.search(f"{cloud} {body.query}".encode()):
        return True
    # Escapes and base64 hide the word; a field of that name is there then.
    hidden = b"\\u00" in body.text or b"base64" in body.text or body.text.lstrip()[:1] not in b"{["
    return hidden and _PRESS_IN_BYTES.search(body.said().type.encode()) is not None
