"""The DC-09 receiver over TCP and UDP: an ACK says that Kafka, or the journal, has it.

The sender is identified by the account's key, or by a registered address for plaintext and UDP. A frame
that does not follow the standard is read for what its bytes still say:

| of a known account | clock right, or not said | clock off | clock unusable |
|---|---|---|---|
| a press | raised; ACK | raised when it comes again, or does not; NAK | unidentified; NAK |
| unreadable | unidentified; ACK | unidentified then; NAK | unidentified; NAK |
| a test, a heartbeat | taken; ACK | NAK | NAK |
| another event of the standards | ACK | NAK | NAK |
| a token that we don't know | DUH | NAK | NAK |

Damaged on its way (no frame, wrong CRC or length) it gets no answer, and comes again: a press or an
unreadable event is raised as unidentified at once, and is the same press when it then comes whole. A
stranger gets no answer.
"""

import asyncio
import re
import time
from collections import Counter, OrderedDict
from collections.abc import Callable, Hashable
from dataclasses import dataclass, replace
from functools import partial
from typing import Final, cast

import structlog

from schemas.events import EVENT
from schemas.ids import uuid7
from streams.dc09 import Frame, ack, duh, in_window, nak, take_frame, take_frames
from streams.gateway.accounts import Account, Accounts
from streams.gateway.attempts import Attempts, Message
from streams.gateway.door import Door
from streams.gateway.events import ComeAgain, Events
from streams.gateway.findings import Findings
from streams.gateway.metrics import Metrics
from streams.gateway.panics import Panics, wall_ms
from streams.gateway.read import Record, record_of, unread
from streams.gateway.room import MOST, Guest, Room, Rules
from streams.gateway.signals import NULL, Meaning, Signal, read_damaged, read_signal
from streams.gateway.speakers import Damaged, Stranger, Whole, who_says
from streams.gateway.watched import Watched
from streams.keys import Device
from streams.panic.salvage import Salvaged

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
ALONE_S: Final = 10.0
"""A press that got a NAK and was not sent again within this time is raised as it is."""
CLOCKS_OFF: Final = 20_000


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
        alone_s: float = ALONE_S,
    ) -> None:
        self._accounts = accounts
        self._panics = panics
        self._events = events
        self._findings = findings
        self._metrics = metrics
        self._now_ms = now_ms
        self._alone_s = alone_s
        self._attempts = Attempts()
        self._clocks_off: OrderedDict[Device, None] = OrderedDict()
        self._alone: dict[int, tuple[Message, asyncio.TimerHandle]] = {}
        self._raising: set[asyncio.Task[bool]] = set()

    async def answer(self, raw: bytes, source: From) -> bytes:
        """What to send back; nothing for what is damaged and for strangers."""
        return (await self.serve(raw, source))[0]

    async def serve(self, raw: bytes, source: From) -> tuple[bytes, Account | None]:
        """The answer, and whose frame it was, if it was whole and his."""
        found = who_says(raw, await self._accounts.now(), source.address, udp=source.udp)
        said = await self._answer(found, raw, source)
        name = re.search(rb'"\*?([A-Z]+)"', said)
        self._metrics.dc09_frames.labels(answer=name[1].decode() if name else "none").inc()
        return said, found.account if isinstance(found, Whole) else None

    async def stop(self) -> None:
        """Raise what still waits for its sender to come again."""
        for message, _ in list(self._alone.values()):
            await self._take(message)
        await asyncio.gather(*self._raising, return_exceptions=True)

    async def _answer(self, found: Whole | Damaged | Stranger, raw: bytes, source: From) -> bytes:
        now_ms = self._now_ms()
        match found:
            case Whole():
                return await self._whole(found, source, now_ms)
            case Damaged():
                await self._damaged(found, raw, now_ms)
            case Stranger() if found.finding:
                self._findings.found(found.finding, source.address, found.device)
        return b""

    async def _whole(self, said: Whole, source: From, now_ms: int) -> bytes:
        frame, account = said.frame, said.account
        signal = read_signal(frame, account, now_ms, odd=said.odd)
        if said.no_time or not _is_now(frame, now_ms):
            await self._turn_away(said, signal, source, now_ms)
            return nak(now_ms / 1000, raw_crc=frame.raw_crc)
        self._clocks_off.pop(account.sender, None)
        if signal.meaning is Meaning.UNSUPPORTED:
            return duh(frame)
        if signal.meaning is Meaning.NOTHING:
            return ack(frame, now_ms / 1000, said.key)
        record = _record(signal, account, frame.data, now_ms)
        if frame.token == NULL and not signal.is_call:
            # A link test has no sequence.
            taken = await self._beat(record, account.sender)
        else:
            message = self._message(account, signal, frame.seq, record, now_ms)
            taken = await self._take(message)
            message.turned_away = not taken
        return ack(frame, now_ms / 1000, said.key) if taken else b""  # it comes again

    async def _turn_away(self, said: Whole, signal: Signal, source: From, now_ms: int) -> None:
        """A NAK tells a panel our time, and it sends anew. A press is raised all the same, as of its own
        time, so that a human decides when that is long ago: at the second attempt of a panel that does
        not learn, or when none follows; without a time of its own at once."""
        sender = said.account.sender
        if sender in self._clocks_off:
            self._findings.found("DC-09 clock out of the window", source.address, sender)
        self._clocks_off[sender] = None
        if len(self._clocks_off) > CLOCKS_OFF:
            self._clocks_off.popitem(last=False)
        if not signal.is_call:
            return
        if said.no_time:
            signal = replace(signal, meaning=Meaning.UNREADABLE, event=None)
        record = _record(signal, said.account, said.frame.data, now_ms)
        message = self._message(said.account, signal, said.frame.seq, record, now_ms)
        message.turned_away = True
        if said.no_time or message.attempts > 1:
            await self._take(message)
        else:
            self._take_when_alone(message)

    async def _damaged(self, said: Damaged, raw: bytes, now_ms: int) -> None:
        for account in said.accounts:
            signal = read_damaged(said.frame, account, now_ms)
            if signal.is_call:
                plain = said.plain or raw.decode("latin-1")
                record = _record(signal, account, plain, now_ms)
                message = self._message(account, signal, said.seq, record, now_ms)
                message.turned_away = True
                await self._take(message)

    def _message(
        self, account: Account, signal: Signal, seq: int | None, record: Record, now_ms: int
    ) -> Message:
        what: Hashable = account.sender, signal.what
        return self._attempts.message(what, seq, record, now_ms)

    async def _take(self, message: Message) -> bool:
        """Whether somebody answers for it. It is taken once, however often it is said."""
        _, timer = self._alone.pop(id(message), (None, None))
        if timer is not None:
            timer.cancel()
        if not message.taken:
            message.begun = True
            message.taken = (await self._panics.take(message.record)).safe
        return message.taken

    def _take_when_alone(self, message: Message) -> None:
        def take() -> None:
            task = asyncio.create_task(self._take(message))
            self._raising.add(task)
            task.add_done_callback(self._raising.discard)

        timer = asyncio.get_running_loop().call_later(self._alone_s, take)
        self._alone[id(message)] = message, timer

    async def _beat(self, record: Record, sender: Device) -> bool:
        try:
            self._events.admit(sender, 1)
            await self._events.take([record])
        except ComeAgain:
            return False
        return True


def _is_now(frame: Frame, now_ms: int) -> bool:
    return frame.time_s is None or in_window(frame.time_s, now_ms / 1000)


def _record(signal: Signal, account: Account, plain: str, now_ms: int) -> Record:
    """``plain``: what was said in the clear, as nobody but the gateway has the key."""
    if signal.event is not None:
        return record_of(signal.event, EVENT.dump_json(signal.event))
    legible = Salvaged(duress=signal.duress, place=signal.place)
    return unread(account.sender, plain.encode("latin-1"), uuid7(now_ms), legible)


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
        await self._receiver.stop()

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
            # What it began to say before it hung up, or fell silent.
            for raw in take_frames(bytes(buffer)):
                await self._receiver.answer(raw, source)

    async def _said(
        self, guest: Guest, raw: bytes, source: From, writer: asyncio.StreamWriter
    ) -> None:
        said, account = await self._receiver.serve(raw, source)
        if account is not None:
            self._room.know(guest, account.sender, self._clock())
            self._room.rest(guest, self._clock(), MISSED * account.period_s)
        if said:
            writer.write(said)
            await writer.drain()


class OverUdp(asyncio.DatagramProtocol):
    """A datagram is a frame, or several."""

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
        await self._receiver.stop()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.DatagramTransport, transport)

    def datagram_received(self, data: bytes, addr: tuple[str, int]) -> None:
        # Over the limit: drop it. Without an ACK the panel repeats it.
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
        for raw in take_frames(data):
            said = await self._receiver.answer(raw, From(addr[0], udp=True))
            if said and self._transport is not None:
                self._transport.sendto(said, addr)
