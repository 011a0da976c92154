"""Instances of a JSON Schema, as far as pydantic writes it for our models."""

from typing import Any

from hypothesis import strategies as st

from schemas.compatibility import JsonSchema

LONGEST = 30  # of generated texts and lists; the bounds themselves are tested by hand


def instances(schema: JsonSchema, document: JsonSchema) -> st.SearchStrategy[Any]:
    if "$ref" in schema:
        return instances(document["$defs"][schema["$ref"].rsplit("/", 1)[1]], document)
    if "anyOf" in schema or "oneOf" in schema:
        choices = schema.get("anyOf") or schema["oneOf"]
        return st.one_of([instances(choice, document) for choice in choices])
    if "const" in schema:
        return st.just(schema["const"])
    if "enum" in schema:
        return st.sampled_from(schema["enum"])
    match schema["type"]:
        case "null":
            return st.none()
        case "boolean":
            return st.booleans()
        case "integer":
            return st.integers(schema.get("minimum"), schema.get("maximum"))
        case "number":
            return st.floats(
                schema.get("minimum"),
                schema.get("maximum"),
                allow_nan=False,
                allow_infinity=False,
            )
        case "string":
            return _strings(schema)
        case "array":
            least = schema.get("minItems", 0)
            return st.lists(
                instances(schema["items"], document),
                min_size=least,
                max_size=min(schema.get("maxItems", LONGEST), least + 3),
            )
    properties = schema.get("properties", {})
    fields = {name: instances(field, document) for name, field in properties.items()}
    required = schema.get("required", ())
    return st.fixed_dictionaries(
        {name: fields[name] for name in required if name in fields},
        optional={name: field for name, field in fields.items() if name not in required},
    )


def _strings(schema: JsonSchema) -> st.SearchStrategy[str]:
    if "pattern" in schema:
        return st.from_regex(schema["pattern"], fullmatch=True)
    if schema.get("format") == "date":
        return st.dates().map(lambda day: day.isoformat())
    least = schema.get("minLength", 0)
    return st.text(
        min_size=least, max_size=max(least, min(schema.get("maxLength", LONGEST), LONGEST))
    )
