"""What a device may send, and what becomes of what it may not."""

import base64
import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from schemas.events import EVENT
from schemas.ids import uuid7
from schemas.topics import PANICS, PASSES
from streams.gateway.body import CLOUD_EVENT, CLOUD_EVENTS, JSON, MEDIA_TYPES, body_of
from streams.gateway.read import (
    Record,
    Rejected,
    Unreadable,
    read_events,
    read_press,
    rfc_3339_ms,
)
from streams.keys import Device
from streams.panic.decide import PanicState, decide
from tests.streams.gateway.parts import BUTTON, DEVICE, NOW_MS, SCHOOL, entry, event, press, sent

RECEIPT = uuid7(NOW_MS)


def read(body: Any, media_type: str = JSON) -> tuple[list[Record], list[Rejected]]:
    return read_events(DEVICE, sent(json.dumps(body).encode(), media_type), RECEIPT)


def test_a_batch_goes_to_the_topics_of_its_events_as_it_was_said() -> None:
    records, rejected = read([entry(1, later="kept"), event("panic.test", 2)])
    assert rejected == []
    assert [record.topic for record in records] == [PASSES.name, PANICS.name]
    assert {record.school for record in records} == {SCHOOL}
    assert json.loads(records[0].value)["later"] == "kept"


def test_one_bad_event_leaves_the_others() -> None:
    records, rejected = read([entry(1), entry(2, direction="up"), 7])
    assert len(records) == 1
    assert [(one.at, one.field) for one in rejected] == [(1, "/direction"), (2, "")]


@pytest.mark.parametrize("field", [{"school": "KZ-10-00002"}, {"device": "button-2"}])
def test_a_key_speaks_for_its_own_device_only(field: dict[str, str]) -> None:
    records, (rejected,) = read(entry(1, **field))
    assert records == []
    assert BUTTON in rejected.detail


def test_a_device_registers_no_school_and_declares_no_drill() -> None:
    drill = event("drill.declared", supervisor="A", starts_ms=NOW_MS, lasting_s=600)
    _, (rejected,) = read(drill)
    assert rejected.forbidden
    with pytest.raises(PermissionError):
        read_press(DEVICE, sent(json.dumps(drill).encode()), RECEIPT)


@pytest.mark.parametrize("body", [b"", b"{", b"\xff", b'{"a": NaN}', b"[" * 5000])
def test_a_body_that_is_no_json_is_unreadable(body: bytes) -> None:
    with pytest.raises(Unreadable):
        read_events(DEVICE, sent(body), RECEIPT)


def test_a_batch_has_an_end() -> None:
    with pytest.raises(Unreadable, match="1000"):
        read([1] * 1001)


def cloud(**fields: Any) -> dict[str, Any]:
    said = entry(1)
    data = {key: said[key] for key in ("boot", "seq", "direction", "outcome", "card")}
    envelope = {"specversion": "1.0", "id": said["id"], "source": "/turnstile", "type": "pass"}
    return envelope | {"time": "2026-09-21T08:00:00.5+05:00", "data": data} | fields


def test_a_cloud_event_is_completed_by_its_attributes_and_the_key() -> None:
    (record,), rejected = read(cloud(), CLOUD_EVENT)
    assert rejected == []
    said = EVENT.validate_json(record.value)
    assert (said.school, said.device, said.id) == (SCHOOL, BUTTON, record.id)
    assert said.time_ms == 1_789_959_600_500


def test_cloud_events_come_as_a_batch_and_as_base64() -> None:
    data = base64.b64encode(json.dumps(cloud()["data"]).encode()).decode()
    other = {k: v for k, v in cloud(data_base64=data).items() if k != "data"}
    records, rejected = read([cloud(), other], CLOUD_EVENTS)
    assert (len(records), rejected) == (2, [])


@pytest.mark.parametrize(
    "broken",
    [
        {"specversion": "0.3"},
        {"id": 7},
        {"data": "text"},
        {"data": {"id": "another"}},
        {"time": "yesterday"},
        {"time": "2026-09-21T08:00:00"},
        {"data_base64": "%"},
    ],
)
def test_a_broken_cloud_event_is_rejected_with_what_is_wrong(broken: dict[str, Any]) -> None:
    records, (rejected,) = read(cloud(**broken), CLOUD_EVENT)
    assert records == []
    assert rejected.detail


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("2026-09-21T08:00:00Z", 1_789_977_600_000),
        ("2026-09-21t08:00:00z", 1_789_977_600_000),
        ("2026-09-21T08:00:00.5+05:00", 1_789_959_600_500),
        ("2026-09-21T08:00:00.123456789-00:00", 1_789_977_600_123),
        ("2016-12-31T23:59:60Z", 1_483_228_800_000),
        ("2016-12-31T22:59:60Z", None),
        *((text, None) for text in (
            "2026-W39-1T08:00:00Z", "20260921T080000Z", "2026-264T08:00:00Z", "2026-09-21 08:00:00Z",
            "2026-09-21T08:00Z", "2026-09-21T08:00:00", "2026-09-21T08:00:00,5Z", "2026-09-21",
            "2026-09-21T08:00:00+0500", "2026-09-21T24:00:00Z", "2026-02-30T08:00:00Z", "",
            "2026-09-21T08:00:00+05:60", "2026-09-21T08:00:00Z\n", "٢026-09-21T08:00:00Z",
        )),
    ],
)  # fmt: skip
def test_a_time_is_one_of_rfc_3339_and_nothing_else(text: str, wanted: int | None) -> None:
    assert rfc_3339_ms(text) == wanted


def test_a_cloud_event_may_have_its_attributes_in_the_headers() -> None:
    said = event(place="Room 5")
    headers = {
        "ce-specversion": "1.0",
        "ce-id": said["id"],
        "ce-type": said["type"],
        "ce-source": "/b",
    }
    data = {name: said[name] for name in ("time_ms", "boot", "seq", "place")}
    (record,) = read_press(DEVICE, body_of(json.dumps(data).encode(), headers), RECEIPT)
    assert record.id == said["id"]


def raised(records: list[Record]) -> list[tuple[str, str, bool]]:
    """What the panic workers make of them: (school, device, unidentified)."""
    state = PanicState()
    return [
        (alert.school, alert.device, alert.unidentified)
        for record in records
        for alert in decide(state, record.school.encode(), record.value, NOW_MS)
    ]


def test_a_press_is_passed_on_and_raised() -> None:
    records = read_press(DEVICE, sent(press()), RECEIPT)
    assert raised(records) == [(SCHOOL, BUTTON, False)]


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"\x00\xff",
        press()[:40],
        b"[]",
        b"null",
        json.dumps(entry()).encode(),
        press(school="KZ-10-00002"),
        press(device="button-9"),
        press(boot="one"),
    ],
)
def test_whatever_comes_as_a_press_is_raised_for_the_keys_own_school_and_device(
    body: bytes,
) -> None:
    records = read_press(DEVICE, sent(body), RECEIPT)
    assert raised(records) == [(SCHOOL, BUTTON, True)]
    assert base64.b64decode(json.loads(records[0].value)["raw_base64"]) == body


@pytest.mark.parametrize("body", [press(), press()[:-9], press(boot="one"), b"[" + press() + b",{"])
def test_a_press_at_the_wrong_door_is_a_press(body: bytes) -> None:
    records, rejected = read_events(DEVICE, sent(body), RECEIPT)
    assert rejected == []
    assert len(raised(records)) == 1


def test_the_readable_presses_of_a_batch_are_raised_beside_the_others() -> None:
    body = b"[" + press(1) + b"," + press(2, boot="one") + b"]"
    assert raised(read_press(DEVICE, sent(body), RECEIPT)) == [
        (SCHOOL, BUTTON, False),
        (SCHOOL, BUTTON, True),
    ]


@given(st.binary(max_size=300), st.sampled_from([*MEDIA_TYPES, "text/plain"]))
def test_no_bytes_of_a_device_silence_its_button(body: bytes, media_type: str) -> None:
    records = read_press(DEVICE, sent(body, media_type), RECEIPT)
    assert raised(records) == [(SCHOOL, BUTTON, True)]


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=10) | st.floats(allow_nan=False),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=4)
    ),
    max_leaves=10,
)


@given(st.dictionaries(st.sampled_from(sorted(event() | {"type": ""})), json_values, max_size=8))
def test_a_press_with_any_field_broken_is_raised(broken: dict[str, Any]) -> None:
    body = json.dumps(event() | broken).encode()
    try:
        records = read_press(DEVICE, sent(body), RECEIPT)
    except PermissionError:
        return
    assert [school for school, _, _ in raised(records)] == [SCHOOL]


@given(json_values, st.sampled_from(MEDIA_TYPES))
def test_any_json_is_read_or_refused(body: Any, media_type: str) -> None:
    try:
        records, rejected = read_events(
            DEVICE, sent(json.dumps(body).encode(), media_type), RECEIPT
        )
    except Unreadable:
        return
    assert all(isinstance(one, Record) for one in records)
    assert all(one.detail for one in rejected)


def test_a_press_with_an_id_of_ours_is_read() -> None:
    (record,) = read_press(Device(SCHOOL, BUTTON), sent(press(id=uuid7(NOW_MS))), RECEIPT)
    assert not record.id.startswith("unread")
