"""Where frames begin and end in a stream and in a datagram, also when a byte of theirs was lost."""

import re
from typing import Final

from streams.dc09.frame import MAX_BODY, Frame, parse

_START = re.compile(rb"\n(?:[0-9A-Fa-f]{4}|[\x00-\xff]{2})0(?P<length>[0-9A-Fa-f]{3})\"", re.DOTALL)
_MARGIN: Final = 8
"""So many characters more than were told, a frame may have got on its way."""
_HEADER_BYTES: Final = 8
"""LF, a raw CRC, the length and the first quote."""


def take_frame(buffer: bytearray) -> bytes | None:
    """Take the first whole frame off a stream's bytes, and what is before its LF; None: not yet.

    It ends where its length says when a CR stands there, else at the first CR behind its header (a CRC
    of raw bytes may hold one), else, when a CR was lost, where the length says or the next frame begins.
    A stream that sends more than a frame holds without ending one loses it.
    """
    start = _START.search(buffer)
    before = buffer.find(b"\r", 0, start.start() if start else len(buffer))
    if before >= 0:
        return None if start is None and _may_begin(buffer, before) else _cut(buffer, before + 1)
    end = None if start is None else _end(buffer, start)
    if end is not None:
        return _cut(buffer, end)
    if len(buffer) > MAX_BODY + 16:
        buffer.clear()
    return None


def _end(buffer: bytearray, start: re.Match[bytes]) -> int | None:
    body = start.end() - 1
    told = body + int(start["length"], 16)
    if buffer[told : told + 1] == b"\r":
        return told + 1
    follows = _START.search(buffer, body)
    until = len(buffer) if follows is None else follows.start()
    # A byte of the body may have become a CR.
    cr = buffer.rfind(b"\r", body, min(until, told + _MARGIN))
    cr = buffer.find(b"\r", body, until) if cr < 0 else cr
    if cr >= 0:
        return cr + 1
    if follows is not None:
        return min(told, until)
    whole = len(buffer) > told and isinstance(parse(bytes(buffer[start.start() : told])), Frame)
    return told if whole else None


def _may_begin(buffer: bytearray, cr: int) -> bool:
    """Whether this CR may be the raw CRC of a frame whose header is not there yet."""
    lf = buffer.rfind(b"\n", 0, cr)
    return lf >= 0 and cr - lf <= 2 and len(buffer) - lf < _HEADER_BYTES


def _cut(buffer: bytearray, end: int) -> bytes:
    taken = bytes(buffer[:end])
    del buffer[:end]
    start = _START.search(taken)
    return taken[start.start() :] if start else taken[max(taken.rfind(b"\n"), 0) :]


def take_frames(datagram: bytes) -> list[bytes]:
    """All frames of a datagram, which ends the last of them; what pads it is none."""
    buffer, taken = bytearray(datagram), list[bytes]()
    while (raw := take_frame(buffer)) is not None:
        taken.append(raw)
    return [raw for raw in (*taken, bytes(buffer)) if raw.strip(b"\0\r\n\t ")]
