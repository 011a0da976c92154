"""A decoder for one event type that is four times as fast as its pydantic model, and never laxer.

Derived from the model's JSON Schema, so that it can't drift. It accepts less than the model does: what
it passes over (None) is for the model to judge. What it accepts, the model accepts with equal values.

- Values that aren't plain ASCII without escapes are passed over: encodings and surrogates are then no
  question. So are unknown fields, whose content msgspec doesn't look at.
- Patterns are matched once per batch and field, not once per value (1.7 -> 0.7 us an event).
"""

import re
from collections.abc import Callable, Iterable, Sequence
from operator import attrgetter
from typing import Annotated, Any, Final, Literal

import msgspec

from schemas.events import Envelope

MAX_BYTES: Final = 4096
"""Longer values are for the model."""

_SEPARATOR: Final = "\n"  # no pattern of ours can match it


class FastDecoder:
    """``decode(values)`` gives an event or None for each; the events have the model's attributes.

    Enums are their plain string values. Raises TypeError at construction for a model with fields that it
    can't derive (nested ones, and unpatterned strings).
    """

    def __init__(self, model: type[Envelope]) -> None:
        schema = model.model_json_schema()
        fields: list[tuple[str, Any] | tuple[str, Any, Any]] = []
        self._patterns: list[tuple[Callable[[Any], str], re.Pattern[str], re.Pattern[str]]] = []
        for name, field in schema["properties"].items():
            if "pattern" in field:
                self._patterns.append((attrgetter(name), *_patterns(field["pattern"])))
            kind = _type(field, schema.get("$defs", {}))
            if name in schema["required"] or name == "type":
                fields.append((name, kind))
            else:
                fields.append((name, kind, field["default"]))
        required_first = sorted(fields, key=len)
        self.event: type[Any] = msgspec.defstruct(
            f"Fast{model.__name__}", required_first, forbid_unknown_fields=True, gc=False
        )
        self._decode = msgspec.json.Decoder(self.event).decode

    def decode(self, values: Iterable[bytes | None]) -> list[Any | None]:
        """The events in the order of the values; None for what the model must judge."""
        decode = self._decode
        found: list[Any | None] = []
        for value in values:
            if not value or len(value) > MAX_BYTES or not value.isascii() or b"\\" in value:
                found.append(None)
                continue
            try:
                found.append(decode(value))
            except (msgspec.DecodeError, RecursionError):
                found.append(None)
        return self._matching(found)

    def of(self, event: Envelope) -> Any:
        """The same event, as this decoder would give it, of one that the model has accepted."""
        return msgspec.convert(event.model_dump(mode="json"), self.event)

    def _matching(self, found: list[Any | None]) -> list[Any | None]:
        events = [event for event in found if event is not None]
        for field, _, all_of_them in self._patterns:
            if not _all_match(set(map(field, events)), all_of_them):
                break
        else:
            return found
        return [event if event is not None and self._matches(event) else None for event in found]

    def _matches(self, event: Any) -> bool:
        return all(pattern.match(field(event)) for field, pattern, _ in self._patterns)


def _all_match(texts: set[str], all_of_them: re.Pattern[str]) -> bool:
    """Whether each text matches, by one match of them all.

    As many separators as texts means that none is inside of a text, so each piece is one text.
    """
    joined = _SEPARATOR.join(texts) + _SEPARATOR if texts else ""
    return joined.count(_SEPARATOR) == len(texts) and all_of_them.match(joined) is not None


def _patterns(pattern: str) -> tuple[re.Pattern[str], re.Pattern[str]]:
    """For one value and for many. ``$`` of Python allows a newline before the end, pydantic's not."""
    bare = pattern.removeprefix("^").removesuffix("$")
    if pattern != f"^{bare}$":
        raise TypeError(f"{pattern} isn't anchored")
    return re.compile(rf"(?:{bare})\Z"), re.compile(rf"(?:(?:{bare}){_SEPARATOR})*\Z")


def _type(field: dict[str, Any], definitions: dict[str, Any]) -> Any:
    if "$ref" in field:
        return _type(definitions[field["$ref"].rsplit("/", 1)[1]], definitions)
    if "const" in field:
        return Literal[field["const"]]
    if "enum" in field:
        return Literal[tuple(field["enum"])]
    if "anyOf" in field:
        first, second = field["anyOf"]
        if second == {"type": "null"}:
            return _type(first, definitions) | None
    if field.get("type") == "integer":
        return Annotated[int, msgspec.Meta(ge=field["minimum"], le=field["maximum"])]
    if field.get("type") == "string" and "pattern" in field:
        return str
    raise TypeError(f"No fast decoder for a field like {field}")


def columns(events: Sequence[Any], names: Iterable[str]) -> list[list[Any]]:
    """The events' attributes as one list per name."""
    return [list(map(attrgetter(name), events)) for name in names]
