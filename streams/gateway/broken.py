"""A request that is no HTTP, read for what its bytes still say. Pure.

Small HTTP stacks leave out Host, say a length twice or in a way of their own, write a blank before a colon.
Whoever has a valid key and means a press is heard all the same; the connection ends with the answer, so
that nothing behind it is taken for another's request (RFC 9112, 11.2).
"""

import re
from dataclasses import dataclass
from typing import Final

MAX_RAW_BYTES: Final = 64 * 1024
"""The last of a connection that are kept for this."""

_BLANK: Final = re.compile(rb"\r?\n[ \t]*\r?\n|\r\r")
_AUTHORIZATION: Final = re.compile(rb"(?:^|[\r\n])[ \t]*authorization[ \t]*[:=]", re.IGNORECASE)
_HEADER: Final = re.compile(rb"[ \t]*([A-Za-z0-9-]+)[ \t]*:(.*)", re.DOTALL)
_TARGET: Final = re.compile(rb"\S*[/\\]\S*")
_CHUNK: Final = re.compile(rb"[ \t]*([0-9A-Fa-f]{1,8})[^\r\n]*\r?\n")
_DIGITS: Final = re.compile(rb"[0-9]{1,9}")
_CONTROLS: Final = bytes(range(32)) + b"\x7f"


@dataclass(frozen=True, slots=True)
class Sent:
    """``target`` as it stands in the first line. ``whole``: as much of the body is there as it says."""

    target: bytes
    headers: list[tuple[bytes, bytes]]
    body: bytes
    whole: bool


def request_in(raw: bytes) -> Sent | None:
    """The last request in it that names a key; None without one."""
    named = list(_AUTHORIZATION.finditer(raw))
    if not named:
        return None
    found = named[-1]
    begin = max((blank.end() for blank in _BLANK.finditer(raw, 0, found.start())), default=0)
    end = _BLANK.search(raw, found.end())
    head = raw[begin : end.start() if end else len(raw)].lstrip(b"\r\n \t\0\xef\xbb\xbf")
    body = raw[end.end() :] if end else b""
    first, *lines = re.split(rb"\r?\n|\r", head)
    headers = [
        (match[1].lower(), match[2].translate(None, _CONTROLS).strip())
        for line in lines
        if (match := _HEADER.fullmatch(line))
    ]
    target = _TARGET.search(first.partition(b" ")[2])
    names = dict(headers)
    chunked = b"chunked" in names.get(b"transfer-encoding", b"").lower()
    unchunked, ended = _without_chunks(body) if chunked else (body, False)
    said = _DIGITS.search(names.get(b"content-length", b""))
    whole = end is not None and (ended or (said is not None and len(body) >= int(said[0])))
    return Sent(target[0] if target else b"/", headers, unchunked, whole)


def _without_chunks(body: bytes) -> tuple[bytes, bool]:
    """What the chunks hold (RFC 9112, 7.1), and whether the last one is there; the body as it is when it
    has none."""
    text, at = b"", 0
    while match := _CHUNK.match(body, at):
        size = int(match[1], 16)
        if size == 0:
            return text, True
        text += body[match.end() : match.end() + size]
        at = match.end() + size
        at += 2 if body[at : at + 2] == b"\r\n" else body[at : at + 1] == b"\n"
    return (text or body), False
