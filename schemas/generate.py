"""JSON Schema and AsyncAPI 3.0 from the models: ``python -m schemas.generate`` writes them.

schemas/generated is committed, so that a reader in another language needs no Python of ours; a
test fails when it differs from what this module makes.
"""

import json
from pathlib import Path
from typing import Any, Final

from pydantic import TypeAdapter
from pydantic.json_schema import DEFAULT_REF_TEMPLATE, models_json_schema

from schemas.alerts import NOTICE, AlertChanged, DeadLetter, StatusChanged
from schemas.audit import AuditHead
from schemas.events import EVENT, EVENT_MODELS, SCHOOL_PATTERN, Contract
from schemas.steps import StepTaken
from schemas.topics import DEAD_LETTERS, EVENT_TOPICS, TOPICS, Topic

JsonSchema = dict[str, Any]

FOLDER: Final = Path(__file__).parent / "generated"
DIALECT: Final = "https://json-schema.org/draft/2020-12/schema"
API_VERSION: Final = "1.0.0"
KAFKA_BINDING_VERSION: Final = "0.5.0"
MESSAGE_MODELS: Final[tuple[type[Contract], ...]] = (
    *EVENT_MODELS,
    StatusChanged,
    AlertChanged,
    StepTaken,
    AuditHead,
)


def documents() -> dict[str, JsonSchema]:
    """Every generated document by its file's name."""
    return {
        "event.json": event_schema(),
        "notice.json": notice_schema(),
        "dead_letter.json": dead_letter_schema(),
        "asyncapi.json": asyncapi(),
    }


def event_schema(ref_template: str = DEFAULT_REF_TEMPLATE) -> JsonSchema:
    return _union_schema(EVENT, "Event", ref_template)


def notice_schema() -> JsonSchema:
    return _union_schema(NOTICE, "Notice")


def dead_letter_schema() -> JsonSchema:
    return {"$schema": DIALECT, **DeadLetter.model_json_schema()}


def text(document: JsonSchema) -> str:
    return json.dumps(document, indent=2, ensure_ascii=False) + "\n"


def asyncapi() -> JsonSchema:
    """The AsyncAPI 3.0.0 document, seen from the processors: they receive events, send notices."""
    return {
        "asyncapi": "3.0.0",
        "info": {
            "title": "Saqshy",
            "version": API_VERSION,
            "description": "Safety telemetry of schools. The key of every record is its school, so "
            "one partition holds a school's whole truth in order. A reader ignores fields that it "
            "does not know. Delivery is at least once; (school, device, boot, seq) names an event.",
        },
        "defaultContentType": "application/json",
        "channels": {_channel_id(topic): _channel(topic) for topic in TOPICS},
        "operations": {
            f"{topic.lane}-{_action(topic)}-{_channel_id(topic)}": _operation(topic)
            for topic in TOPICS
        },
        "components": {
            "messages": {
                **{_type_of(model): _message(model) for model in MESSAGE_MODELS},
                "dead-letter": _dead_letter_message(),
            },
            "schemas": _component_schemas(),
        },
    }


def _union_schema(
    adapter: TypeAdapter[Any], title: str, ref_template: str = DEFAULT_REF_TEMPLATE
) -> JsonSchema:
    schema = adapter.json_schema(ref_template=ref_template)
    tag = schema["discriminator"]["propertyName"]
    for reference in schema["discriminator"]["mapping"].values():
        _require(schema["$defs"][reference.rsplit("/", 1)[1]], tag)
    return {"$schema": DIALECT, "title": title, **schema}


def _require(schema: JsonSchema, tag: str) -> None:
    """The tag has a default for those who make events in Python; on the wire it must be there."""
    schema["required"] = sorted({*schema.get("required", ()), tag})


def _component_schemas() -> dict[str, JsonSchema]:
    models: tuple[type[Contract], ...] = (*MESSAGE_MODELS, DeadLetter)
    _, schemas = models_json_schema(
        [(model, "validation") for model in models],
        ref_template="#/components/schemas/{model}",
    )
    components: dict[str, JsonSchema] = schemas["$defs"]
    for model in MESSAGE_MODELS:
        _require(components[model.__name__], "type")
    return components


def _type_of(model: type[Contract]) -> str:
    return str(model.model_fields["type"].default)


def _channel_id(topic: Topic) -> str:
    return topic.name.removeprefix("saqshy.")


def _action(topic: Topic) -> str:
    return "receive" if topic in EVENT_TOPICS else "send"


def _message_ids(topic: Topic) -> tuple[str, ...]:
    return topic.types if topic is not DEAD_LETTERS else ("dead-letter",)


def _channel(topic: Topic) -> JsonSchema:
    configs = topic.configs()
    configuration: JsonSchema = {"cleanup.policy": [configs["cleanup.policy"]]}
    if topic.retention_ms is not None:
        configuration["retention.ms"] = topic.retention_ms
    configuration["max.message.bytes"] = int(configs["max.message.bytes"])
    return {
        "address": topic.name,
        "messages": {
            message: {"$ref": f"#/components/messages/{message}"} for message in _message_ids(topic)
        },
        "bindings": {
            "kafka": {
                "topic": topic.name,
                **({} if topic.co_read else {"partitions": 1}),
                "topicConfiguration": configuration,
                "bindingVersion": KAFKA_BINDING_VERSION,
            }
        },
    }


def _operation(topic: Topic) -> JsonSchema:
    channel = f"#/channels/{_channel_id(topic)}"
    return {
        "action": _action(topic),
        "channel": {"$ref": channel},
        "tags": [{"name": topic.lane}],
        "messages": [{"$ref": f"{channel}/messages/{message}"} for message in _message_ids(topic)],
    }


def _message(model: type[Contract]) -> JsonSchema:
    return {
        "name": _type_of(model),
        "title": model.__name__,
        "summary": (model.__doc__ or "").strip().splitlines()[0],
        "payload": {"$ref": f"#/components/schemas/{model.__name__}"},
        "bindings": {
            "kafka": {
                "key": {"type": "string", "pattern": SCHOOL_PATTERN},
                "bindingVersion": KAFKA_BINDING_VERSION,
            }
        },
    }


def _dead_letter_message() -> JsonSchema:
    return {
        "name": "dead-letter",
        "title": "DeadLetter",
        "summary": "The original bytes of a record that no processor could use.",
        "contentType": "application/octet-stream",
        "headers": {
            "type": "object",
            "required": ["saqshy"],
            "properties": {
                "saqshy": {
                    "type": "string",
                    "contentMediaType": "application/json",
                    "description": "JSON of #/components/schemas/DeadLetter",
                },
                "saqshy-key": {"type": "string", "description": "the original key, unchanged"},
            },
        },
        "payload": {"description": "any bytes, as they came"},
        "bindings": {
            "kafka": {
                "key": {"type": "string", "description": "topic/partition/offset of the origin"},
                "bindingVersion": KAFKA_BINDING_VERSION,
            }
        },
    }


def main() -> None:
    FOLDER.mkdir(exist_ok=True)
    for name, document in documents().items():
        (FOLDER / name).write_text(text(document), encoding="utf-8")


if __name__ == "__main__":
    main()
