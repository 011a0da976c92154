"""A listening socket of ours, in front of HTTP and DC-09: who comes in costs next to nothing until it
says something.

asyncio's own server makes a transport of each connection and, without descriptors, a traceback of each
try. Here a silent connection is a descriptor and a few hundred bytes, and none comes in that the room of
this listener has no place for (streams.gateway.room). TLS begins with the first byte.
"""

import asyncio
import socket
import ssl
import time
from collections import OrderedDict, deque
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from typing import Final

import structlog

from streams.gateway.room import Guest, Room

log = structlog.get_logger(__name__)

BACKLOG: Final = 1_024
"""Connections that the kernel holds for us: what comes beyond waits for a second, its sender's first
retry. A flood fills it whenever the processor is not ours for a while."""
RECEIVE_BYTES: Final = 128 * 1024
AT_ONCE: Final = 64
"""Connections accepted in one pass of the loop. A press takes some ten passes, so what a flood may do in
one of them is what others wait for, ten times."""
SWEEP_EVERY_S: Final = 0.5
NO_DESCRIPTORS_PAUSE_S: Final = 0.1
SAY_AGAIN_S: Final = 60.0
HANDSHAKE_S: Final = 5.0

Factory = Callable[[Guest], asyncio.Protocol]


class Door:
    """Accepts for one listener. ``sockets`` are those that listen, once it is open."""

    def __init__(
        self,
        name: str,
        room: Room,
        factory: Factory,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._name = name
        self._room = room
        self._factory = factory
        self._clock = clock
        self._tls: ssl.SSLContext | None = None
        self._waiting: dict[Guest, socket.socket] = {}
        # Those who have said something, by address.
        self._speaking: OrderedDict[str, deque[Guest]] = OrderedDict()
        self._hearing: asyncio.Handle | None = None
        self._starting: set[asyncio.Task[None]] = set()
        self._sweeping: asyncio.Task[None] | None = None
        self._pauses: set[asyncio.TimerHandle] = set()
        self._said_s = -SAY_AGAIN_S
        self.sockets: list[socket.socket] = []

    @property
    def room(self) -> Room:
        return self._room

    async def open(self, host: str, port: int, tls: ssl.SSLContext | None = None) -> None:
        """Raises OSError when an address can't be had."""
        self._tls = tls
        loop = asyncio.get_running_loop()
        found = await loop.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
        try:
            for family, kind, protocol, _, address in dict.fromkeys(found):
                # The only socket of "::" is IPv4's as well.
                both = len(found) == 1 and address[0] == "::"
                self.sockets.append(_listening(family, kind, protocol, *address[:2], both=both))
        except OSError:
            self.close()
            raise
        for listening in self.sockets:
            loop.add_reader(listening.fileno(), self._accept, listening)
        self._sweeping = asyncio.create_task(self._sweep())

    def close(self) -> None:
        """Nobody comes in any more; who was silent so far goes."""
        loop = asyncio.get_running_loop()
        for pause in self._pauses:
            pause.cancel()
        for listening in self.sockets:
            loop.remove_reader(listening.fileno())
            listening.close()
        if self._sweeping is not None:
            self._sweeping.cancel()
        for guest in list(self._waiting):
            self._room.leave(guest)
            guest.close()
        if self._hearing is not None:
            self._hearing.cancel()
        for task in self._starting:
            task.cancel()

    async def wait_closed(self) -> None:
        await asyncio.gather(*self._starting, return_exceptions=True)

    def _accept(self, listening: socket.socket) -> None:
        for _ in range(AT_ONCE):
            try:
                connection, peer = listening.accept()
            except (BlockingIOError, InterruptedError, ConnectionAbortedError):
                return
            except OSError as error:
                self._no_descriptors(listening, error)
                return
            # An IPv4 address that came over an IPv6 socket is that address.
            guest = Guest(str(peer[0]).removeprefix("::ffff:"))
            if not self._room.enter(guest, self._clock()):
                connection.close()
                continue
            connection.setblocking(False)
            guest.close = partial(self._forget, guest)
            self._waiting[guest] = connection
            asyncio.get_running_loop().add_reader(connection.fileno(), self._speaks, guest)

    def _no_descriptors(self, listening: socket.socket, error: OSError) -> None:
        """The kernel keeps the connection, so this would come again in each pass."""
        self._room.make_room()
        now_s = self._clock()
        if now_s - self._said_s >= SAY_AGAIN_S:
            self._said_s = now_s
            log.error("connections not accepted", listener=self._name, error=str(error))
        loop = asyncio.get_running_loop()
        loop.remove_reader(listening.fileno())
        pause: asyncio.TimerHandle | None = None

        def again() -> None:
            if pause is not None:
                self._pauses.discard(pause)
            loop.add_reader(listening.fileno(), self._accept, listening)

        pause = loop.call_later(NO_DESCRIPTORS_PAUSE_S, again)
        self._pauses.add(pause)

    def _forget(self, guest: Guest) -> None:
        connection = self._waiting.pop(guest)
        asyncio.get_running_loop().remove_reader(connection.fileno())
        connection.close()

    def _speaks(self, guest: Guest) -> None:
        connection = self._waiting[guest]
        try:
            gone = connection.recv(1, socket.MSG_PEEK) == b""
        except (BlockingIOError, InterruptedError):
            return
        except OSError:
            gone = True
        if gone:
            self._room.leave(guest)
            self._forget(guest)
            return
        asyncio.get_running_loop().remove_reader(connection.fileno())
        self._speaking.setdefault(guest.address, deque()).append(guest)
        if self._hearing is None:
            self._hearing = asyncio.get_running_loop().call_soon(self._hear)

    def _hear(self) -> None:
        """One of those that say something is served from this pass on, of each address in turn: an
        address that floods waits for itself."""
        served = False
        while self._speaking and not served:
            address, theirs = self._speaking.popitem(last=False)
            guest = theirs.popleft()
            if theirs:
                self._speaking[address] = theirs
            if guest in self._waiting:  # it may have gone meanwhile
                served = True
                self._serve(guest, self._waiting.pop(guest))
        more = self._speaking
        self._hearing = asyncio.get_running_loop().call_soon(self._hear) if more else None

    def _serve(self, guest: Guest, connection: socket.socket) -> None:
        # From here on the descriptor is asyncio's: closed by us, its number might be another's already.
        guest.close = partial(_hang_up, connection)
        starting = asyncio.create_task(self._start(guest, connection))
        self._starting.add(starting)
        starting.add_done_callback(self._starting.discard)

    async def _start(self, guest: Guest, connection: socket.socket) -> None:
        loop = asyncio.get_running_loop()
        handshake_s = None if self._tls is None else HANDSHAKE_S
        try:
            transport, _ = await loop.connect_accepted_socket(
                partial(self._factory, guest),
                connection,
                ssl=self._tls,
                ssl_handshake_timeout=handshake_s,
            )
        except OSError:  # TLS' errors are, too
            self._room.leave(guest)
        else:
            guest.close = transport.abort
            if guest not in self._room:
                transport.abort()

    async def _sweep(self) -> None:
        while True:
            await asyncio.sleep(SWEEP_EVERY_S)
            self._room.close_late(self._clock())


def _hang_up(connection: socket.socket) -> None:
    with suppress(OSError):
        connection.shutdown(socket.SHUT_RDWR)


def _listening(
    family: int, kind: int, protocol: int, host: str | int, port: int | bytes, *, both: bool
) -> socket.socket:
    listening = socket.socket(family, kind, protocol)
    try:
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if family == socket.AF_INET6:
            with suppress(OSError):
                listening.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, not both)
        # Inherited by each connection: else the kernel keeps megabytes of a sender that does not wait.
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, RECEIVE_BYTES)
        listening.setblocking(False)
        listening.bind((host, port))
        listening.listen(BACKLOG)
    except BaseException:
        listening.close()
        raise
    return listening
