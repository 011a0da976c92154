"""A center that speaks SIA DC-09 over TCP: Contact ID, a frame per alarm, one at a time per connection.

An alarm's account is its school's number, so that a center knows the place; sequence numbers are
the journal's, and a repeated frame has the number of the first, by which a receiver knows it.
"""

import asyncio
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Final

from anyascii import anyascii

from streams.dc09 import (
    RECEIVER_TOKENS,
    ContactId,
    Frame,
    Refusal,
    decrypt,
    encrypt,
    format_contact_id,
    format_frame,
    format_time,
    glean,
    parse,
    parse_time,
    read_key,
    take_frame,
)
from streams.dc09.contact_id import DURESS, NEW, PANIC, STATUS
from streams.dispatch.alarm import Alarm, Receipt
from streams.dispatch.centers import Center
from streams.dispatch.decide import Kind

CANCEL: Final = "406"
"""Contact ID: an alarm called off by a person."""
LONGEST_TEXT: Final = 120


class Dc09:
    kind: Final = "dc09"

    def __init__(self, center: Center, wall_s: Callable[[], float] = time.time) -> None:
        self._center = center
        self._wall_s = wall_s
        self._lines = [_Line(address, center.connections) for address in center.addresses]

    async def send(self, alarm: Alarm, receiver: int) -> Receipt:
        return await self._tell(frame_of(alarm, self._center), receiver)

    async def check(self, receiver: int) -> Receipt:
        """A NULL message, the standard's link test (5.5.2)."""
        account, prefix = self._center.account, self._center.prefix
        return await self._tell(Frame("NULL", 0, account, prefix=prefix), receiver)

    async def close(self) -> None:
        for line in self._lines:
            line.close()

    async def _tell(self, frame: Frame, receiver: int) -> Receipt:
        line = self._lines[receiver % len(self._lines)]
        try:
            async with asyncio.timeout(self._center.ack_timeout_s):
                async with line.free:
                    return await self._exchange(frame, line)
        except TimeoutError:
            return Receipt(taken=False, note=f"{line.address}: no answer in time")
        except (OSError, EOFError, ValueError) as error:
            return Receipt(taken=False, note=f"{line.address}: {error or type(error).__name__}")

    async def _exchange(self, frame: Frame, line: "_Line") -> Receipt:
        key = _key(self._center.key_file)
        answer = await line.ask(self._stamped(frame, line, key), frame, key)
        if answer.token == "NAK" and answer.time_s is not None:  # noqa: S105
            # Its clock and ours are apart: say it again by its clock (5.5.3.2).
            line.ahead_s = answer.time_s - self._wall_s()
            answer = await line.ask(self._stamped(frame, line, key), frame, key)
        if answer.token == "ACK":  # noqa: S105
            return Receipt(taken=True, note=f"{line.address}: ACK {frame.seq:04d}")
        return Receipt(taken=False, note=f"{line.address}: {answer.token} {frame.seq:04d}")

    def _stamped(self, frame: Frame, line: "_Line", key: bytes | None) -> bytes:
        now_s = round(self._wall_s() + line.ahead_s)
        stamped = Frame(
            frame.token, frame.seq, frame.account, frame.data, frame.prefix,
            extended=frame.extended, time_s=now_s,
        )  # fmt: skip
        return format_frame(encrypt(stamped, key) if key else stamped)


class _Line:
    """Connections to one receiver. An answer belongs to the frame that is out on its connection."""

    def __init__(self, address: str, connections: int) -> None:
        self.address = address
        self.free = asyncio.Semaphore(connections)
        self.ahead_s = 0.0
        self._idle: list[tuple[asyncio.StreamReader, asyncio.StreamWriter]] = []

    async def ask(self, raw: bytes, frame: Frame, key: bytes | None) -> Frame:
        """Raises OSError, EOFError when the other side hangs up, ValueError for garbage."""
        while self._idle:
            reader, writer = self._idle.pop()
            # It may have been closed since; only a new connection's end is an answer.
            with suppress(EOFError, OSError):
                return await self._on(reader, writer, raw, frame, key)
        host, _, port = self.address.rpartition(":")
        reader, writer = await asyncio.open_connection(host.strip("[]"), int(port))
        return await self._on(reader, writer, raw, frame, key)

    async def _on(
        self,
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
        raw: bytes,
        frame: Frame,
        key: bytes | None,
    ) -> Frame:
        try:
            writer.write(raw)
            answer = await _answer(reader, frame, key)
        except BaseException:
            writer.close()
            raise
        self._idle.append((reader, writer))
        return answer

    def close(self) -> None:
        for _, writer in self._idle:
            writer.close()
        self._idle.clear()


async def _answer(reader: asyncio.StreamReader, asked: Frame, key: bytes | None) -> Frame:
    buffer = bytearray()
    while True:
        raw = take_frame(buffer)
        if raw is None:
            more = await reader.read(4096)
            if not more:
                raise EOFError("it hung up without an answer")
            buffer += more
            continue
        answer = _read_answer(raw, key)
        if isinstance(answer, Refusal):
            raise ValueError(f"an answer that is no frame: {answer.detail}")
        if answer.token == "NAK" or _is_to(asked, answer):  # noqa: S105
            return answer
        # A late answer to an earlier frame is none to this one.


def _read_answer(raw: bytes, key: bytes | None) -> Frame | Refusal:
    answer = parse(raw)
    if isinstance(answer, Frame) and answer.encrypted and key is not None:
        answer = decrypt(answer, key)
    if isinstance(answer, Frame):
        return answer
    if answer.frame is not None:
        return answer.frame  # an ACK without a timestamp inside is one
    # Small letters, fields in another order, a wrong length: its CRC says that it is meant so.
    seen = glean(raw)
    if not seen.intact or seen.token not in RECEIVER_TOKENS or seen.sealed:
        return answer
    time_s = None if seen.stamp is None else parse_time(seen.stamp)
    return Frame(seen.token, seen.seq or 0, next(iter(seen.accounts), ""), time_s=time_s)


def _is_to(asked: Frame, answer: Frame) -> bool:
    """Receivers write our account in capitals, with zeros before it, or as none at all."""
    said, ours = (frame.account.upper().lstrip("0") for frame in (answer, asked))
    return answer.seq == asked.seq and said in ("", ours)


def frame_of(alarm: Alarm, center: Center) -> Frame:
    """The frame without its timestamp, which is the moment of sending."""
    account = account_of(alarm.school)
    code = DURESS if alarm.duress else PANIC
    event = {
        Kind.ALERT: ContactId(code, NEW, zone=zone_of(alarm.device)),
        Kind.UPDATE: ContactId(code, STATUS, zone=zone_of(alarm.device)),
        Kind.CANCEL: ContactId(CANCEL, NEW, zone=zone_of(alarm.device)),
    }[alarm.kind]
    at = "" if alarm.latitude is None else f"{alarm.latitude:.5f},{alarm.longitude:.5f}"
    fields = {
        "H": format_time(alarm.pressed_ms // 1000),
        "I": f"{alarm.alert} score {alarm.score}: {'; '.join(alarm.why)}",
        "L": "; ".join(part for part in (*alarm.places, at, alarm.district) if part),
        "S": alarm.school_name,
    }
    extended = tuple(
        name + _plain(text)
        for name, text in fields.items()
        if name in center.fields and text.strip()
    )
    data = format_contact_id(account, event)
    return Frame("ADM-CID", alarm.seq, account, data, center.prefix, extended=extended)


def account_of(school: str) -> str:
    """``KZ-75-00042`` has the account 7500042."""
    return "".join(c for c in school if c.isdecimal())


def zone_of(device: str) -> str:
    """The button's number, ``button-3`` is zone 003; 000 when it has none."""
    number = device.rpartition("-")[2]
    return f"{int(number):03d}" if number.isdecimal() and int(number) <= 999 else "000"


def _plain(text: str) -> str:
    """What may stand in a field: printable ASCII without the frame's own brackets and bars. Receivers know
    no Cyrillic, and a place in question marks helps nobody.
    """
    return "".join(c for c in anyascii(text) if c.isprintable() and c not in "[]|")[:LONGEST_TEXT]


def _key(path: Path | None) -> bytes | None:
    """Read at each use so that it can be rotated. Raises OSError, ValueError."""
    return None if path is None else read_key(path.read_text().strip())
