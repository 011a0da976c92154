"""Frames of the standard, damaged and made whole again with a right CRC and length, so that noise gets
past the first checks: they are read or refused, and every answer to them is itself a frame."""

import time
from collections.abc import Callable

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from streams.dc09 import (
    Frame,
    Refusal,
    ack,
    crc16,
    decrypt,
    duh,
    encrypt,
    format_frame,
    parse,
    parse_contact_id,
    parse_sia_dcs,
    take_frame,
)
from tests.streams.dc09.test_frame import (
    FIRE_CID,
    FIRE_MAC,
    FIRE_SIA,
    FIRE_STAMPED,
    PERIODIC_TEST,
    RECEIVERS_ACK,
)

KEY = bytes(range(16))
NOW_S = 1_700_000_000
LONG = 20_000

in_the_clear = parse(FIRE_STAMPED)
assert isinstance(in_the_clear, Frame)
SEALED = format_frame(encrypt(in_the_clear, KEY))
PUBLISHED = [FIRE_SIA, FIRE_STAMPED, FIRE_MAC, FIRE_CID, PERIODIC_TEST, RECEIVERS_ACK, SEALED]
BODY_AT = 9  # behind LF, CRC and length

# What the grammar is made of, beside any bytes.
PIECES = st.sampled_from(
    [
        b'"',
        b"*",
        b"[",
        b"]",
        b"][",
        b"|",
        b"#",
        b"_",
        b"L",
        b"R",
        b"A0",
        b"\n",
        b"\r",
        b"\xff",
        b"0",
    ]
) | st.binary(max_size=6)


def whole(body: bytes) -> bytes:
    return b"\n%04X0%03X%b\r" % (crc16(body), len(body), body)


@st.composite
def damaged(draw: st.DrawFn) -> bytes:
    """A frame with pieces cut out, put in and repeated, whose CRC and length are right."""
    body = draw(st.sampled_from(PUBLISHED))[BODY_AT:-1]
    for _ in range(draw(st.integers(0, 4))):
        start = draw(st.integers(0, len(body)))
        end = draw(st.integers(start, min(start + 20, len(body))))
        put = draw(PIECES | st.just(body[start:end] * 2))
        body = body[:start] + put + body[end:]
    return whole(body)


def is_read_or_refused(raw: bytes) -> None:
    frame = parse(raw)
    if isinstance(frame, Refusal):
        assert frame.detail
        return
    if frame.encrypted:
        opened = decrypt(frame, KEY)
        if isinstance(opened, Refusal):
            assert isinstance(parse(duh(frame)), Frame)
            return
        frame = opened
    parse_contact_id(frame.data)
    parse_sia_dcs(frame.data)
    for answer in (duh(frame), ack(frame, NOW_S), ack(frame, NOW_S, KEY)):
        said = parse(answer)
        assert isinstance(said, Frame)
        assert (said.seq, said.account, said.prefix) == (frame.seq, frame.account, frame.prefix)


def every_frame_is_taken_once(chunks: list[bytes]) -> None:
    buffer, taken = bytearray(), 0
    for chunk in chunks:
        buffer += chunk
        while take_frame(buffer) is not None:
            taken += 1
    assert taken <= b"".join(chunks).count(b"\r")
    assert len(buffer) <= 8192


@given(damaged())
def test_a_damaged_frame_is_read_or_refused(raw: bytes) -> None:
    is_read_or_refused(raw)


@given(st.lists(damaged() | st.binary(max_size=6_000), max_size=8))
def test_a_damaged_stream_neither_stops_nor_grows(chunks: list[bytes]) -> None:
    every_frame_is_taken_once(chunks)


@pytest.mark.parametrize(
    "body",
    [
        b'"SIA-DCS"0001L0#1[' + b"[" * 4000,
        b'"SIA-DCS"0001L0#1[]' + b"[]" * 2000 + b"x",
        b'"SIA-DCS"0001L0#1[#1|N' + b"ri1/" * 1000 + b"]",
        b'"*SIA-DCS"0001L0#1[' + b"0" * 4032 + b"g",
    ],
    ids=["open brackets", "pairs", "modifiers", "cipher"],
)
def test_no_frame_takes_long(body: bytes) -> None:
    began_s = time.process_time()
    is_read_or_refused(whole(body[:4095]))
    assert time.process_time() - began_s < 1


@pytest.mark.faults
@pytest.mark.parametrize(
    ("holds", "given_"),
    [
        (is_read_or_refused, damaged()),
        (every_frame_is_taken_once, st.lists(damaged() | st.binary(max_size=6_000), max_size=8)),
    ],
    ids=["frames", "streams"],
)
def test_it_holds_for_very_many(
    holds: Callable[..., None], given_: st.SearchStrategy[object]
) -> None:
    campaign = settings(
        max_examples=LONG, deadline=None, database=None, suppress_health_check=list(HealthCheck)
    )
    campaign(given(given_)(holds))()
