import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from loadtest.simulator.garbage import CASES
from schemas.alerts import Reason
from schemas.topics import (
    BY_NAME,
    FACILITIES,
    INCIDENTS,
    PANICS,
    PASSES,
    REGISTRY,
    TOPIC_OF_TYPE,
    Topic,
)
from streams.store.block import form
from streams.store.judge import NOTICE_TOPICS, Rejected, judge
from streams.store.seen import Seen
from tests.loadtest.streams import START_MS
from tests.streams.store.written import KNOWN, encoder, in_kafka, turnstile

SECRET = "Aigerim-7b-house-12"
ENVELOPE: dict[str, Any] = {
    "id": "019ab000-0000-7000-8000-000000000001",
    "school": "KZ-75-00001",
    "device": "qr-1",
    "time_ms": START_MS,
    "boot": 1,
    "seq": 1,
    "v": 1,
}
OWN: dict[str, dict[str, Any]] = {
    "pass": {"direction": "in", "outcome": "granted", "card": "00000000deadbeef"},
    "panic.pressed": {"duress": False, "place": "gym"},
    "incident.reported": {
        "channel": "qr",
        "category": "bullying",
        "language": "kk",
        "place": "yard",
        "text": "they wait for me",
    },
    "incident.registered": {
        "case": "1",
        "involvement": "by_minor",
        "severity": "minor",
        "category": "other",
    },
    "equipment.changed": {
        "turnstiles": 1,
        "panic_buttons": 1,
        "gateways": 1,
        "police_link": True,
        "contract": {"number": "1", "company": "a", "expires_on": "2027-01-01"},
    },
    "inspection.completed": {
        "inspector": "somebody",
        "findings": [{"code": "exit.blocked", "severity": "danger", "text": "a door"}],
    },
}
SPOILT = (SECRET, SECRET * 300, [SECRET], {SECRET: SECRET}, {"text": SECRET})


def everywhere(value: Any) -> list[tuple[Any, ...]]:
    """The path of every value in it."""
    if isinstance(value, dict):
        inner = value.items()
    elif isinstance(value, list):
        inner = enumerate(value)  # type: ignore[assignment]
    else:
        return []
    return [
        path for name, own in inner for path in ((name,), *((name, *p) for p in everywhere(own)))
    ]


def spoilt(event: dict[str, Any], path: tuple[Any, ...], by: Any) -> bytes:
    copy = json.loads(json.dumps(event))
    at = copy
    for name in path[:-1]:
        at = at[name]
    at[path[-1]] = by
    return json.dumps(copy).encode()


def verdict(topic: Topic, value: bytes, key: bytes | None = b"KZ-75-00001") -> Any:
    return judge(topic, key, value, START_MS, lambda _: True)


@pytest.mark.parametrize("name", CASES)
def test_bad_input_gets_the_reason_that_it_was_made_for(name: str) -> None:
    case, reason = CASES[name]
    writer = encoder()
    written = case(writer, turnstile(writer), START_MS)
    topic = BY_NAME[written[0][0]]
    block = form(topic, 0, in_kafka(written), Seen(0), KNOWN.__contains__)
    assert [letter.reason for letter, _, _ in block.letters] == ([reason] if reason else [])
    assert len(block.offsets) == len(written) - len(block.letters)


@pytest.mark.parametrize("name", CASES)
def test_a_dead_letter_keeps_the_record_as_it_came(name: str) -> None:
    writer = encoder()
    records = in_kafka(CASES[name][0](writer, turnstile(writer), START_MS), first=70)
    block = form(PASSES, 0, records, Seen(0), KNOWN.__contains__)
    by_offset = {record.offset: record for record in records}
    for letter, key, value in block.letters:
        assert (key, value) == (by_offset[letter.offset].key, by_offset[letter.offset].value)
        assert letter.size_bytes == len(value or b"")


@given(
    st.sampled_from(sorted(BY_NAME)),
    st.none() | st.binary(max_size=40),
    st.none() | st.binary(max_size=200) | st.text(max_size=200).map(str.encode),
)
def test_any_bytes_get_a_verdict(name: str, key: bytes | None, value: bytes | None) -> None:
    assert isinstance(judge(BY_NAME[name], key, value, START_MS, lambda _: True), Rejected)


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)


@given(st.data())
def test_an_event_with_anything_in_any_place_gets_a_verdict(data: st.DataObject) -> None:
    kind = data.draw(st.sampled_from(sorted(OWN)))
    event = {**ENVELOPE, "type": kind, **OWN[kind]}
    path = data.draw(st.sampled_from(everywhere(event)))
    value = spoilt(event, path, data.draw(json_values))
    found = verdict(TOPIC_OF_TYPE[kind], value)
    if isinstance(found, Rejected):
        assert len(found.detail) <= 300


@pytest.mark.parametrize("value", [b"[" * 5000, b'{"a":' * 5000, b"1e999", b'"\\ud800"', b"\x00"])
def test_json_made_to_hurt_gets_a_verdict(value: bytes) -> None:
    assert isinstance(verdict(PASSES, value), Rejected)


@pytest.mark.parametrize("kind", OWN)
def test_a_dead_letter_tells_nothing_of_what_the_record_said(kind: str) -> None:
    """Dead letters are read by more people than children's data may be."""
    event = {**ENVELOPE, "type": kind, **OWN[kind]}
    topic = TOPIC_OF_TYPE[kind]
    assert not isinstance(verdict(topic, json.dumps(event).encode()), Rejected)
    rejected = 0
    for path in everywhere(event):
        for by in SPOILT:
            found = verdict(topic, spoilt(event, path, by))
            if isinstance(found, Rejected):
                rejected += 1
                assert SECRET not in found.path + found.detail
                assert SECRET[:8] not in found.path + found.detail
    assert rejected > len(everywhere(event))


@pytest.mark.parametrize("name", sorted(NOTICE_TOPICS))
def test_a_notice_that_cannot_be_read_tells_nothing_either(name: str) -> None:
    for value in (
        {"type": SECRET},
        {"type": "alert.changed", SECRET: 1, "kind": SECRET, "note": [SECRET]},
        {"type": "status.changed", "school": {SECRET: SECRET}, "status": SECRET},
        [SECRET],
        SECRET,
    ):
        found = verdict(BY_NAME[name], json.dumps(value).encode())
        assert isinstance(found, Rejected)
        assert SECRET not in found.path + found.detail


@pytest.mark.parametrize("topic", [PASSES, PANICS, INCIDENTS, FACILITIES, REGISTRY])
def test_json_that_breaks_off_tells_nothing_either(topic: Topic) -> None:
    whole = json.dumps({**ENVELOPE, "type": "help.requested", SECRET: SECRET}).encode()
    for end in range(1, len(whole)):
        found = verdict(topic, whole[:end])
        assert isinstance(found, Rejected)
        assert found.reason is Reason.NOT_JSON
        assert SECRET not in found.path + found.detail


def test_the_path_points_into_the_record() -> None:
    event = {**ENVELOPE, "type": "inspection.completed", **OWN["inspection.completed"]}
    found = verdict(FACILITIES, spoilt(event, ("findings", 0, "severity"), "dire"))
    assert (found.reason, found.path) == (Reason.INVALID, "/findings/0/severity")


def test_a_school_unknown_to_the_registry_may_still_register() -> None:
    writer = encoder()
    [record] = in_kafka([writer.registered(0, START_MS)])
    found = judge(REGISTRY, record.key, record.value, START_MS, lambda _: False)
    assert not isinstance(found, Rejected)
