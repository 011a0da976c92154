import pytest
from hypothesis import given
from hypothesis import strategies as st

from streams.dc09 import (
    ContactId,
    SiaDcs,
    format_contact_id,
    format_sia_dcs,
    parse_contact_id,
    parse_sia_dcs,
)


@pytest.mark.parametrize(
    ("data", "event"),
    [
        ("#12345A|1110 00 129", ContactId("110", 1, "00", "129")),
        ("#1001|1602 00 030", ContactId("602", 1, "00", "030")),
        ("#1001|3354 00 004", ContactId("354", 3, "00", "004")),
        ("|1120 01 002", ContactId("120", 1, "01", "002")),
    ],
)
def test_it_reads_contact_id(data: str, event: ContactId) -> None:
    assert parse_contact_id(data) == event


@pytest.mark.parametrize("data", ["", "|", "#1234|", "#1234|2120 00 001", "#1234|1120 0 1", "NPA"])
def test_what_is_no_contact_id_is_none(data: str) -> None:
    assert parse_contact_id(data) is None


@pytest.mark.parametrize(
    ("data", "event"),
    [
        ("#12345A|NFA129", SiaDcs("FA", "129")),
        ("#36214|NRP", SiaDcs("RP")),
        ("#AAA|Nri1/PA12", SiaDcs("PA", "12", "1")),
        ("#3080|Nti19:44/id1/ri4/RP", SiaDcs("RP", "", "4")),
        # Without the slash, as a panel in the field sends it.
        ("#123456|Nri0KR1^TAST. 001 ^", SiaDcs("KR", "1", "0", "TAST. 001 ")),
    ],
)
def test_it_reads_the_sia_format(data: str, event: SiaDcs) -> None:
    assert parse_sia_dcs(data) == event


@pytest.mark.parametrize("data", ["", "#1|", "#1|Npanic", "PA"])
def test_what_is_no_sia_format_is_none(data: str) -> None:
    assert parse_sia_dcs(data) is None


@given(st.text())
def test_any_text_is_an_event_or_none(data: str) -> None:
    assert isinstance(parse_contact_id(data), ContactId | None)
    assert isinstance(parse_sia_dcs(data), SiaDcs | None)


def test_events_come_back() -> None:
    press = ContactId("121", 1, "00", "004")
    assert parse_contact_id(format_contact_id("12345A", press)) == press
    holdup = SiaDcs("HA", "4", "1", "office")
    assert parse_sia_dcs(format_sia_dcs("12345A", holdup)) == holdup
