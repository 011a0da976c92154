"""Bodies of requests and answers: JSON, refusals in words with a code, which the page puts in its own."""

import json
from typing import Any, Final, TypeVar

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails
from starlette.requests import Request
from starlette.responses import Response

MAX_BODY_BYTES: Final = 64 * 1024
Model = TypeVar("Model", bound=BaseModel)
WORDS: Final = {
    "missing": "is missing",
    "extra_forbidden": "is no field of this",
    "greater_than_equal": "must be at least {limit}",
    "less_than_equal": "must be at most {limit}",
    "string_too_short": "must have at least {limit} characters",
    "string_too_long": "must have at most {limit} characters",
    "too_short": "must have at least {limit} parts",
    "too_long": "must have at most {limit} parts",
    "literal_error": "must be one of {limit}",
    "enum": "must be one of {limit}",
    "string_pattern_mismatch": "is not written as it should be",
    "json_invalid": "the body is no JSON",
}
"""Of what pydantic calls these; of all else one sentence."""
OTHERWISE: Final = "can't be used: it is of another kind"
_LIMITS: Final = ("ge", "le", "min_length", "max_length", "expected")


class Refusal(Exception):
    """An answer instead of what was asked for. ``code`` names the reason (docs/console.md lists them),
    ``more`` goes along in the body.
    """

    def __init__(self, status: int, code: str, error: str, **more: Any) -> None:
        super().__init__(error)
        self.status = status
        self.body = {"error": error, "code": code, **more}


async def refused(_: Request, refusal: Exception) -> Response:
    assert isinstance(refusal, Refusal)
    wait_s = refusal.body.get("retry_after_s")
    headers = {"retry-after": str(wait_s)} if wait_s else {}
    return answer(refusal.body, refusal.status, headers)


async def body(request: Request, model: type[Model]) -> Model:
    """The request's JSON. Raises Refusal 413 and 422, the latter naming the field."""
    try:
        return model.model_validate_json(await raw(request))
    except ValidationError as trouble:
        first = trouble.errors(include_url=False, include_input=False)[0]
        field = ".".join(str(part) for part in first["loc"])
        why, words, limit = wrong(first)
        error = f"{field}: {words}" if field else words
        raise Refusal(422, "wrong_field", error, field=field, why=why, limit=limit) from None


async def raw(request: Request) -> bytes:
    """The request's body. Raises Refusal 413."""
    read = b""
    async for part in request.stream():
        read += part
        if len(read) > MAX_BODY_BYTES:
            raise Refusal(413, "too_large", f"more than {MAX_BODY_BYTES} bytes")
    return read


def wrong(trouble: ErrorDetails) -> tuple[str, str, Any]:
    """One of pydantic's errors: its kind as in WORDS, in words, and the limit that there is."""
    context = trouble.get("ctx", {})
    limit = next((context[name] for name in _LIMITS if name in context), "")
    why = trouble["type"] if trouble["type"] in WORDS else "kind"
    words = WORDS.get(why, OTHERWISE).format(limit=str(limit).replace("'", ""))
    return why, words, limit


def answer(data: Any, status: int = 200, headers: dict[str, str] | None = None) -> Response:
    text = json.dumps(data, separators=(",", ":"), ensure_ascii=False, default=str)
    return Response(text, status, headers, media_type="application/json")
