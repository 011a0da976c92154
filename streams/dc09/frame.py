"""One DC-09 frame: ``<LF> crc 0LLL "id" seq Rrcvr Lpref #acct [data] [x…] _timestamp <CR>``.

The CRC and the length are of everything from the first quote to before the CR, four upper-case
hexadecimal characters each. Two dialects of the field are read as well: a CRC of two raw bytes, and
an R or L without digits. Text is Latin-1, so that every byte has a character and stays as it is.
"""

import re
from calendar import timegm
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from enum import StrEnum
from typing import Final

from schemas.times import utc

MAX_BODY: Final = 0xFFF
"""Characters from the first quote to the end: what three hexadecimal digits can say."""
EARLIEST_S: Final = -40
LATEST_S: Final = 20
"""A timestamp may be so far off the receiver's clock (5.5.1.9)."""

_HEADER = re.compile(
    r'"(?P<encrypted>\*)?(?P<token>[A-Z0-9-]{1,16})"(?P<seq>[0-9]{4})'
    # As few digits as will do: the A0 of a frame without account looks like two more.
    r"(?:R(?P<receiver>[0-9A-Fa-f]{0,6}?))?(?:L(?P<prefix>[0-9A-Fa-f]{0,6}?))?"
    # A NAK has no account, only this.
    r"(?:#(?P<account>[0-9A-Za-z]{1,16})|A0)?\[",
    re.ASCII,
)
_FRAME = re.compile(rb"(?P<crc>[0-9A-Fa-f]{4})0(?P<length>[0-9A-Fa-f]{3})(?P<body>.*)", re.DOTALL)
_RAW_FRAME = re.compile(rb"(?P<crc>.{2})0(?P<length>[0-9A-Fa-f]{3})(?P<body>\".*)", re.DOTALL)
_CONTENT = re.compile(
    r"(?P<data>[^\]]*)\](?P<extended>(?:\[[^\]]*\])*)(?:_(?P<time>.*))?", re.DOTALL
)
_TIME = re.compile(
    r"([01][0-9]|2[0-3]):([0-5][0-9]):([0-5][0-9]),(0[1-9]|1[0-2])-([0-3][0-9])-([0-9]{4})",
    re.ASCII,
)
_HEX = re.compile(r"(?:[0-9A-Fa-f]{32})+", re.ASCII)


class FrameFault(StrEnum):
    """Why a frame could not be read."""

    NO_FRAME = "no_frame"
    LENGTH = "length"
    CRC = "crc"
    FIELDS = "fields"
    TIME = "time"
    KEY = "key"


@dataclass(frozen=True, slots=True)
class Frame:
    """What a frame says. ``token`` is its id without the ``*`` of an encrypted one.

    ``receiver`` and ``prefix`` are the hexadecimal digits after R and L, empty when not sent.
    ``account``, ``receiver`` and ``prefix`` are in the letters of the sender, who looks for them so in
    the answer; ``raw_crc``: it sends its CRC as two bytes, and reads it so.
    ``data`` is what stands in the first brackets; of an encrypted frame that was not decrypted yet,
    the ciphertext in hexadecimal, and then ``extended`` and ``time_s`` are empty. ``time_s`` is the
    timestamp, seconds since 1970 GMT.
    """

    token: str
    seq: int
    account: str
    data: str = ""
    prefix: str = "0"
    receiver: str = ""
    extended: tuple[str, ...] = ()
    time_s: int | None = None
    encrypted: bool = False
    raw_crc: bool = False


@dataclass(frozen=True, slots=True)
class Refusal:
    """``frame``: what a frame says that has nothing wrong but its timestamp."""

    reason: FrameFault
    detail: str
    frame: Frame | None = None


def parse(raw: bytes) -> Frame | Refusal:
    """Read one frame, with or without its LF and CR."""
    line = raw.removeprefix(b"\n").removesuffix(b"\r")
    match, raw_crc = _FRAME.fullmatch(line), False
    if match is None:
        match, raw_crc = _RAW_FRAME.fullmatch(line), True
    if match is None:
        return Refusal(FrameFault.NO_FRAME, "no CRC and length at the start")
    body = match["body"]
    if len(body) != int(match["length"], 16):
        return Refusal(
            FrameFault.LENGTH, f"{len(body)} characters, {int(match['length'], 16)} said"
        )
    said = int.from_bytes(match["crc"], "big") if raw_crc else int(match["crc"], 16)
    if crc16(body) != said:
        return Refusal(FrameFault.CRC, f"{crc16(body):04X} expected, {said:04X} said")
    return _read_body(body.decode("latin-1"), raw_crc=raw_crc)


def _read_body(text: str, *, raw_crc: bool) -> Frame | Refusal:
    header = _HEADER.match(text)
    if header is None:
        return Refusal(FrameFault.FIELDS, 'no "id" seq Rrcvr Lpref #acct [ at the start')
    frame = Frame(
        token=header["token"],
        seq=int(header["seq"]),
        account=header["account"] or "",
        prefix=header["prefix"] or "",
        receiver=header["receiver"] or "",
        raw_crc=raw_crc,
    )
    rest = text[header.end() :]
    if not header["encrypted"]:
        return with_content(frame, rest)
    # Some senders close the brackets behind the ciphertext, where the standard has none.
    cipher = rest.removesuffix("]")
    if _HEX.fullmatch(cipher) is None:
        return Refusal(FrameFault.FIELDS, "encrypted data is no hexadecimal in blocks of 16 bytes")
    return replace(frame, data=cipher, encrypted=True)


def with_content(frame: Frame, text: str) -> Frame | Refusal:
    """The frame with what stands behind the first opening bracket."""
    content = _CONTENT.fullmatch(text)
    if content is None:
        return Refusal(FrameFault.FIELDS, "brackets that don't pair, or something behind them")
    extended = tuple(content["extended"][1:-1].split("][")) if content["extended"] else ()
    read = replace(frame, data=content["data"], extended=extended, time_s=None, encrypted=False)
    if content["time"] is None:
        return read
    time_s = parse_time(content["time"])
    if time_s is None:
        return Refusal(FrameFault.TIME, "the timestamp is not HH:MM:SS,MM-DD-YYYY", read)
    return replace(read, time_s=time_s)


def format_frame(frame: Frame) -> bytes:
    """The frame as bytes, LF and CR included. Raises ValueError when it doesn't fit."""
    receiver = f"R{frame.receiver}" if frame.receiver else ""
    prefix = f"L{frame.prefix}" if frame.prefix else ""
    account = f"#{frame.account}" if frame.account else "A0"
    star, content = ("*", frame.data) if frame.encrypted else ("", format_content(frame))
    head = f'"{star}{frame.token}"{frame.seq:04d}{receiver}{prefix}{account}['
    body = (head + content).encode("latin-1")
    if len(body) > MAX_BODY:
        raise ValueError(f"{len(body)} characters are more than the {MAX_BODY} of a frame")
    crc = crc16(body).to_bytes(2, "big") if frame.raw_crc else b"%04X" % crc16(body)
    return b"\n%b0%03X%b\r" % (crc, len(body), body)


def format_content(frame: Frame) -> str:
    """What stands behind the first opening bracket, in the clear."""
    extended = "".join(f"[{field}]" for field in frame.extended)
    stamp = "" if frame.time_s is None else f"_{format_time(frame.time_s)}"
    return f"{frame.data}]{extended}{stamp}"


def crc16(body: bytes) -> int:
    """CRC-16/ARC: polynomial 0x8005 reflected, starting at zero (annex A of DC-07)."""
    crc = 0
    for byte in body:
        crc = (crc >> 8) ^ _CRC_OF_BYTE[(crc ^ byte) & 0xFF]
    return crc


def _crc_of_byte(byte: int) -> int:
    for _ in range(8):
        byte = (byte >> 1) ^ 0xA001 if byte & 1 else byte >> 1
    return byte


_CRC_OF_BYTE: Final = tuple(_crc_of_byte(byte) for byte in range(256))


def parse_time(text: str) -> int | None:
    """Seconds since 1970 of ``HH:MM:SS,MM-DD-YYYY`` GMT; None when it is no such time."""
    match = _TIME.fullmatch(text)
    if match is None:
        return None
    hour, minute, second, month, day, year = (int(part) for part in match.groups())
    try:
        at = datetime(year, month, day, hour, minute, second, tzinfo=UTC)
    except ValueError:
        return None
    return timegm(at.timetuple())


def format_time(time_s: int) -> str:
    return utc(time_s * 1000).strftime("%H:%M:%S,%m-%d-%Y")


def in_window(time_s: int, now_s: float) -> bool:
    """Whether a receiver whose clock says ``now_s`` may accept this timestamp."""
    return EARLIEST_S <= time_s - now_s <= LATEST_S
