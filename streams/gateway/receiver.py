"""The DC-09 receiver over TCP and UDP: an ACK says that Kafka, or the journal, has it.

Who it is, is told by the account's key, or by a registered address for plaintext and UDP. A wrong
CRC and a stranger get no answer; a timestamp out of the window gets a NAK with our time, a frame that
we can do nothing with a DUH. A frame of a known account that was meant as an alarm and can't be read
is raised as unidentified.
"""

import asyncio
import re
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Final, cast

import structlog

from schemas.events import EVENT
from schemas.ids import uuid7
from streams.dc09 import (
    Frame,
    Refusal,
    Refused,
    ack,
    decrypt,
    duh,
    in_window,
    nak,
    parse,
    take_frame,
)
from streams.gateway.accounts import Account, Accounts, only_at
from streams.gateway.door import Door
from streams.gateway.events import ComeAgain, Events
from streams.gateway.findings import Findings
from streams.gateway.keys import Device
from streams.gateway.limit import Limit, Recent
from streams.gateway.metrics import Metrics
from streams.gateway.panics import Panics, wall_ms
from streams.gateway.read import Record, record_of, unread
from streams.gateway.room import MOST, Guest, Room, Rules
from streams.gateway.signals import Meaning, read_signal
from streams.gateway.watched import Watched

log = structlog.get_logger(__name__)

FIRST_FRAME_S: Final = 10.0
"""A connection on which no valid frame has come by then is closed."""
MISSED: Final = 3
"""And one on which none came for so many of its account's periods."""
READ_BYTES: Final = 4096
MAX_DATAGRAM_BYTES: Final = 8192
MAX_AT_ONCE: Final = 2_000
MAX_OF_ADDRESS: Final = 200
"""Datagrams that are being answered, in all and of one address: one that floods takes nobody's place."""
SAME_FRAME_MS: Final = 60_000
REMEMBERED: Final = 20_000

# In the clear and unreadable: a Contact ID or SIA code of a press somewhere in it.
_ALARM_IN_BYTES = re.compile(rb"\|1?12[012]|(?<![A-Z])(?:PA|HA)(?![A-Z])")


@dataclass(frozen=True, slots=True)
class From:
    address: str
    udp: bool


class Receiver:
    """Frames in, answers out, whatever carried them."""

    def __init__(
        self,
        accounts: Watched[Accounts],
        panics: Panics,
        events: Events,
        findings: Findings,
        metrics: Metrics,
        now_ms: Callable[[], int] = wall_ms,
    ) -> None:
        self._accounts = accounts
        self._panics = panics
        self._events = events
        self._findings = findings
        self._metrics = metrics
        self._now_ms = now_ms
        self._records: dict[tuple[object, ...], tuple[int, Record]] = {}
        self._naked = Recent(REMEMBERED)
        # Whoever sends junk must not fill our disk with lines about it.
        self._lines = Limit(0.2, 20)

    async def answer(self, raw: bytes, source: From) -> bytes:
        """What to send back; nothing for a wrong CRC and for strangers."""
        said = await self._answer(raw, source)
        name = re.search(rb'"\*?([A-Z]+)"', said)
        self._metrics.dc09_frames.labels(answer=name[1].decode() if name else "none").inc()
        return said

    def account(self, raw: bytes) -> Account | None:
        """Whose frame this says that it is."""
        frame = parse(raw)
        return self._accounts.now.get(frame.account) if isinstance(frame, Frame) else None

    async def _answer(self, raw: bytes, source: From) -> bytes:
        frame = parse(raw)
        accounts = self._accounts.now
        if isinstance(frame, Refusal):
            await self._refused(raw, frame, accounts, source)
            return b""
        account = accounts.get(frame.account)
        if account is None:
            self._findings.found(f"unknown DC-09 account {frame.account}", source.address, None)
            return b""
        if (source.udp or not frame.encrypted) and not account.at(source.address):
            carried = "UDP" if source.udp else "plaintext"
            self._findings.found(
                f"DC-09 by {carried} from an address that is not registered",
                source.address,
                account.sender,
            )
            return b""
        key = account.aes_key if frame.encrypted else None
        if frame.encrypted:
            opened = _opened(frame, key)
            if isinstance(opened, Refusal):
                self._findings.found("wrong DC-09 key", source.address, account.sender)
                return b""
            frame = opened
        now_ms = self._now_ms()
        if frame.time_s is not None and not in_window(frame.time_s, now_ms / 1000):
            return await self._out_of_window(frame, account, now_ms)
        return await self._said(frame, account, raw, key, now_ms)

    async def _said(
        self, frame: Frame, account: Account, raw: bytes, key: bytes | None, now_ms: int
    ) -> bytes:
        signal = read_signal(frame, account, now_ms)
        if signal.meaning is Meaning.UNSUPPORTED:
            return duh(frame)
        if signal.meaning is Meaning.UNREADABLE:
            record = unread(account.sender, _plain(frame, raw), uuid7(now_ms))
        elif signal.event is None:
            return ack(frame, now_ms / 1000, key)
        else:
            record = record_of(signal.event, EVENT.dump_json(signal.event))
        if await self._taken(account.sender, self._first(frame, account, record, now_ms)):
            return ack(frame, now_ms / 1000, key)
        return b""  # it comes again

    async def _taken(self, sender: Device, record: Record) -> bool:
        if record.is_press:
            return (await self._panics.take(record)).safe
        try:
            self._events.admit(sender, 1)
            await self._events.take([record])
        except ComeAgain:
            return False
        return True

    def _first(self, frame: Frame, account: Account, record: Record, now_ms: int) -> Record:
        """The record of this frame's first arrival: who got no answer sends the frame again, some with
        a new timestamp."""
        what = (account.sender, frame.token, frame.seq, frame.data)
        while self._records and (
            len(self._records) >= REMEMBERED
            or now_ms - next(iter(self._records.values()))[0] > SAME_FRAME_MS
        ):
            del self._records[next(iter(self._records))]
        # A link test has no sequence.
        if frame.token == "NULL":  # noqa: S105
            return record
        return self._records.setdefault(what, (now_ms, record))[1]

    async def _out_of_window(self, frame: Frame, account: Account, now_ms: int) -> bytes:
        """A NAK tells a panel our time, and it sends anew. One that does not learn from it presses
        again and again with a wrong clock: from the second time on it is raised, as of its own time,
        so that a human decides when that is long ago."""
        what = (account.sender, frame.token, frame.seq, frame.data)
        if what in self._naked:
            signal = read_signal(frame, account, now_ms)
            if signal.event is not None and signal.event.type == "panic.pressed":
                await self._panics.take(record_of(signal.event, EVENT.dump_json(signal.event)))
        self._naked.add(what)
        return nak(now_ms / 1000)

    async def _refused(
        self, raw: bytes, refusal: Refusal, accounts: Accounts, source: From
    ) -> None:
        account = only_at(accounts, source.address)
        if not self._lines.wait_s("refused", 1, self._now_ms() / 1000):
            log.info("frame refused", reason=str(refusal.reason), address=source.address)
        if account is None:
            if refusal.reason is not Refused.CRC:
                self._findings.found("no DC-09 frame", source.address, None)
        elif _ALARM_IN_BYTES.search(raw):
            await self._panics.take(unread(account.sender, raw, uuid7(self._now_ms())))


def _opened(frame: Frame, key: bytes | None) -> Frame | Refusal:
    if key is None:
        return Refusal(Refused.KEY, "the account has no key")
    return decrypt(frame, key)


def _plain(frame: Frame, raw: bytes) -> bytes:
    """What was said, in the clear: nobody but the gateway has the key."""
    return frame.data.encode("latin-1") if frame.data else raw


class OverTcp:
    """Each connection is served in order, until no valid frame has come on it for long."""

    def __init__(
        self,
        receiver: Receiver,
        room: Room | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._receiver = receiver
        self._room = Room(Rules(MOST, MOST)) if room is None else room
        self._clock = clock
        self._open: set[asyncio.Task[None]] = set()
        self.door = Door("dc09", self._room, self._protocol)

    async def start(self, host: str, port: int) -> None:
        await self.door.open(host, port)

    async def stop(self) -> None:
        self.door.close()
        await self.door.wait_closed()
        for task in self._open:
            task.cancel()
        await asyncio.gather(*self._open, return_exceptions=True)

    def _protocol(self, guest: Guest) -> asyncio.Protocol:
        reader = asyncio.StreamReader(limit=READ_BYTES * 4)
        return asyncio.StreamReaderProtocol(reader, partial(self._serve, guest))

    async def _serve(
        self, guest: Guest, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        task = cast("asyncio.Task[None]", asyncio.current_task())
        self._open.add(task)
        source = From(writer.get_extra_info("peername")[0], udp=False)
        buffer = bytearray()
        try:
            while chunk := await reader.read(READ_BYTES):
                buffer += chunk
                while (raw := take_frame(buffer)) is not None:
                    await self._said(guest, raw, source, writer)
                    await asyncio.sleep(0)  # others have their turn between two frames
        except (OSError, asyncio.CancelledError):
            pass
        finally:
            self._open.discard(task)
            self._room.leave(guest)
            writer.close()

    async def _said(
        self, guest: Guest, raw: bytes, source: From, writer: asyncio.StreamWriter
    ) -> None:
        said = await self._receiver.answer(raw, source)
        if not said:
            return
        account = self._receiver.account(raw)
        if account is not None:
            self._room.know(guest, account.sender, self._clock())
            self._room.rest(guest, self._clock(), MISSED * account.period_s)
        writer.write(said)
        await writer.drain()


class OverUdp(asyncio.DatagramProtocol):
    """A datagram is a frame."""

    def __init__(self, receiver: Receiver) -> None:
        self._receiver = receiver
        self._open: set[asyncio.Task[None]] = set()
        self._of: Counter[str] = Counter()
        self._transport: asyncio.DatagramTransport | None = None

    async def start(self, host: str, port: int) -> None:
        loop = asyncio.get_running_loop()
        await loop.create_datagram_endpoint(lambda: self, local_addr=(host, port))

    async def stop(self) -> None:
        if self._transport is not None:
            self._transport.close()
        await asyncio.gather(*self._open, return_exceptions=True)

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.DatagramTransport, transport)

    def datagram_received(self, data: bytes, addr: tuple[str, int]) -> None:
        # What is too much comes again: it gets no ACK.
        if len(data) > MAX_DATAGRAM_BYTES or len(self._open) >= MAX_AT_ONCE:
            return
        if self._of[addr[0]] >= MAX_OF_ADDRESS:
            return
        self._of[addr[0]] += 1
        task = asyncio.create_task(self._serve(data, addr))
        self._open.add(task)
        task.add_done_callback(lambda task: self._served(task, addr[0]))

    def _served(self, task: "asyncio.Task[None]", address: str) -> None:
        self._open.discard(task)
        self._of[address] -= 1
        if not self._of[address]:
            del self._of[address]

    async def _serve(self, data: bytes, addr: tuple[str, int]) -> None:
        said = await self._receiver.answer(data, From(addr[0], udp=True))
        if said and self._transport is not None:
            self._transport.sendto(said, addr)
