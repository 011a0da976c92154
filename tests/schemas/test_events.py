"""What the models take and what they refuse. The bounds stand here a second time, on purpose."""

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from schemas import generate
from schemas.alerts import NOTICE, AlertKind, DeadLetter, alert_id
from schemas.events import EVENT, EVENT_MODELS, MAX_EXACT
from schemas.topics import EVENT_TOPICS, TOPIC_OF_TYPE
from tests.schemas.strategies import instances

EVENT_SCHEMA = generate.event_schema()
NOTICE_SCHEMA = generate.notice_schema()
SAMPLES = Path(generate.__file__).parent / "history" / "samples.jsonl"


def _samples() -> dict[str, dict[str, Any]]:
    """The fullest sample of each type, which comes first."""
    found: dict[str, dict[str, Any]] = {}
    for line in SAMPLES.read_text(encoding="utf-8").splitlines():
        event = json.loads(line)
        found.setdefault(event["type"], event)
    return found


SAMPLE = _samples()


def _changed(kind: str, path: str, value: Any) -> bytes:
    event = json.loads(json.dumps(SAMPLE[kind]))
    *steps, last = [int(step) if step.isdigit() else step for step in path.split("/")]
    place = event
    for step in steps:
        place = place[step]
    place[last] = value
    return json.dumps(event).encode()


@settings(max_examples=200, suppress_health_check=[HealthCheck.too_slow])
@given(instances(EVENT_SCHEMA, EVENT_SCHEMA))
def test_an_event_that_fits_the_schema_survives_the_wire(said: dict[str, Any]) -> None:
    event = EVENT.validate_json(json.dumps(said))
    assert EVENT.validate_json(EVENT.dump_json(event)) == event
    dumped = event.model_dump(mode="json", exclude_unset=True)
    assert dumped == {name: said[name] for name in dumped}
    assert set(dumped) == set(said)


@given(instances(NOTICE_SCHEMA, NOTICE_SCHEMA))
def test_a_notice_survives_the_wire(said: dict[str, Any]) -> None:
    notice = NOTICE.validate_json(json.dumps(said))
    assert NOTICE.validate_json(NOTICE.dump_json(notice)) == notice


@given(instances(generate.dead_letter_schema(), generate.dead_letter_schema()))
def test_a_dead_letter_survives_its_header(said: dict[str, Any]) -> None:
    letter = DeadLetter.model_validate_json(json.dumps(said))
    assert DeadLetter.model_validate_json(letter.model_dump_json()) == letter


@pytest.mark.parametrize("kind", SAMPLE)
@pytest.mark.parametrize("name", ["id", "type", "school", "device", "time_ms", "boot", "seq"])
def test_the_envelope_must_be_whole(kind: str, name: str) -> None:
    event = {key: value for key, value in SAMPLE[kind].items() if key != name}
    with pytest.raises(ValidationError):
        EVENT.validate_json(json.dumps(event))


@pytest.mark.parametrize("kind", SAMPLE)
def test_it_ignores_what_a_newer_writer_adds(kind: str) -> None:
    assert EVENT.validate_json(_changed(kind, "colour", "green")) == EVENT.validate_json(
        json.dumps(SAMPLE[kind])
    )


@pytest.mark.parametrize("kind", SAMPLE)
@given(value=st.sampled_from(["1", 1.5, True, None, [], {}, -1, MAX_EXACT + 1]))
@pytest.mark.parametrize("name", ["time_ms", "boot", "seq"])
def test_counts_of_the_envelope_are_exact_integers(kind: str, name: str, value: Any) -> None:
    with pytest.raises(ValidationError):
        EVENT.validate_json(_changed(kind, name, value))


REFUSED: list[tuple[str, str, Any]] = [
    # the envelope
    ("pass", "id", "01936B2E-7C00-7001-8001-012345678901"),
    ("pass", "id", "01936b2e-7c00-4001-8001-012345678901"),
    ("pass", "id", "01936b2e-7c00-7001-7001-012345678901"),
    ("pass", "id", "01936b2e-7c00-7001-8001-012345678901\n"),
    ("pass", "type", "pass.unknown"),
    ("pass", "type", None),
    ("pass", "school", "KZ-75-0042"),
    ("pass", "school", "kz-75-00042"),
    ("pass", "school", "KZ-75-000420"),
    ("pass", "school", "KZ-٧٥-00042"),
    ("pass", "device", ""),
    ("pass", "device", "1-turnstile"),
    ("pass", "device", "t" * 33),
    ("pass", "device", "Turnstile"),
    ("pass", "v", 2),
    ("pass", "v", "1"),
    # passes
    ("pass", "direction", "through"),
    ("pass", "direction", 1),
    ("pass", "outcome", "denied"),
    ("pass", "card", "00ff17a2b3c4d5e"),
    ("pass", "card", "00FF17A2B3C4D5E6"),
    # panics
    ("panic.pressed", "duress", "true"),
    ("panic.pressed", "duress", 1),
    ("panic.pressed", "place", ""),
    ("panic.pressed", "place", "x" * 121),
    ("panic.cancelled", "press", "the last one"),
    ("panic.test", "passed", 1),
    # heartbeats
    ("heartbeat", "kind", "camera"),
    ("heartbeat", "period_s", 0),
    ("heartbeat", "period_s", 86_401),
    ("heartbeat", "period_s", "30"),
    ("heartbeat", "battery_pct", -1),
    ("heartbeat", "battery_pct", 101),
    ("heartbeat", "link_pct", 101),
    ("heartbeat", "link_pct", None),
    ("heartbeat", "link_pct", 64.0),
    ("heartbeat", "provider", "Kazakhtelecom"),
    ("heartbeat", "provider", ""),
    ("heartbeat", "provider", "x" * 33),
    ("heartbeat", "buffered", -1),
    ("heartbeat", "buffered", 2**32),
    ("heartbeat", "clock_offset_ms", -(2**31) - 1),
    ("heartbeat", "clock_offset_ms", 2**31),
    # incidents
    ("incident.reported", "channel", "email"),
    ("incident.reported", "category", "self-harm"),
    ("incident.reported", "language", "de"),
    ("incident.reported", "place", ""),
    ("incident.reported", "text", "x" * 4001),
    ("incident.registered", "case", ""),
    ("incident.registered", "involvement", "minor"),
    ("incident.registered", "severity", "grave"),
    ("help.requested", "topic", "money"),
    ("help.requested", "text", "x" * 4001),
    # facilities
    ("equipment.changed", "turnstiles", -1),
    ("equipment.changed", "panic_buttons", 1000),
    ("equipment.changed", "gateways", 1000),
    ("equipment.changed", "police_link", "yes"),
    ("equipment.changed", "contract/number", ""),
    ("equipment.changed", "contract/company", "x" * 121),
    ("equipment.changed", "contract/expires_on", "31.12.2026"),
    ("equipment.changed", "contract/expires_on", "2026-02-30"),
    ("inspection.completed", "inspector", ""),
    ("inspection.completed", "findings", [SAMPLE["inspection.completed"]["findings"][0]] * 201),
    ("inspection.completed", "findings/0/code", "Camera"),
    ("inspection.completed", "findings/0/severity", "fatal"),
    ("inspection.completed", "findings/0/text", "x" * 1001),
    # the registry
    ("school.registered", "names/kk", ""),
    ("school.registered", "names/ru", "x" * 201),
    ("school.registered", "names", {"kk": "а", "ru": "б"}),
    ("school.registered", "region", "KZ-7"),
    ("school.registered", "district", ""),
    ("school.registered", "latitude", 90.1),
    ("school.registered", "longitude", -180.1),
    ("school.registered", "pupils", 100_001),
    ("school.registered", "ownership", "church"),
    ("school.registered", "special", 0),
    ("school.registered", "shifts", []),
    ("school.registered", "shifts", [{"bells": ["08:00", "09:00"]}] * 4),
    ("school.registered", "shifts/0/bells", ["08:00"]),
    ("school.registered", "shifts/0/bells", ["08:00"] * 41),
    ("school.registered", "shifts/0/bells/0", "24:00"),
    ("school.registered", "shifts/0/bells/0", "8:00"),
    ("school.registered", "provider", "-"),
    ("school.registered", "programs", ["chess"]),
    ("school.registered", "programs", ["kiva"] * 21),
    ("school.registered", "teacher_assistants", 10_001),
    ("school.registered", "devices", [SAMPLE["school.registered"]["devices"][0]] * 1001),
    ("school.registered", "devices/0/vendor", "x" * 61),
    ("school.registered", "devices/0/device", "DOOR"),
    ("school.registered", "devices/0/kind", "camera"),
    ("school.registered", "devices/0/period_s", 0),
]


@pytest.mark.parametrize(
    ("kind", "path", "value"), REFUSED, ids=lambda part: str(part)[:24].encode("ascii", "replace")
)
def test_it_refuses(kind: str, path: str, value: Any) -> None:
    with pytest.raises(ValidationError) as refused:
        EVENT.validate_json(_changed(kind, path, value))
    if path != "type":
        place = [str(step) for step in refused.value.errors()[0]["loc"]]
        assert path.split("/")[0] in place


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_a_school_is_nowhere_without_coordinates(value: float) -> None:
    with pytest.raises(ValidationError):
        EVENT.validate_json(_changed("school.registered", "latitude", value))


@pytest.mark.parametrize(
    "data",
    [b"", b"null", b"[]", b"{}", b'"pass"', b'{"type":"pass"', b"\xff\xfe", b'{"type":["pass"]}'],
)
def test_what_is_no_event_is_refused_and_never_a_crash(data: bytes) -> None:
    with pytest.raises(ValidationError):
        EVENT.validate_json(data)


@given(st.binary(max_size=200))
def test_any_bytes_are_an_event_or_refused(data: bytes) -> None:
    with pytest.raises(ValidationError):
        EVENT.validate_json(data)


def test_an_event_can_not_be_changed() -> None:
    event = EVENT.validate_json(json.dumps(SAMPLE["pass"]))
    with pytest.raises(ValidationError):
        event.seq = 7


def test_every_type_has_its_topic() -> None:
    types = [model.model_fields["type"].default for model in EVENT_MODELS]
    assert sorted(types) == sorted(kind for topic in EVENT_TOPICS for kind in topic.types)
    assert all(kind in TOPIC_OF_TYPE for kind in types)
    assert set(EVENT_SCHEMA["discriminator"]["mapping"]) == set(types)


def test_an_alert_of_another_kind_scope_or_epoch_has_another_id() -> None:
    ids = {
        alert_id(kind, scope, epoch)
        for kind in (AlertKind.PANIC, AlertKind.SCHOOL_OFFLINE)
        for scope in ("KZ-75-00042", "KZ-75-00043")
        for epoch in (1, 2, "1a")
    }
    assert len(ids) == 12
    assert alert_id(AlertKind.PANIC, "KZ-75-00042", 1) in ids
