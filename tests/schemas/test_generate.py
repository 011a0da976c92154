import json
from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft7Validator, Draft202012Validator
from jsonschema.exceptions import ValidationError

from schemas import generate
from schemas.topics import TOPICS

SPECIFICATION = Path(__file__).parent / "data" / "asyncapi-3.0.0.json"


@pytest.fixture(scope="module")
def asyncapi_validator() -> Any:
    """The official JSON Schema of AsyncAPI 3.0.0 (Apache-2.0, licence beside it)."""
    return Draft7Validator(json.loads(SPECIFICATION.read_text()))


@pytest.mark.parametrize("name", generate.documents())
def test_it_matches_what_is_committed(name: str) -> None:
    committed = (generate.FOLDER / name).read_text(encoding="utf-8")
    assert committed == generate.text(generate.documents()[name]), (
        "a model changed: run python -m schemas.generate and commit schemas/generated"
    )


def test_no_other_file_lies_among_the_generated() -> None:
    assert {path.name for path in generate.FOLDER.iterdir()} == set(generate.documents())


@pytest.mark.parametrize("name", ["event.json", "notice.json", "dead_letter.json"])
def test_it_writes_json_schema(name: str) -> None:
    Draft202012Validator.check_schema(generate.documents()[name])


def test_a_type_must_be_on_the_wire_though_python_has_a_default_for_it() -> None:
    event = {
        "id": "01936b2e-7c00-7001-8001-012345678901",
        "school": "KZ-75-00042",
        "device": "button-1",
        "time_ms": 1,
        "boot": 0,
        "seq": 0,
    }
    validator = Draft202012Validator(generate.event_schema())
    assert validator.is_valid(event | {"type": "panic.pressed"})
    assert not validator.is_valid(event)


def test_the_asyncapi_document_follows_the_specification(asyncapi_validator: Any) -> None:
    asyncapi_validator.validate(generate.asyncapi())


def test_the_specification_would_notice_a_mistake(asyncapi_validator: Any) -> None:
    document = generate.asyncapi()
    document["operations"]["flow-receive-passes"]["action"] = "subscribe"
    with pytest.raises(ValidationError):
        asyncapi_validator.validate(document)


def test_every_topic_is_a_channel_with_an_operation_and_its_types_as_messages() -> None:
    document = generate.asyncapi()
    channels = {channel["address"]: channel for channel in document["channels"].values()}
    assert set(channels) == {topic.name for topic in TOPICS}
    for topic in TOPICS:
        kafka = channels[topic.name]["bindings"]["kafka"]
        assert kafka["topicConfiguration"].get("retention.ms") == topic.retention_ms
        assert topic.types == () or tuple(channels[topic.name]["messages"]) == topic.types
    assert len(document["operations"]) == len(TOPICS)


def test_every_reference_leads_somewhere() -> None:
    document = generate.asyncapi()
    for reference in _references(document):
        place: Any = document
        for step in reference.removeprefix("#/").split("/"):
            assert step in place, reference
            place = place[step]


def _references(part: Any) -> list[str]:
    if isinstance(part, dict):
        own = [part["$ref"]] if isinstance(part.get("$ref"), str) else []
        return own + [found for value in part.values() for found in _references(value)]
    if isinstance(part, list):
        return [found for value in part for found in _references(value)]
    return []
