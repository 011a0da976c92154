"""Frames against what the standard and its reference generator publish, and against noise."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from streams.dc09 import (
    Frame,
    FrameFault,
    Refusal,
    crc16,
    format_frame,
    format_time,
    in_window,
    parse,
    parse_time,
    take_frame,
)

# Fire alarm, zone 129, account 12345A: the examples of the standard.
FIRE_SIA = b'\nCE110032"SIA-DCS"9876R579BDFL789ABC#12345A[#12345A|NFA129]\r'
FIRE_STAMPED = b'\nDC530046"SIA-DCS"9876R579BDFL789ABC#12345A[#12345A|NFA129]_13:14:15,02-15-2006\r'
FIRE_MAC = b'\n8C860043"SIA-DCS"9876R579BDFL789ABC#123456A[#123456A|NFA129][M1234567890AB]\r'
FIRE_CID = b'\n87CD0037"ADM-CID"9876R579BDFL789ABC#12345A[#12345A|1110 00 129]\r'
# As panels in the field send them.
PERIODIC_TEST = b'\nBE780027"ADM-CID"0041L0#1001[#1001|1602 00 030]\r'
RECEIVERS_ACK = b'\n5C410020"ACK"0001R000001L000000#000000[]\r'


@pytest.mark.parametrize(
    "raw", [FIRE_SIA, FIRE_STAMPED, FIRE_MAC, FIRE_CID, PERIODIC_TEST, RECEIVERS_ACK]
)
def test_it_reads_and_writes_the_published_examples(raw: bytes) -> None:
    frame = parse(raw)
    assert isinstance(frame, Frame)
    assert format_frame(frame) == raw


def test_it_reads_every_field() -> None:
    assert parse(FIRE_STAMPED) == Frame(
        token="SIA-DCS",
        seq=9876,
        account="12345A",
        data="#12345A|NFA129",
        prefix="789ABC",
        receiver="579BDF",
        time_s=parse_time("13:14:15,02-15-2006"),
    )


def test_it_keeps_extended_data() -> None:
    frame = parse(FIRE_MAC)
    assert isinstance(frame, Frame)
    assert frame.extended == ("M1234567890AB",)


def test_it_knows_the_check_value_of_the_crc() -> None:
    assert crc16(b"123456789") == 0xBB3D


@pytest.mark.parametrize(
    ("raw", "reason"),
    [
        (b"", FrameFault.NO_FRAME),
        (b"GET / HTTP/1.1\r\n", FrameFault.NO_FRAME),
        (FIRE_SIA.replace(b"NFA129", b"NFA128"), FrameFault.CRC),
        (FIRE_SIA.replace(b"NFA129", b"NFA29"), FrameFault.LENGTH),
    ],
)
def test_it_says_why_it_refuses(raw: bytes, reason: FrameFault) -> None:
    refusal = parse(raw)
    assert isinstance(refusal, Refusal)
    assert refusal.reason is reason


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        (b'"SIA-DCS"987L0#1[]', FrameFault.FIELDS),
        (b'"SIA-DCS"9876L0#1[', FrameFault.FIELDS),
        (b'"SIA-DCS"9876L0#1[]x', FrameFault.FIELDS),
        (b'"*SIA-DCS"9876L0#1[00]', FrameFault.FIELDS),
        (b'"SIA-DCS"9876L0#1[]_24:00:00,01-01-2026', FrameFault.TIME),
        (b'"SIA-DCS"9876L0#1[]_10:00:00,02-30-2026', FrameFault.TIME),
    ],
)
def test_it_refuses_fields_that_are_not_the_standards(body: bytes, reason: FrameFault) -> None:
    refusal = parse(b"\n%04X0%03X%b\r" % (crc16(body), len(body), body))
    assert isinstance(refusal, Refusal)
    assert refusal.reason is reason


def test_it_reads_a_nak_which_has_no_account() -> None:
    raw = format_frame(Frame("NAK", 0, "", receiver="0", time_s=1_700_000_000))
    assert b'"NAK"0000R0L0A0[]_22:13:20,11-14-2023' in raw
    frame = parse(raw)
    assert isinstance(frame, Frame)
    assert (frame.token, frame.account, frame.time_s) == ("NAK", "", 1_700_000_000)
    assert (frame.receiver, frame.prefix) == ("0", "0")


def test_a_frame_too_long_for_its_length_is_not_written() -> None:
    with pytest.raises(ValueError, match="4095"):
        format_frame(Frame("SIA-DCS", 1, "1234", data="x" * 5000))


@given(st.integers(0, 4_102_444_799))
def test_times_come_back(time_s: int) -> None:
    assert parse_time(format_time(time_s)) == time_s


@pytest.mark.parametrize(
    ("off_s", "inside"), [(-41, False), (-40, True), (0, True), (20, True), (21, False)]
)
def test_the_window_is_forty_seconds_back_and_twenty_ahead(off_s: int, inside: bool) -> None:
    assert in_window(1_700_000_000 + off_s, 1_700_000_000) is inside


hexadecimal = st.text("0123456789ABCDEF", min_size=1, max_size=6)
inside = st.text(st.characters(codec="latin-1", exclude_characters="[]\r\n"), max_size=200)
frames = st.builds(
    Frame,
    token=st.sampled_from(["SIA-DCS", "ADM-CID", "NULL", "ACK", "DUH", "RSP"]),
    seq=st.integers(0, 9999),
    account=st.text("0123456789ABCDEF", min_size=3, max_size=16),
    data=inside,
    prefix=hexadecimal,
    receiver=st.one_of(st.just(""), hexadecimal),
    extended=st.lists(inside, max_size=3).map(tuple),
    time_s=st.one_of(st.none(), st.integers(0, 4_102_444_799)),
)


@given(frames)
def test_what_is_written_is_read_back(frame: Frame) -> None:
    assert parse(format_frame(frame)) == frame


@given(st.binary(max_size=300))
def test_noise_is_refused_and_nothing_else(raw: bytes) -> None:
    assert isinstance(parse(raw), Frame | Refusal)


@given(st.binary(max_size=200))
def test_noise_with_a_right_crc_is_read_or_refused(body: bytes) -> None:
    found = parse(b"\n%04X0%03X%b\r" % (crc16(body), len(body), body))
    assert isinstance(found, Frame | Refusal)


@given(frames, st.data())
def test_a_byte_changed_on_the_way_is_noticed(frame: Frame, data: st.DataObject) -> None:
    raw = bytearray(format_frame(frame))
    at = data.draw(st.integers(9, len(raw) - 2))
    raw[at] ^= data.draw(st.integers(1, 255))
    assert isinstance(parse(bytes(raw)), Refusal)


@given(st.lists(frames, max_size=5), st.integers(1, 50))
def test_frames_are_cut_from_a_stream_however_it_comes(sent: list[Frame], step: int) -> None:
    stream = b"".join(format_frame(frame) for frame in sent)
    buffer, got = bytearray(), []
    for start in range(0, len(stream), step):
        buffer += stream[start : start + step]
        while (raw := take_frame(buffer)) is not None:
            got.append(parse(raw))
    assert got == sent


def test_a_stream_without_an_end_is_not_kept() -> None:
    buffer = bytearray(b"x" * 10_000)
    assert take_frame(buffer) is None
    assert not buffer
