"""One change of one field, byte, encoding or clock of a DC-09 frame, and what the receiver then owes."""

import random
import re
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

from tests.streams.gateway.mutations.dc09_frames import Made
from tests.streams.gateway.mutations.dc09_oracle import Expected, Owed, of_ciphertext, of_data

NOISE = b"\0\x01\n\r\x1b !\"#'*/09:;?@AHNOPRZ[\\]^_`ahnprz|~\x7f\x80\xa0\xc0\xdf\xff"
STAMPS = (
    *(
        "_14:13:20,00-21-2026",
        "_14:13:20,13-01-2026",
        "_24:00:00,09-21-2026",
        "_14:13:20,02-30-2026",
    ),
    *("_", "_14:13:20", "_9-21-2026", "_14:13:20,9-21-2026", "_99:99:99,99-99-9999", ""),
    *("_00:00:00,00-00-0000", "_14:13:20,09-21-26", "_2026-09-21T14:13:20Z", "_1790000000"),
    *("_14.13.20,09.21.2026", "_14:13:20,09-21-2026 ", " _14:13:20,09-21-2026"),
)


@dataclass(frozen=True)
class Mutation:
    """``what`` was changed, the bytes that came of it, and what they still say."""

    what: str
    made: Made
    bytes: bytes
    expected: Expected


Change = Callable[[Made, float, random.Random], Mutation]


def said(made: Made) -> Expected:
    """What the frame says untouched. A link test has no data."""
    return Expected(Owed.SILENT) if made.token == "NULL" and not made.data else of_data(made.data)


def clock(made: Made, now_s: float, rng: random.Random) -> Mutation:
    off_s = rng.choice([-3600 * 24 * 9000, -(10**7), -3601, -41, 0, 15, 21, 61, 299, 10**6, 10**9])
    other = replace(made, ahead_s=float(off_s), stamped=True)
    return Mutation(f"clock {off_s}", made, other.raw(now_s), said(made))


def stamp(made: Made, now_s: float, rng: random.Random) -> Mutation:
    one = rng.choice(STAMPS)
    return Mutation(f"stamp {one!r}", made, replace(made, stamp=one).raw(now_s), said(made))


def header(made: Made, now_s: float, rng: random.Random) -> Mutation:
    """A field of the header in another form, with a right CRC."""
    other = rng.choice(
        [
            {"seq": rng.choice(["", "1", "001", "00001", "000001", "ABCD", " 0001", "9999", "0000"])},
            {"prefix": rng.choice(["", "L", "L0000000", "LFFFFFF", "l0", "L-1", "L 0", "LX"])},
            {"receiver": rng.choice(["R", "R0", "RFFFFFF", "R1234567", "r1", "RX", "R 1"])},
            {"token": rng.choice([made.token.lower(), made.token + " ", made.token.replace("-", "_")])},
            {"token": rng.choice(["NULL", "SIA-DC4", "SIADCS", "ADM-CIX", "X" * 17, ""])},
            {"star": rng.choice(["", "**", "+"])},
            {"account": rng.choice([f"00{made.account}", made.account.lower(), f"{made.account[:-1]}9"])},
            {"hash": rng.choice(["", "##", "# ", "*"])},
            {"opening": rng.choice(["", "[[", "{", " ["])},
        ]
    )  # fmt: skip
    changed = replace(made, **other)  # type: ignore[arg-type]
    expected = said(made)
    strange = not changed.account.upper().endswith(made.account)
    if strange and made.key is None and f"#{made.account}|" not in made.data:
        # It names a stranger, and the data name nobody beside it.
        expected = replace(expected, owed=Owed.EITHER)
    if expected.owed is Owed.SILENT and "opening" in other:
        expected = Expected(Owed.EITHER)
    if changed.opening == "[[":
        expected = replace(expected, place=None)
    return Mutation(f"header {other}", made, changed.raw(now_s), expected)


def envelope(made: Made, now_s: float, rng: random.Random) -> Mutation:
    """What is around the body: CRC, length, LF, CR, and what a datagram is filled up with."""
    other: dict[str, Any] = rng.choice(
        [
            {"crc": rng.choice(["hex", "lower", "raw", "wrong", "none"])},
            {"length": rng.choice(["0000", "0001", "0FFF", "00FF", "29", "0x29", "0", "000000", "1029"])},
            {"before": rng.choice([b"", b"\n\n", b"\r\n", b"\0", b"\n\r", b"xx", b"\r", b" \n"])},
            {"behind": rng.choice([b"", b"\n", b"\r\n", b"\0", b"\r\0", b"\r\r", b"\r\0\0\0\n", b" "])},
        ]
    )  # fmt: skip
    changed = replace(made, **other)
    return Mutation(f"envelope {other}", made, changed.raw(now_s), said(made))


def data(made: Made, now_s: float, rng: random.Random) -> Mutation:
    """The data as one byte's change leaves them, made whole with a right CRC; encrypted, if it was."""
    if not made.data:
        return clock(made, now_s, rng)
    changed = replace(made, data=_byte(made.data.encode("latin-1"), rng).decode("latin-1"))
    return Mutation(f"data {changed.data!r}", made, changed.raw(now_s), _owed(made, changed.data))


def form(made: Made, now_s: float, rng: random.Random) -> Mutation:
    """The same event in the forms of the field."""
    number, bar, event = made.data.partition("|")
    forms = [
        f"{number}||{event}",
        f"{number}|0|{event}",
        f"{number}|{event} ",
        f"{number}| {event}",
        f"{number}|{event}|",
        f"{number}|{event}\0",
        f"{number}|{event}|{event}",
        f"|{event}",
        made.data.replace(" ", "  "),
        made.data.replace(" 0", " 00"),
    ]
    changed = replace(made, data=rng.choice(forms) if bar else made.data)
    expected = said(made)
    if " 00" in changed.data or "\0" in changed.data:
        expected = replace(expected, place=None)
    return Mutation(f"form {changed.data!r}", made, changed.raw(now_s), expected)


def byte(made: Made, now_s: float, rng: random.Random) -> Mutation:
    """One byte of the frame changed on its way, lost or added: its CRC is wrong then."""
    raw, body = made.raw(now_s), made.body(now_s)
    at = rng.randrange(len(raw))
    changed = _byte_at(raw, at, rng)
    start = len(raw) - len(made.behind) - len(body) + body.index(b"[") + 1
    return Mutation(
        f"byte {at} of {raw!r}", made, changed, _after(made, raw, changed, at, start, now_s)
    )


def whole_byte(made: Made, now_s: float, rng: random.Random) -> Mutation:
    """The same, and with a right CRC and length: so did its sender make it."""
    body = made.body(now_s)
    at = rng.randrange(len(body))
    changed = _byte_at(body, at, rng)
    expected = _after(made, body, changed, at, body.index(b"[") + 1, now_s)
    touched = at <= body.index(b"[")
    beside = f"#{made.account}|" in made.data and b"#7001[" not in changed
    # It names a stranger, or another account at this address.
    if touched and made.key is None and not beside:
        expected = replace(expected, owed=Owed.EITHER)
    return Mutation(f"whole byte {at} of {body!r}", made, made.around(changed), expected)


CHANGES: tuple[Change, ...] = (clock, stamp, header, envelope, data, form, byte, byte, whole_byte)


def _owed(made: Made, changed: str) -> Expected:
    """Of data that one change made of a frame's: a place that lost its end is anybody's guess."""
    expected, before = of_data(changed), of_data(made.data)
    if before.owed is Owed.SILENT and expected.owed is not Owed.SILENT:
        return Expected(Owed.EITHER)
    return expected


def _after(
    made: Made, before: bytes, changed: bytes, at: int, start: int, now_s: float
) -> Expected:
    """``start``: where the data, or the ciphertext, begin."""
    expected = said(made)
    if made.key is not None:
        if at < start:
            # A changed account is still near; a bracket changed may shift the blocks.
            return expected if at < start - 1 else replace(expected, owed=Owed.EITHER)
        digits = re.sub(r"[^0-9A-Fa-f]", "0", _from(changed, start).decode("latin-1"))
        data = of_ciphertext(digits, made.key, made.account)
        if data is None or len(changed) != len(before):
            return Expected(Owed.EITHER)
        if data == made.data:
            return expected
        left = _owed(made, data)
        return Expected(Owed.EITHER if left.owed is Owed.SILENT else left.owed)
    end = start + len(made.data)
    if at < start - 1 or at > end:
        return expected
    if not start <= at < end or len(made.data) == 0:
        # The bracket before or behind: the zone may run on, or a test's data be no data any more.
        return (
            replace(expected, place=None) if expected.owed is Owed.RAISED else Expected(Owed.EITHER)
        )
    return _owed(made, changed[start : end + len(changed) - len(before)].decode("latin-1"))


def _from(raw: bytes, start: int) -> bytes:
    return raw[start:].rstrip(b"\r\n]")


def _byte(text: bytes, rng: random.Random) -> bytes:
    return _byte_at(text, rng.randrange(len(text)), rng)


def _byte_at(text: bytes, at: int, rng: random.Random) -> bytes:
    match rng.randrange(6):
        case 0:
            return text[:at] + text[at + 1 :]
        case 1:
            return text[: at + 1] + text[at:]
        case 2:
            return text[:at] + bytes([text[at] ^ 1 << rng.randrange(8)]) + text[at + 1 :]
        case 3:
            return text[:at] + bytes([rng.choice(NOISE)]) + text[at:]
        case 4:
            return text[:at] + bytes([rng.randrange(256)]) + text[at + 1 :]
    return text[:at] + bytes([rng.choice(NOISE)]) + text[at + 1 :]
