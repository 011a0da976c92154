"""CAP messages against the schema that OASIS published."""

from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest
import xmlschema
from hypothesis import given, settings
from hypothesis import strategies as st

from streams.dispatch.alarm import Alarm
from streams.dispatch.cap import cap_of, cap_test, cap_time
from streams.dispatch.decide import Kind
from tests.streams.dispatch.stories import T0, center

SCHEMA = xmlschema.XMLSchema(Path(__file__).parent / "cap" / "CAP-v1.2.xsd", defuse="never")
CENTER = center("KZ-75 police", "https://127.0.0.1:1/", adapter="cap", drills=True)
NAME = "{urn:oasis:names:tc:emergency:cap:1.2}"


def alarm(**fields: Any) -> Alarm:
    said = {
        "message": "m" * 32, "kind": Kind.ALERT, "alert": "a" * 32, "seq": 1, "sent_ms": T0,
        "school": "KZ-75-00042", "school_name": "School No. 42", "region": "KZ-75",
        "district": "Almaty", "latitude": 43.2, "longitude": 76.9, "device": "button-3",
        "event": "e", "pressed_ms": T0 - 400, "score": 3, "why": ("2 buttons",),
    }  # fmt: skip
    return Alarm.model_validate(said | fields)


def text(body: bytes, path: str) -> str | None:
    found = ElementTree.fromstring(body).find("/".join(NAME + part for part in path.split("/")))
    return None if found is None else found.text


@pytest.mark.parametrize("kind", list(Kind))
@pytest.mark.parametrize("drill", [False, True])
def test_a_message_is_valid(kind: Kind, drill: bool) -> None:
    refers_to = () if kind is Kind.ALERT else (("m0", T0 - 5_000),)
    body = cap_of(alarm(kind=kind, drill=drill, refers_to=refers_to), CENTER)
    SCHEMA.validate(body.decode())
    assert text(body, "status") == ("Exercise" if drill else "Actual")
    assert text(body, "msgType") == kind.value.capitalize()


def test_a_link_test_is_valid_and_is_a_test() -> None:
    body = cap_test(CENTER, "test-1", T0)
    SCHEMA.validate(body.decode())
    assert text(body, "status") == "Test"


def test_an_update_names_what_it_is_about() -> None:
    body = cap_of(alarm(kind=Kind.UPDATE, refers_to=(("m0", T0 - 5_000),)), CENTER)
    assert text(body, "references") == f"saqshy,m0,{cap_time(T0 - 5_000)}"


def test_the_schema_refuses_what_is_wrong() -> None:
    body = cap_of(alarm(), CENTER).replace(b"Actual", b"Perhaps")
    assert not SCHEMA.is_valid(body.decode())


@settings(max_examples=40)
@given(st.text(), st.text(), st.lists(st.text(), max_size=3), st.integers(0, 4))
def test_it_is_valid_whatever_the_registry_and_the_press_say(
    name: str, district: str, why: list[str], score: int
) -> None:
    body = cap_of(
        alarm(school_name=name, district=district, why=tuple(why), score=score, latitude=None),
        CENTER,
    )
    SCHEMA.validate(body.decode())
