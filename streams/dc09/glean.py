"""What the bytes of a frame still say that can't be read as the standard has it.

Nothing here is proof of anything: who said it is for the caller to find out.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from streams.dc09.codes import EVENT_TOKENS, RECEIVER_TOKENS, capitals
from streams.dc09.crypt import BLOCK_BYTES, is_legible, unseal
from streams.dc09.frame import crc16

NULL: Final = "NULL"
_LENGTH = re.compile(rb'0[0-9A-Fa-f]{3}"')
_SHORTEST_ACCOUNT: Final = 3
_KNOWN_TOKEN = re.compile("|".join((*EVENT_TOKENS, NULL, *RECEIVER_TOKENS)))
_ANY_TOKEN = re.compile(r'"\*?([A-Z0-9-]{1,16})"', re.ASCII)
_SEQ = re.compile(r"[^0-9A-Za-z]{0,2}([0-9]{4})", re.ASCII)
_NUMBER = re.compile(r"#([0-9A-Za-z]{1,16})", re.ASCII)
# The account, also with a byte in it that became a bracket.
_OPENING = re.compile(r"#([^\[\]|]{0,16}[\[\]][0-9A-Za-z]{1,16}|[^\[\]]{1,17})\[")
_INNER_NUMBER = re.compile(r"#([0-9A-Za-z]{1,16})(?=[|\]])", re.ASCII)
_LAST_RUN = re.compile(r"([0-9A-Za-z]+)[^0-9A-Za-z]*\Z", re.ASCII)
_END_OF_DATA = re.compile(r"\]|_[0-9]{2}:[0-9]{2}|[\r\n\0]+\Z", re.ASCII)
_PADDING = re.compile(r"\A[0-9A-Za-z_-]{0,16}\|", re.ASCII)
_NO_HEX = re.compile(r"[^0-9A-Fa-f]")
_HEX_PER_BLOCK: Final = 2 * BLOCK_BYTES
_MOSTLY: Final = 0.9


@dataclass(frozen=True, slots=True)
class Gleaned:
    """``token``: upper case, empty when illegible. ``accounts``: numbers that stand where one belongs,
    ``perhaps``: what may be left of one. ``content``: what is behind the header, ``data`` its first part
    in the clear, ``sealed``: blocks of ciphertext, in
    each way that they may be aligned. ``stamp``: what stands where a timestamp belongs, None when
    nothing does. ``intact``: the CRC is right, so it left its sender like this.
    """

    token: str
    seq: int | None
    accounts: tuple[str, ...]
    perhaps: tuple[str, ...]
    content: str
    data: str
    sealed: tuple[bytes, ...]
    stamp: str | None
    intact: bool
    raw_crc: bool


def glean(raw: bytes) -> Gleaned:
    text = raw.decode("latin-1")
    text = text[_body_at(raw) :]
    opening = _OPENING.search(text)
    at = text.find("[") if opening is None else opening.end() - 1
    lost = at < 0 or (opening is None and "]" in text[:at])
    header, content = (text.partition("|")[0], text) if lost else (text[:at], text[at + 1 :])
    # A bracket too many may be the account's or the ciphertext's.
    sealed = (content.rpartition("#")[2],) if lost else (content, text.partition("[")[2])
    token, seq = _token(header)
    hexadecimal, raw_crc = _crcs(raw)
    runs = [*_NUMBER.findall(header), *_INNER_NUMBER.findall(content)]
    if opening is not None:
        runs.insert(0, opening[1])
    return Gleaned(
        token,
        seq,
        tuple(dict.fromkeys(capitals(run) for run in runs)),
        tuple(dict.fromkeys(capitals(part) for part in _parts(header, runs))),
        content,
        data_in(content),
        tuple(dict.fromkeys(block for part in sealed for block in _blocks(part))),
        stamp_in(content),
        hexadecimal or raw_crc,
        raw_crc,
    )


def data_in(content: str) -> str:
    """What stands before the bracket that closes the data, or before the timestamp if none does."""
    return _END_OF_DATA.split(content, maxsplit=1)[0]


def stamp_in(content: str) -> str | None:
    """What stands behind the underscore of a timestamp, whether it is one or not."""
    _, underscore, stamp = content[len(data_in(content)) :].rpartition("_")
    return stamp.strip("\r\n\0 ") if underscore else None


def unsealed(sealed: tuple[bytes, ...], key: bytes, account: str) -> str | None:
    """The content in these blocks, as far as this key makes it legible."""
    texts = [text for blocks in sealed if is_legible(text := unseal(blocks, key), account)]
    return "|".join(_PADDING.sub("|", text) for text in texts) if texts else None


def _token(header: str) -> tuple[str, int | None]:
    upper = capitals(header)
    found = _KNOWN_TOKEN.search(upper)
    if found is not None:
        seq = _SEQ.match(upper, found.end())
        return found[0], int(seq[1]) if seq else None
    other = _ANY_TOKEN.search(upper)
    if other is None:
        return "", None
    seq = _SEQ.match(upper, other.end())
    return other[1], int(seq[1]) if seq else None


def _parts(header: str, runs: list[str]) -> Iterator[str]:
    """A bracket lost joins an account to what follows it, a # lost to what stands before it."""
    for run in runs:
        yield from (run[:end] for end in range(len(run) - 1, _SHORTEST_ACCOUNT - 1, -1))
    last = _LAST_RUN.search(header)
    if last is not None:
        run = last[1][-16:]
        yield from (run[start:] for start in range(len(run) - _SHORTEST_ACCOUNT + 1))


def _blocks(content: str) -> Iterator[bytes]:
    text = content.rstrip("]\r\n\0 ")
    digits = _NO_HEX.sub("0", text)
    if len(digits) < _HEX_PER_BLOCK or len(_NO_HEX.findall(text)) > len(text) * (1 - _MOSTLY):
        return
    whole = len(digits) // _HEX_PER_BLOCK * _HEX_PER_BLOCK
    yield bytes.fromhex(digits[:whole])
    if whole < len(digits):
        yield bytes.fromhex(digits[-whole:])


def _crcs(raw: bytes) -> tuple[bool, bool]:
    """Whether the CRC is right in hexadecimal, and whether in raw bytes. Length and CRC stand before the
    first quote, whatever is before them."""
    at = _body_at(raw)
    head, crc = raw[:at], crc16(raw[at:].rstrip(b"\0\r\n "))
    return head[-8:-4].upper() == b"%04X" % crc, head[-6:-4] == crc.to_bytes(2, "big")


def _body_at(raw: bytes) -> int:
    """Where the first quote is; a raw CRC may hold one as well."""
    behind_length = _LENGTH.search(raw)
    return max(raw.find(b'"'), 0) if behind_length is None else behind_length.end() - 1
