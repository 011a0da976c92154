"""Which changes of a JSON Schema would break readers of yesterday's events, or yesterday's readers.

Readers and writers are not upgraded at once, and Kafka keeps events for months. So both must hold:

- *new readers* read every event that was valid yesterday, and lose nothing that it said;
- *old readers* read every new event of a type that they know.

| change                                      | breaks      |
|---------------------------------------------|-------------|
| optional field added                        | nobody      |
| event type added                            | nobody (*)  |
| required field added, optional one required | new readers |
| required field removed or made optional     | old readers |
| any field removed (or renamed)              | new readers |
| default of an optional field changed        | both: what is left out would mean another thing |
| type changed                                | both; widened: old readers; narrowed: new readers |
| enum value removed / added                  | new / old readers |
| bound, length or item count tightened       | new readers |
| ... loosened                                | old readers |
| pattern or format added / removed / changed | new / old / both (two patterns are never compared) |
| event type removed                          | new readers |
| a keyword that is not understood here       | both, when it differs at all |

(*) An old reader refuses a type that it does not know with a reason of its own (unknown_type), and
the record can be replayed once it is upgraded. That is the one way to say something new that old
readers cannot read: a new type, beside the old one.

schemas/history holds each released version as {"event": …, "notice": …, "dead_letter": …}; at a
release, the next one is added, and none is ever edited.
"""

import json
import re
from collections.abc import Iterator, Mapping
from typing import Any, Final

JsonSchema = Mapping[str, Any]

ANNOTATIONS: Final = {"$schema", "$id", "$defs", "title", "description", "examples", "default"}
UNDERSTOOD: Final = ANNOTATIONS | {
    *("$ref", "anyOf", "oneOf", "discriminator", "type", "enum", "const"),
    *("minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum"),
    *("minLength", "maxLength", "minItems", "maxItems", "pattern", "format"),
    *("items", "properties", "required"),
}
LOWER_BOUNDS: Final = ("minimum", "exclusiveMinimum", "minLength", "minItems")
UPPER_BOUNDS: Final = ("maximum", "exclusiveMaximum", "maxLength", "maxItems")
ANYTHING: Final = {"null", "boolean", "integer", "number", "string", "array", "object"}


def breaks(old: JsonSchema, new: JsonSchema) -> list[str]:
    """What a change from ``old`` to ``new`` would break, each with whom and where; empty if nothing.

    Both are whole documents as pydantic writes them ($defs, and oneOf with a discriminator).
    """
    return [f"new readers: {break_}" for break_ in breaks_new_readers(old, new)] + [
        f"old readers: {break_}" for break_ in breaks_old_readers(old, new)
    ]


def breaks_new_readers(old: JsonSchema, new: JsonSchema) -> list[str]:
    """Why an event written yesterday could be refused, or read with less in it, today."""
    return list(_Comparison(written=old, read=new, may_drop=False).refusals(old, new, ""))


def breaks_old_readers(old: JsonSchema, new: JsonSchema) -> list[str]:
    """Why yesterday's reader could refuse an event that is written today."""
    written = {**new, **_only_types_of(old, new)}
    return list(_Comparison(written=new, read=old, may_drop=True).refusals(written, old, ""))


def _only_types_of(old: JsonSchema, new: JsonSchema) -> JsonSchema:
    """``new``'s union without the types that ``old`` does not know."""
    if "discriminator" not in old or "discriminator" not in new:
        return {}
    known = old["discriminator"]["mapping"]
    mapping = {
        tag: reference for tag, reference in new["discriminator"]["mapping"].items() if tag in known
    }
    return {"discriminator": {**new["discriminator"], "mapping": mapping}}


class _Comparison:
    """Of the documents that references are resolved in: ``written`` by one side, ``read`` by the
    other. Each method yields why something valid there would be refused (or dropped) here.
    """

    def __init__(self, written: JsonSchema, read: JsonSchema, may_drop: bool) -> None:
        self._written = written
        self._read = read
        self._may_drop = may_drop

    def refusals(self, written: JsonSchema, read: JsonSchema, path: str) -> Iterator[str]:
        written, read = _resolved(written, self._written), _resolved(read, self._read)
        if "default" in written and "default" in read and written["default"] != read["default"]:
            yield (
                f"{_at(path)}: left out, it would mean {json.dumps(read['default'])} instead of "
                f"{json.dumps(written['default'])}"
            )
        if "discriminator" in written and "discriminator" in read:
            yield from self._tagged(written, read, path)
            return
        variants = _variants(read)
        for variant in _variants(written):
            answers = [list(self._one(variant, choice, path)) for choice in variants]
            if all(answers):
                yield from min(answers, key=len)

    def _tagged(self, written: JsonSchema, read: JsonSchema, path: str) -> Iterator[str]:
        tag = read["discriminator"]["propertyName"]
        if written["discriminator"]["propertyName"] != tag:
            yield f"{_at(path)}: the discriminator is {tag!r}"
            return
        known = read["discriminator"]["mapping"]
        for value, reference in written["discriminator"]["mapping"].items():
            if value in known:
                yield from self.refusals(
                    {"$ref": reference}, {"$ref": known[value]}, f"{path}/{value}"
                )
            else:
                yield f"{_at(path)}: {tag} {value!r} is not known"

    def _one(self, written: JsonSchema, read: JsonSchema, path: str) -> Iterator[str]:
        """Both are resolved and free of unions at this level."""
        written, read = _resolved(written, self._written), _resolved(read, self._read)
        if "anyOf" in written or "oneOf" in written or "anyOf" in read or "oneOf" in read:
            yield from self.refusals(written, read, path)
            return
        for keyword in sorted((written.keys() | read.keys()) - UNDERSTOOD):
            if written.get(keyword) != read.get(keyword):
                yield f"{_at(path)}: {keyword} differs, and is not understood here"
        if not _types(written) <= _types(read):
            yield (
                f"{_at(path)}: {_named(_types(written) - _types(read))} is not "
                f"{_named(_types(read))}"
            )
            return
        yield from _value_refusals(written, read, path)
        if "items" in read:
            yield from self.refusals(written.get("items", {}), read["items"], f"{path}/*")
        yield from self._fields(written, read, path)

    def _fields(self, written: JsonSchema, read: JsonSchema, path: str) -> Iterator[str]:
        always_there = set(written.get("required", ()))
        for name in read.get("required", ()):
            if name not in always_there:
                yield f"{path}/{name}: required, but may be absent"
        known = read.get("properties", {})
        for name, field in written.get("properties", {}).items():
            if name in known:
                yield from self.refusals(field, known[name], f"{path}/{name}")
            elif not self._may_drop:
                yield f"{path}/{name}: no such field, what it says is lost"


def _value_refusals(written: JsonSchema, read: JsonSchema, path: str) -> Iterator[str]:
    """Of single values: enums, bounds, patterns."""
    values, accepted = _values(written), _values(read)
    if accepted is not None:
        if values is None:
            yield f"{_at(path)}: only {_listed(accepted)} are accepted"
        elif refused := values - accepted:
            yield f"{_at(path)}: {_listed(refused)} is not accepted"
    if values is not None and accepted is not None:
        return
    for keyword in LOWER_BOUNDS:
        yield from _bound_refusal(written, read, keyword, path, sign=1)
    for keyword in UPPER_BOUNDS:
        yield from _bound_refusal(written, read, keyword, path, sign=-1)
    for keyword in ("pattern", "format"):
        if keyword in read and read[keyword] != written.get(keyword):
            yield f"{_at(path)}: {keyword} must be {read[keyword]!r}"


def _bound_refusal(
    written: JsonSchema, read: JsonSchema, keyword: str, path: str, sign: int
) -> Iterator[str]:
    if keyword not in read:
        return
    bound = written.get(keyword)
    if bound is None or sign * bound < sign * read[keyword]:
        was = "without bound" if bound is None else str(bound)
        yield f"{_at(path)}: {keyword} is {read[keyword]}, but what is written may go to {was}"


def _resolved(schema: JsonSchema, document: JsonSchema) -> JsonSchema:
    """Without a reference at this level; what stands beside the reference stays."""
    while "$ref" in schema:
        name = re.fullmatch(r"#/\$defs/(.+)", schema["$ref"])
        if name is None:
            raise ValueError(f"only references into $defs are followed, not {schema['$ref']}")
        beside = {key: value for key, value in schema.items() if key != "$ref"}
        schema = {**document["$defs"][name[1]], **beside}
    return schema


def _variants(schema: JsonSchema) -> list[JsonSchema]:
    choices: list[JsonSchema] | None = schema.get("anyOf") or schema.get("oneOf")
    return [schema] if choices is None else choices


def _types(schema: JsonSchema) -> set[str]:
    declared = schema.get("type")
    if declared is None:
        return ANYTHING
    types = {declared} if isinstance(declared, str) else set(declared)
    return types | {"integer"} if "number" in types else types


def _values(schema: JsonSchema) -> set[str] | None:
    """The only values it allows, as JSON, or None when it lists none."""
    if "const" in schema:
        return {json.dumps(schema["const"])}
    if "enum" in schema:
        return {json.dumps(value) for value in schema["enum"]}
    return None


def _at(path: str) -> str:
    return path or "/"


def _named(types: set[str]) -> str:
    return " or ".join(sorted(types))


def _listed(values: set[str]) -> str:
    return ", ".join(sorted(values))
