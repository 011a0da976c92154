"""Yesterday's events stay readable, and each change that would break somebody is found."""

import json
from collections.abc import Callable
from copy import deepcopy
from typing import Any

import pytest
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st
from jsonschema import Draft202012Validator

from schemas import compatibility, generate
from schemas.compatibility import breaks, breaks_new_readers, breaks_old_readers
from schemas.events import EVENT, EVENT_MODELS
from tests.schemas.strategies import instances

HISTORY = generate.FOLDER.parent / "history"
RELEASED = sorted(HISTORY.glob("v*.json"))
SAMPLES = (HISTORY / "samples.jsonl").read_text(encoding="utf-8").splitlines()
TODAY = {
    "event": generate.event_schema(),
    "notice": generate.notice_schema(),
    "dead_letter": generate.dead_letter_schema(),
}


@pytest.mark.parametrize("released", RELEASED, ids=lambda path: path.stem)
def test_no_released_event_is_broken_for_anybody(released: Any) -> None:
    assert breaks(json.loads(released.read_text())["event"], TODAY["event"]) == []


@pytest.mark.parametrize("released", RELEASED, ids=lambda path: path.stem)
@pytest.mark.parametrize("kind", ["notice", "dead_letter"])
def test_what_we_wrote_ourselves_stays_readable(released: Any, kind: str) -> None:
    """Only new readers: notices are read by our own console, which is upgraded with the writers."""
    assert breaks_new_readers(json.loads(released.read_text())[kind], TODAY[kind]) == []


@pytest.mark.parametrize("line", SAMPLES)
def test_a_sample_of_the_past_still_says_what_it_said(line: str) -> None:
    event = EVENT.validate_json(line)
    Draft202012Validator(TODAY["event"]).validate(json.loads(line))
    said = json.loads(line)
    assert {key: value for key, value in _dumped(event).items() if key in said} == said


def test_the_samples_show_every_field_of_every_type() -> None:
    shown: dict[str, set[str]] = {}
    for line in SAMPLES:
        event = json.loads(line)
        shown.setdefault(event["type"], set()).update(event)
    declared = {
        model.model_fields["type"].default: set(model.model_fields) for model in EVENT_MODELS
    }
    assert shown == declared


def _dumped(event: Any) -> Any:
    """As on the wire, but without the defaults of nested objects, which a sample may leave out."""
    return event.model_dump(mode="json", exclude_unset=True)


Mutation = Callable[[dict[str, Any]], None]
NEW, OLD, BOTH, NOBODY = (
    {"new readers"},
    {"old readers"},
    {"new readers", "old readers"},
    set[str](),
)


def field(name: str, **changed: Any) -> Mutation:
    """Change keywords of Model.field in $defs; None removes a keyword."""
    model, _, path = name.partition(".")

    def mutate(schema: dict[str, Any]) -> None:
        target = schema["$defs"][model]["properties"][path]
        for keyword, value in changed.items():
            target.pop(keyword, None)
            if value is not None:
                target[keyword] = value

    return mutate


def required(model: str, *, add: str = "", remove: str = "") -> Mutation:
    def mutate(schema: dict[str, Any]) -> None:
        names = set(schema["$defs"][model]["required"])
        schema["$defs"][model]["required"] = sorted((names | {add}) - {remove, ""})

    return mutate


def added(model: str, name: str, declaration: dict[str, Any], is_required: bool) -> Mutation:
    def mutate(schema: dict[str, Any]) -> None:
        schema["$defs"][model]["properties"][name] = declaration
        if is_required:
            schema["$defs"][model]["required"].append(name)

    return mutate


def removed(model: str, name: str) -> Mutation:
    def mutate(schema: dict[str, Any]) -> None:
        del schema["$defs"][model]["properties"][name]
        required(model, remove=name)(schema)

    return mutate


def renamed(model: str, name: str, to: str) -> Mutation:
    def mutate(schema: dict[str, Any]) -> None:
        properties = schema["$defs"][model]["properties"]
        properties[to] = properties.pop(name)

    return mutate


def enum(name: str, *, add: str = "", remove: str = "") -> Mutation:
    def mutate(schema: dict[str, Any]) -> None:
        values = schema["$defs"][name]["enum"]
        schema["$defs"][name]["enum"] = [v for v in [*values, add] if v not in {"", remove}]

    return mutate


def without_type(tag: str) -> Mutation:
    def mutate(schema: dict[str, Any]) -> None:
        reference = schema["discriminator"]["mapping"].pop(tag)
        schema["oneOf"] = [one for one in schema["oneOf"] if one["$ref"] != reference]

    return mutate


def with_type(tag: str) -> Mutation:
    def mutate(schema: dict[str, Any]) -> None:
        schema["$defs"]["Brandnew"] = deepcopy(schema["$defs"]["Pass"])
        schema["$defs"]["Brandnew"]["properties"]["type"] = {"const": tag, "type": "string"}
        schema["discriminator"]["mapping"][tag] = "#/$defs/Brandnew"
        schema["oneOf"].append({"$ref": "#/$defs/Brandnew"})

    return mutate


TEXT = {"type": "string"}

CHANGES: list[tuple[str, Mutation, set[str]]] = [
    ("an optional field more", added("Pass", "gate", TEXT | {"default": ""}, False), NOBODY),
    ("an event type more", with_type("pass.v2"), NOBODY),
    ("another description", field("Pass.card", description="other"), NOBODY),
    ("a required field more", added("Pass", "gate", TEXT, True), NEW),
    ("an optional field required", required("PanicPressed", add="place"), NEW),
    ("a required field optional", required("Pass", remove="card"), OLD),
    ("a required field removed", removed("Pass", "card"), BOTH),
    ("an optional field removed", removed("PanicPressed", "duress"), NEW),
    ("an optional field renamed", renamed("PanicPressed", "duress", "silent"), NEW),
    ("a default turned round", field("PanicTest.passed", default=False), BOTH),
    ("an enum value removed", enum("PassOutcome", remove="passback"), NEW),
    ("an enum value added", enum("PassOutcome", add="lost_card"), OLD),
    ("an enum value renamed", enum("PassOutcome", remove="passback", add="pass_back"), BOTH),
    (
        "an enum opened to any text",
        field("Pass.direction", **{"$ref": None, "type": "string"}),
        OLD,
    ),
    ("a text that became a number", field("Finding.text", type="integer", maxLength=None), BOTH),
    ("an integer that became any number", field("Heartbeat.link_pct", type="number"), OLD),
    ("a number that became an integer", field("SchoolRegistered.latitude", type="integer"), NEW),
    ("a maximum lowered", field("Heartbeat.period_s", maximum=3600), NEW),
    ("a maximum raised", field("Heartbeat.period_s", maximum=90_000), OLD),
    ("a maximum removed", field("Heartbeat.period_s", maximum=None), OLD),
    ("a minimum raised", field("Heartbeat.period_s", minimum=5), NEW),
    ("a minimum lowered", field("Heartbeat.period_s", minimum=0), OLD),
    ("a text shortened", field("Finding.text", maxLength=10), NEW),
    ("a text lengthened", field("Finding.text", maxLength=10_000), OLD),
    ("a text that may be empty", field("IncidentReported.place", minLength=0), OLD),
    ("a shorter list", field("InspectionCompleted.findings", maxItems=5), NEW),
    ("a longer list", field("InspectionCompleted.findings", maxItems=500), OLD),
    ("a list that may be empty", field("SchoolRegistered.shifts", minItems=0), OLD),
    ("another pattern", field("Pass.card", pattern="^[0-9a-f]{32}$"), BOTH),
    ("a pattern removed", field("Pass.card", pattern=None), OLD),
    ("a pattern added", field("IncidentRegistered.case", pattern="^[0-9]+$"), NEW),
    ("a format removed", field("SecurityContract.expires_on", format=None), OLD),
    ("another format", field("SecurityContract.expires_on", format="date-time"), BOTH),
    ("null no longer taken", field("PanicPressed.place", anyOf=[TEXT | {"maxLength": 120}]), BOTH),
    ("a nested field required", required("Finding", add="text"), NEW),
    ("a nested field removed", removed("Names", "en"), BOTH),
    ("an event type removed", without_type("panic.cancelled"), NEW),
    ("another schema version", field("Pass.v", const=2, default=2), BOTH),
    ("an unheard-of keyword", field("Heartbeat.link_pct", multipleOf=5), BOTH),
]


@pytest.mark.parametrize(("mutate", "whom"), [c[1:] for c in CHANGES], ids=[c[0] for c in CHANGES])
def test_it_says_whom_a_change_breaks(mutate: Mutation, whom: set[str]) -> None:
    changed = deepcopy(TODAY["event"])
    mutate(changed)
    assert changed != TODAY["event"]
    assert {found.partition(":")[0] for found in breaks(TODAY["event"], changed)} == whom


def test_it_says_where() -> None:
    changed = deepcopy(TODAY["event"])
    field("Heartbeat.period_s", maximum=3600)(changed)
    assert breaks(TODAY["event"], changed) == [
        "new readers: /heartbeat/period_s: maximum is 3600, but what is written may go to 86400"
    ]


def test_a_union_that_lost_its_discriminator_is_not_mistaken_for_the_same() -> None:
    changed = deepcopy(TODAY["event"])
    changed["discriminator"]["propertyName"] = "kind"
    assert breaks(TODAY["event"], changed)


def test_it_follows_only_references_that_it_knows() -> None:
    with pytest.raises(ValueError, match="only references into"):
        compatibility.breaks({"$ref": "other.json"}, {"type": "string"})


# Small schemas of every kind that is compared, nested once.
def _scalars() -> st.SearchStrategy[dict[str, Any]]:
    integers = st.tuples(st.integers(-3, 3), st.integers(0, 5)).map(
        lambda pair: {"type": "integer", "minimum": pair[0], "maximum": pair[0] + pair[1]}
    )
    texts = st.tuples(st.integers(0, 2), st.integers(0, 3)).map(
        lambda pair: {"type": "string", "minLength": pair[0], "maxLength": pair[0] + pair[1]}
    )
    enums = st.sets(st.sampled_from(["a", "b", "c"]), min_size=1).map(
        lambda values: {"type": "string", "enum": sorted(values)}
    )
    constants = st.sampled_from(["a", "b"]).map(lambda value: {"type": "string", "const": value})
    patterns = st.sampled_from(["^[ab]$", "^a$"]).map(lambda p: {"type": "string", "pattern": p})
    others = st.sampled_from([{"type": "boolean"}, {"type": "number"}, {"type": "null"}])
    return st.one_of(integers, texts, enums, constants, patterns, others)


def _objects(fields: st.SearchStrategy[dict[str, Any]]) -> st.SearchStrategy[dict[str, Any]]:
    return st.tuples(
        st.dictionaries(st.sampled_from("xyz"), fields, max_size=3),
        st.sets(st.sampled_from("xyz")),
    ).map(
        lambda pair: {
            "type": "object",
            "properties": pair[0],
            "required": sorted(pair[1] & pair[0].keys()),
        }
    )


SCHEMAS = st.recursive(
    _scalars(),
    lambda inner: st.one_of(
        _objects(inner),
        inner.map(lambda items: {"type": "array", "items": items, "maxItems": 2}),
        st.lists(inner, min_size=1, max_size=3).map(lambda choices: {"anyOf": choices}),
    ),
    max_leaves=6,
)


@given(SCHEMAS)
def test_nothing_breaks_when_nothing_changes(schema: dict[str, Any]) -> None:
    assert breaks(schema, schema) == []


@settings(
    max_examples=300, suppress_health_check=[HealthCheck.filter_too_much, HealthCheck.too_slow]
)
@given(st.data())
def test_what_it_lets_pass_is_readable(data: st.DataObject) -> None:
    """The other way round than above: whatever it calls unbroken, a validator accepts."""
    old = data.draw(SCHEMAS)
    new = data.draw(st.one_of(SCHEMAS, st.just(old).map(_loosened)))
    assume(breaks_new_readers(old, new) == [])
    event = data.draw(instances(old, old))
    Draft202012Validator(new).validate(event)


@settings(
    max_examples=300, suppress_health_check=[HealthCheck.filter_too_much, HealthCheck.too_slow]
)
@given(st.data())
def test_what_it_lets_old_readers_read_is_readable(data: st.DataObject) -> None:
    new = data.draw(SCHEMAS)
    old = data.draw(st.one_of(SCHEMAS, st.just(new).map(_loosened)))
    assume(breaks_old_readers(old, new) == [])
    event = data.draw(instances(new, new))
    Draft202012Validator(old).validate(event)


def _loosened(schema: dict[str, Any]) -> dict[str, Any]:
    loose = {key: value for key, value in schema.items() if key not in {"required", "maxLength"}}
    return {"anyOf": [loose, {"type": "null"}]}
