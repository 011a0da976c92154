"""The OpenAPI 3.1 document of both listeners, from the contracts."""

from functools import lru_cache
from typing import Any

from schemas.events import EVENT
from streams.gateway.read import CLOUD_EVENT, CLOUD_EVENTS, JSON

_REF = "#/components/schemas/{model}"


@lru_cache
def document() -> dict[str, Any]:
    event = EVENT.json_schema(ref_template=_REF)
    models = event.pop("$defs")
    cloud = {
        "type": "object",
        "required": ["specversion", "id", "source", "type", "data"],
        "properties": {
            "specversion": {"const": "1.0"},
            "id": {"type": "string", "description": "the event's id"},
            "source": {"type": "string"},
            "type": {"type": "string", "description": "the event's type"},
            "time": {"type": "string", "format": "date-time"},
            "data": {
                "type": "object",
                "description": "the event; school and device may be left to the key",
            },
        },
    }
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "Saqshy gateway",
            "version": "1",
            "description": "Where devices send. Panics have a listener and a port of their own.",
        },
        "paths": {
            "/v1/events": {
                "post": _operation(
                    "Send events; 202 when Kafka has them all", {**_accepted(), **_errors(429, 503)}
                )
            },
            "/v1/panic": {
                "post": _operation(
                    "Send presses, cancels and tests; 202 when Kafka or the journal has them. "
                    "Whatever a device with a key sends here is raised, readable or not.",
                    {**_pressed(), **_errors(503)},
                )
            },
        },
        "components": {
            "schemas": {
                **models,
                "Event": event,
                "Events": {"type": "array", "items": _ref("Event"), "maxItems": 1_000},
                "CloudEvent": cloud,
                "CloudEvents": {"type": "array", "items": _ref("CloudEvent"), "maxItems": 1_000},
                "Problem": {
                    "type": "object",
                    "required": ["title", "status"],
                    "properties": {
                        "title": {"type": "string"},
                        "status": {"type": "integer"},
                        "detail": {"type": "string"},
                    },
                },
            },
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


def _ref(name: str) -> dict[str, Any]:
    return {"$ref": f"#/components/schemas/{name}"}


def _operation(summary: str, responses: dict[str, Any]) -> dict[str, Any]:
    content = {
        JSON: {"schema": {"oneOf": [_ref("Event"), _ref("Events")]}},
        CLOUD_EVENT: {"schema": _ref("CloudEvent")},
        CLOUD_EVENTS: {"schema": _ref("CloudEvents")},
    }
    return {
        "summary": summary,
        "requestBody": {"required": True, "content": content},
        "responses": responses,
    }


def _accepted() -> dict[str, Any]:
    count = {"type": "integer", "minimum": 0}
    properties = {"accepted": count, "repeated": count, "rejected": {"type": "array"}}
    return _answer(properties, "Kafka has the accepted ones.")


def _pressed() -> dict[str, Any]:
    press = {
        "type": "object",
        "properties": {
            "event": {"type": "string"},
            "kept": {"enum": ["kafka", "journal", "memory"]},
            "alerts": {"type": "array", "items": {"type": "string"}},
            "told": {"type": "integer"},
        },
    }
    properties = {"presses": {"type": "array", "items": press}, "warning": {"type": "string"}}
    return _answer(properties, "The presses are raised and will not be lost.")


def _answer(properties: dict[str, Any], description: str) -> dict[str, Any]:
    schema = {"type": "object", "properties": properties}
    return {"202": {"description": description, "content": {JSON: {"schema": schema}}}}


def _errors(*more: int) -> dict[str, Any]:
    described = {
        400: "The body can't be read.",
        401: "No valid device key.",
        403: "Not for a device to say.",
        413: "The body is too long.",
        415: "Another type of body is needed.",
        422: "No event could be used.",
        429: "Too many events; Retry-After says when.",
        503: "Keep it and send it again; Retry-After says when.",
    }
    problem = {"application/problem+json": {"schema": _ref("Problem")}}
    return {
        str(status): {"description": described[status], "content": problem}
        for status in sorted({400, 401, 403, 413, 415, 422, *more})
    }
