"""A body as its device sent it, and the JSON text in it. Pure.

What only carries the text is taken off it: Content-Encoding (RFC 9110, 8.4), also where the header is
missing or a proxy forgot to remove it; byte order marks and wide encodings, which RFC 8259 (8.1) forbids
to write and allows to read; what lies behind the zero that ends a text in C.
"""

import zlib
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from email.message import Message
from typing import Any, Final
from urllib.parse import parse_qsl, unquote

import cramjam

from streams.panic.salvage import Salvaged, Twice, both, decoded, said_by, said_in, wide

JSON: Final = "application/json"
CLOUD_EVENT: Final = "application/cloudevents+json"
CLOUD_EVENTS: Final = "application/cloudevents-batch+json"
MEDIA_TYPES: Final = (JSON, CLOUD_EVENT, CLOUD_EVENTS)
CODINGS: Final = ("gzip", "x-gzip", "deflate", "br", "zstd", "identity")
MAX_TEXT_BYTES: Final = 1024 * 1024
_STEP_BYTES: Final = 256
_CE: Final = "ce-"


@dataclass(frozen=True, slots=True)
class Body:
    """``raw`` as it came; ``text`` is UTF-8 if anything tells how to read it, and no longer than
    MAX_TEXT_BYTES (``whole``: that is all). ``cloud``: the attributes of a CloudEvent in the headers.
    ``unknown``: a coding that nobody here can undo.
    """

    raw: bytes
    text: bytes
    media_type: str = JSON
    charset: str = ""
    cloud: Mapping[str, str] = field(default_factory=dict)
    query: str = ""
    unknown: str = ""
    whole: bool = True

    def said(self) -> Salvaged:
        """What it says when it can't be read as an event."""
        beside = [*self.cloud.items(), *parse_qsl(self.query, errors="replace")]
        text = said_by(self.text, self.charset)
        return both(text, said_in(Twice(beside))) if beside else text


def body_of(raw: bytes, headers: Mapping[str, str], query: str = "") -> Body:
    """``headers`` by their names in lower case."""
    media_type, charset = _content_type(headers.get("content-type", ""))
    flat, unknown, whole = _inflated(raw, headers.get("content-encoding", ""))
    cloud = {
        name.removeprefix(_CE): unquote(value)
        for name, value in headers.items()
        if name.startswith(_CE)
    }
    return Body(raw, _text(flat, charset), media_type, charset, cloud, query, unknown, whole)


def binary_mode(body: Body) -> bool:
    """Whether this is a CloudEvent whose attributes are in the headers (HTTP binding 1.0.2, 3.1)."""
    return "specversion" in body.cloud and not body.media_type.startswith("application/cloudevents")


def _content_type(said: str) -> tuple[str, str]:
    message = Message()
    message["content-type"] = said.replace("\r", "").replace("\n", "") or JSON
    charset = message.get_param("charset", "")
    media_type = said.partition(";")[0].strip().lower() or JSON
    return media_type, charset if isinstance(charset, str) else ""


def _text(flat: bytes, charset: str) -> bytes:
    """Its text in UTF-8, as far as anything tells how to read it."""
    if encoding := wide(flat):
        flat = flat.decode(encoding, "replace").encode(errors="replace")
    flat = flat.removeprefix(b"\xef\xbb\xbf")
    # In UTF-8 as it is, whatever the charset says: RFC 8259 defines none.
    if not _is_utf8(flat) and charset:
        flat = decoded(flat, charset).encode(errors="replace")
    return flat


def _is_json_like(data: bytes | bytearray) -> bool:
    return data.lstrip()[:1] in (b"{", b"[", b'"')


def _is_utf8(data: bytes) -> bool:
    try:
        data.decode()
    except UnicodeDecodeError:
        return False
    return True


def _inflated(raw: bytes, codings: str) -> tuple[bytes, str, bool]:
    """What the codings hide, a coding that is unknown, and whether all of it is there."""
    data, whole = raw, True
    for coding in reversed([one.strip().lower() for one in codings.split(",") if one.strip()]):
        if coding not in CODINGS:
            return data, coding, True
        data, whole = _without(coding, data)
    if data[:3] == b"\x1f\x8b\x08":  # no text begins so
        data, whole = _without("gzip", data)
    return data, "", whole


def _without(coding: str, data: bytes) -> tuple[bytes, bool]:
    """As far as it can be undone, and whether it is longer than that; the same when it was not done."""
    if coding == "identity" or (_is_json_like(data) and _is_utf8(data)):
        return data, True
    if coding in ("br", "zstd"):
        return _without_br_or_zstd(coding, data)
    # deflate is zlib's format, and what some call so is the bare stream in it (RFC 9110, 8.4.1.2).
    wrapped, bare = zlib.MAX_WBITS | 32, -zlib.MAX_WBITS
    for window in (wrapped, bare) if coding == "deflate" else (wrapped,):
        text = bytearray()
        stream = zlib.decompressobj(window)
        with suppress(zlib.error):
            # By small steps, so that what stands before an error is there.
            for at in range(0, len(data), _STEP_BYTES):
                step = stream.unconsumed_tail + data[at : at + _STEP_BYTES]
                text += stream.decompress(step, MAX_TEXT_BYTES - len(text) + 1)
                if len(text) > MAX_TEXT_BYTES:
                    return bytes(text[:MAX_TEXT_BYTES]), False
        # By chance text is a bare stream of something else.
        if text and (window > 0 or stream.eof or not _is_json_like(data)):
            return bytes(text), True
    return data, True


def _without_br_or_zstd(coding: str, data: bytes) -> tuple[bytes, bool]:
    undo: Any = cramjam.brotli if coding == "br" else cramjam.zstd
    room = bytearray(MAX_TEXT_BYTES)
    try:
        return bytes(room[: undo.decompress_into(data, room)]), True
    except cramjam.DecompressionError:
        begun = bytes(room).rstrip(b"\0")
        return (begun or data), len(begun) < MAX_TEXT_BYTES
