"""What bytes say that no model accepts; the mutations of tests/streams/gateway go much further."""

import base64
import json
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from streams.panic.decide import PanicState, decide
from streams.panic.salvage import CUT, LONGEST_PLACE, Salvaged, said_by

SCHOOL = "KZ-75-00001"
T0 = 1_790_000_000_000
RECEIPT = "01a0c450-6c58-7000-8000-000000000058"


@pytest.mark.parametrize(
    ("body", "duress", "place"),
    [
        (b'{"duress":true,"place":"Room 5"', True, "Room 5"),
        (b'{"duress":tr', True, ""),
        (b'{"duress":fal', False, ""),
        (b'{"duress":', False, ""),
        (b'{"duress":"who knows"}', True, ""),
        (b'{"duress":false,"duress":true}', True, ""),
        (b'{"duress":true,"duress":false}', True, ""),
        (b'{"event":{"Duress":"Yes"},"PLACE":7}', True, "7"),
        (b'{"place":"Room 1', False, "Room 1" + CUT),
        (b'{"place":"Room\\n\\u0000 5"}', False, "Room"),
        (b"duress=true&place=Room+5", True, "Room 5"),
        (b"duress: yes\nplace: Room 5\n", True, "Room 5"),
        (b"<p><duress>true</duress><place>Room 5</place></p>", True, "Room 5"),
        (b'{"place":{"floor":2,"room":"5"},"duress":[]}', False, "2, 5"),
        ('{"place":"Кабинет 5",'.encode("cp1251"), False, "Кабинет 5"),
        ('{"place":"Büro 5",'.encode("latin-1"), False, "Büro 5"),
        ('{"place":"Кабинет 5'.encode()[:-3], False, "Кабине\ufffd" + CUT),
        (base64.b64encode(b'{"duress":true,"place":"Room 5"}'), True, "Room 5"),
        (b'{"note":"no duress: all is well"}', False, ""),
        (b"\x00\xff", False, ""),
    ],
)
def test_duress_and_place_are_what_the_bytes_still_say(
    body: bytes, duress: bool, place: str
) -> None:
    said = said_by(body)
    assert (said.duress, said.place) == (duress, place)


@pytest.mark.parametrize(
    "id_", [RECEIPT.upper(), f"{{{RECEIPT}}}", f"urn:uuid:{RECEIPT}", RECEIPT.replace("-", "")]
)
def test_an_id_is_legible_however_it_is_written(id_: str) -> None:
    assert said_by(json.dumps({"id": id_}).encode()).id == RECEIPT


@given(
    st.binary(max_size=300)
    | st.text(alphabet='{}[]":,\\=&<>%duresplac ', max_size=200).map(str.encode)
)
def test_it_never_raises_and_a_place_is_one_short_line(body: bytes) -> None:
    place = said_by(body).place
    assert len(place) <= LONGEST_PLACE and (place.isprintable() or not place)


@pytest.mark.parametrize(
    "piece",
    [
        b'"duress":',
        b"[",
        b'{"a":',
        b'"place":"',
        b"\\",
        b'"',
        b"id:",
        b"place\r\na:b",
        b"%22",
        b"duress",
    ],
)
def test_no_bytes_keep_it_busy(piece: bytes) -> None:
    body = piece * (1_000_000 // len(piece))
    began_s = time.process_time()
    said_by(body)
    assert time.process_time() - began_s < 1.0  # some 50 ms, on a machine with nothing else to do


def envelope(**said: object) -> bytes:
    more = {"said": said} if said else {}
    return json.dumps(
        {"type": "panic.unread", "school": SCHOOL, "device": "button-1", "receipt": RECEIPT}
        | {"raw_base64": base64.b64encode(b'{"duress":true').decode()}
        | more
    ).encode()


def test_what_the_gateway_read_is_in_the_alert() -> None:
    (alert,) = decide(
        PanicState(), SCHOOL.encode(), envelope(duress=True, place="Room 5", device="button-9"), T0
    )
    assert (alert.duress, alert.place, alert.unidentified) == (True, "Room 5", True)
    assert (alert.device, alert.score) == ("button-1", 3)


def test_an_envelope_of_before_is_decided_as_before() -> None:
    (alert,) = decide(PanicState(), SCHOOL.encode(), envelope(), T0)
    assert (alert.duress, alert.place, alert.score) == (False, "", 1)


def test_a_broken_record_of_nobodys_gateway_keeps_its_duress() -> None:
    body = b'{"type":"panic.pressed","school":"KZ-75-00001","device":"button-1","duress":true,'
    (alert,) = decide(PanicState(), None, body, T0)
    assert (alert.school, alert.device, alert.duress) == (SCHOOL, "button-1", True)


def test_nothing_is_said_by_nothing() -> None:
    assert said_by(b"") == Salvaged()
