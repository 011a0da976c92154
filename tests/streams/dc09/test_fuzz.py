"""Frames of the standard, damaged and made whole again with a right CRC and length, so that noise gets
past the first checks: they are read or refused, and every answer to them is itself a frame."""

import random
import time
from collections.abc import Callable

import pytest
from hypothesis import given
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
MANY = 2_000
VERY_MANY = 20_000

in_the_clear = parse(FIRE_STAMPED)
assert isinstance(in_the_clear, Frame)
SEALED = format_frame(encrypt(in_the_clear, KEY))
PUBLISHED = [FIRE_SIA, FIRE_STAMPED, FIRE_MAC, FIRE_CID, PERIODIC_TEST, RECEIVERS_ACK, SEALED]
BODY_AT = 9  # behind LF, CRC and length

# What the grammar is made of, beside any bytes.
GRAMMAR = [
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
PIECES = st.sampled_from(GRAMMAR) | st.binary(max_size=6)


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


def damaged_by(rng: random.Random) -> bytes:
    """The same, fast: to draw takes hypothesis a hundred times as long as to read."""
    body = rng.choice(PUBLISHED)[BODY_AT:-1]
    for _ in range(rng.randrange(5)):
        start = rng.randrange(len(body) + 1)
        end = rng.randint(start, min(start + 20, len(body)))
        put = rng.choice(
            [rng.choice(GRAMMAR), rng.randbytes(rng.randrange(7)), body[start:end] * 2]
        )
        body = body[:start] + put + body[end:]
    return whole(body)


def chunks_by(rng: random.Random) -> list[bytes]:
    sizes = [rng.choice([0, 20, 6_000]) for _ in range(rng.randrange(9))]
    return [rng.randbytes(rng.randrange(n)) if n else damaged_by(rng) for n in sizes]


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
    # One that lost its CR ends where the next begins.
    assert taken <= b"".join(chunks).count(b"\r") + b"".join(chunks).count(b"\n")
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


CAMPAIGNS = [(is_read_or_refused, damaged_by), (every_frame_is_taken_once, chunks_by)]


def campaign(
    holds: Callable[..., None], given_: Callable[[random.Random], object], count: int, seed: int
) -> None:
    for number in range(count):
        drawn = given_(random.Random(f"{seed} {number}"))
        try:
            holds(drawn)
        except AssertionError as error:
            error.add_note(f"{number} of seed {seed}: {drawn!r}")
            raise


@pytest.mark.parametrize(("holds", "given_"), CAMPAIGNS, ids=["frames", "streams"])
def test_it_holds_for_many(
    holds: Callable[..., None], given_: Callable[[random.Random], object]
) -> None:
    campaign(holds, given_, MANY, seed=1)


@pytest.mark.faults
@pytest.mark.parametrize(("holds", "given_"), CAMPAIGNS, ids=["frames", "streams"])
def test_it_holds_for_very_many(
    holds: Callable[..., None], given_: Callable[[random.Random], object]
) -> None:
    campaign(holds, given_, VERY_MANY, seed=random.randrange(2**32))
