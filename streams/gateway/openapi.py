"""The OpenAPI 3.1 document of both listeners, from the models: ``python -m streams.gateway.openapi``
writes docs/gateway.openapi.json, and a test fails when that differs from what this module makes."""

from functools import lru_cache
from pathlib import Path
from typing import Any, Final

from pydantic import BaseModel
from pydantic.json_schema import models_json_schema

from schemas.events import UUID7_PATTERN
from schemas.generate import event_schema, text
from schemas.settings import GatewaySettings
from streams.gateway.answers import Accepted, Pressed, Problem
from streams.gateway.body import CLOUD_EVENT, CLOUD_EVENTS, JSON
from streams.gateway.read import MAX_EVENTS

FILE: Final = Path(__file__).parents[2] / "docs" / "gateway.openapi.json"
PROBLEM: Final = "application/problem+json"
_REF: Final = "#/components/schemas/{model}"
_TEXT: Final = {"type": "string"}
_RETRY_AFTER: Final = {
    "Retry-After": {
        "required": True,
        "description": "seconds",
        "schema": {"type": "integer", "minimum": 1},
    }
}
_ERRORS: Final[dict[int, tuple[str, dict[str, Any]]]] = {
    400: ("The body can't be read.", {}),
    401: ("No valid device key.", {"WWW-Authenticate": {"required": True, "schema": _TEXT}}),
    403: ("Not for a device to say.", {}),
    413: ("The body is too long, or too slow.", {}),
    415: ("Another type of body is needed.", {}),
    422: ("No event could be used.", {}),
    429: ("Too many events.", _RETRY_AFTER),
    503: ("Nobody has it: keep it and send it again.", _RETRY_AFTER),
}


@lru_cache
def document() -> dict[str, Any]:
    settings = GatewaySettings()
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "Saqshy gateway",
            "version": "1",
            "description": "Where devices send. Panics have a listener and a port of their own. "
            "Another path or method is answered with 404 or 405 and a problem. An integer is "
            "written without a fraction: 1, not 1.0.",
        },
        "paths": {
            "/v1/events": {
                "servers": [_server(settings.port)],
                "post": _post(
                    "sendEvents",
                    "Send events; 202 when Kafka has them all",
                    Accepted,
                    (400, 401, 403, 413, 415, 422, 429, 503),
                ),
            },
            "/v1/panic": {
                "servers": [_server(settings.panic_port)],
                "post": _post(
                    "sendPress",
                    "Send presses, cancels and tests; 202 when Kafka or the journal has them. "
                    "Whatever a device with a key sends here is raised, readable or not.",
                    Pressed,
                    (401, 403, 503),
                ),
            },
            "/openapi.json": {
                "servers": [_server(settings.port), _server(settings.panic_port)],
                "get": {
                    "operationId": "describe",
                    "summary": "This document, on both listeners",
                    "security": [],
                    "responses": {
                        "200": {
                            "description": "An OpenAPI 3.1 document.",
                            "content": {JSON: {"schema": {"type": "object"}}},
                        }
                    },
                },
            },
        },
        "components": {
            "schemas": _schemas(),
            "securitySchemes": {
                "device": {
                    "type": "http",
                    "scheme": "bearer",
                    "bearerFormat": "<school>.<device>.<secret>",
                }
            },
        },
        "security": [{"device": []}],
    }


def _server(port: int) -> dict[str, Any]:
    return {
        "url": f"{{scheme}}://{{host}}:{port}",
        "variables": {
            "scheme": {"default": "http", "enum": ["http", "https"]},
            "host": {"default": "127.0.0.1"},
        },
    }


def _schemas() -> dict[str, Any]:
    event = event_schema(_REF)
    events = event.pop("$defs")
    del event["$schema"]
    _, answers = models_json_schema(
        [(model, "serialization") for model in (Accepted, Pressed, Problem)], ref_template=_REF
    )
    types = sorted(event["discriminator"]["mapping"])
    batch = {"type": "array", "maxItems": MAX_EVENTS}
    return {
        **events,
        **answers["$defs"],
        "Event": event,
        "Events": {**batch, "items": _ref("Event")},
        "CloudEvent": {
            "type": "object",
            "required": ["specversion", "id", "source", "type", "data"],
            "properties": {
                "specversion": {"const": "1.0"},
                "id": {**_TEXT, "pattern": UUID7_PATTERN, "description": "the event's id"},
                "source": _TEXT,
                "type": {"enum": types, "description": "the event's type"},
                "time": {"type": "string", "format": "date-time"},
                "data": {
                    "type": "object",
                    "description": "the event; school and device may be left to the key",
                },
            },
        },
        "CloudEvents": {**batch, "items": _ref("CloudEvent")},
    }


def _ref(name: str) -> dict[str, Any]:
    return {"$ref": _REF.format(model=name)}


def _post(
    id_: str, summary: str, answer: type[BaseModel], errors: tuple[int, ...]
) -> dict[str, Any]:
    accepted = {
        "description": (answer.__doc__ or "").strip(),
        "content": {JSON: {"schema": _ref(answer.__name__)}},
    }
    return {
        "operationId": id_,
        "summary": summary,
        "requestBody": {
            "required": True,
            "content": {
                JSON: {"schema": {"oneOf": [_ref("Event"), _ref("Events")]}},
                CLOUD_EVENT: {"schema": _ref("CloudEvent")},
                CLOUD_EVENTS: {"schema": _ref("CloudEvents")},
            },
        },
        "responses": {"202": accepted, **{str(status): _error(status) for status in errors}},
    }


def _error(status: int) -> dict[str, Any]:
    description, headers = _ERRORS[status]
    said = {"description": description, "content": {PROBLEM: {"schema": _ref("Problem")}}}
    return {**said, "headers": headers} if headers else said


if __name__ == "__main__":
    FILE.write_text(text(document()), encoding="utf-8")
