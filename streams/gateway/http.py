"""The HTTP listeners: uvicorn behind a door of ours, so that no connection stays for nothing."""

import asyncio
import re
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from http import HTTPStatus
from pathlib import Path
from typing import Any, Final
from urllib.parse import unquote

import structlog
import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from streams.gateway.broken import MAX_RAW_BYTES, Sent, request_in
from streams.gateway.door import Door
from streams.gateway.room import Guest, Room
from streams.keys import Device
from streams.runtime.http import Http

log = structlog.get_logger(__name__)

STOP_WITHIN_S: Final = 3
NO_PORT: Final = 3
"""Exit code, as uvicorn's own."""
KNOWS: Final = "saqshy.knows"
BROKEN: Final = "saqshy.broken"
"""In the state of a request that is no HTTP."""
GIVEN_UP: Final = "saqshy.given-up"
"""In that of one whose body proved to be none: it comes again as a broken one."""
BEHIND: Final = "saqshy.behind"
BEHIND_S: Final = 0.1
"""What has no body is given so long to send one."""
REST_S: Final = 1.0
"""So long the rest of such a one is waited for."""
READ_AHEAD: Final = 4
"""Messages of a body that are taken before the application asks, of READ_BYTES each."""

_REQUEST_LINE: Final = re.compile(rb"\s*[A-Za-z]+ +\S+ +HTTP/", re.IGNORECASE)


def spoke(request: Request, device: Device) -> None:
    """The key of this request is valid: its connection is no stranger's any more."""
    knows = request.scope.get("state", {}).get(KNOWS)
    if knows is not None:
        knows(device)


async def behind(request: Request, body: bytes) -> bytes:
    """What came behind the body and begins no request: its length was said too short, or not at all."""
    rest: Callable[[], bytes] = request.scope.get("state", {}).get(BEHIND, bytes)
    if not body and not rest():
        await asyncio.sleep(BEHIND_S)
    came = rest()
    return b"" if _REQUEST_LINE.match(came) else came


def is_broken(request: Request) -> bool:
    """Whether it is no HTTP."""
    return BROKEN in request.scope.get("state", {})


def is_given_up(request: Request) -> bool:
    """Whether it comes again as a broken one."""
    return GIVEN_UP in request.scope.get("state", {})


class Listener(uvicorn.Server):
    """One of several in this process, which handles the signals itself.

    ``proxies``: whose X-Forwarded-For is believed.
    """

    def __init__(
        self,
        name: str,
        app: Starlette,
        address: tuple[str, int],
        room: Room,
        tls: tuple[Path, Path | None] | None = None,
        proxies: str = "",
    ) -> None:
        files: dict[str, Any] = {}
        if tls is not None:
            files = {"ssl_certfile": tls[0], "ssl_keyfile": tls[1]}
        super().__init__(
            uvicorn.Config(
                app,
                host=address[0],
                port=address[1],
                log_config=None,
                access_log=False,
                lifespan="off",
                ws="none",
                server_header=False,
                # The room closes who is idle.
                timeout_keep_alive=24 * 3600,
                timeout_graceful_shutdown=STOP_WITHIN_S,
                proxy_headers=bool(proxies),
                forwarded_allow_ips=proxies,
                **files,
            )
        )
        self._name = name
        self.door = Door(name, room, self._protocol)

    def _protocol(self, guest: Guest) -> "_Http":
        return _Http(self.config, self.server_state, guest, self.door.room)

    async def startup(self, sockets: list[Any] | None = None) -> None:
        await self.lifespan.startup()
        address = self.config.host, self.config.port
        try:
            await self.door.open(*address, self.config.ssl)
        except OSError as error:
            log.error("no port", listener=self._name, host=address[0], port=address[1],
                      error=str(error))  # fmt: skip
            sys.exit(NO_PORT)
        self.servers = [self.door]  # type: ignore[list-item]
        self.started = True

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield


class Early:
    """Takes a body from the connection as it comes. uvicorn (0.54) throws away what was not asked for when
    the connection goes, and whoever sends a press and hangs up at once has pressed all the same."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        came: asyncio.Queue[Message] = asyncio.Queue(READ_AHEAD)

        async def take() -> None:
            more = True
            while more:
                message = await receive()
                await came.put(message)
                more = message["type"] == "http.request" and message.get("more_body", False)

        # Its first step comes before the next look at the sockets.
        taking = asyncio.create_task(take())

        async def received() -> Message:
            if taking.done() and came.empty():
                return await receive()
            return await came.get()

        try:
            await self._app(scope, received, send)
        finally:
            taking.cancel()


class _Http(Http):
    """One connection, which tells the room what it does.

    Who has sent all and closes his side (RFC 9112, 9.6) gets his answer. What is no HTTP and names a
    key goes to the application as far as it can be made out (streams.gateway.broken).
    """

    def __init__(
        self,
        config: uvicorn.Config,
        server_state: Any,
        guest: Guest,
        room: Room,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        asked = {
            KNOWS: lambda who: room.know(guest, who, clock()),
            BEHIND: lambda: self.conn.trailing_data[0],
        }
        super().__init__(config=config, server_state=server_state, app_state=asked)
        self._guest = guest
        self._room = room
        self._clock = clock
        self._raw = bytearray()
        self._ended = asyncio.Event()
        self._came = asyncio.Event()
        self._salvaging: asyncio.Task[None] | None = None

    def data_received(self, data: bytes) -> None:
        self._raw += data
        del self._raw[:-MAX_RAW_BYTES]
        if self._salvaging is not None:
            self._came.set()
            return
        self._room.read(self._guest, self._clock())
        super().data_received(data)
        self._now()

    def eof_received(self) -> bool | None:  # type: ignore[override]
        self._ended.set()
        self._came.set()
        # asyncio closes TLS whatever is said here.
        return self.scheme == "http" and (self._salvaging is not None or self._unanswered())

    def on_response_complete(self) -> None:
        self._room.rest(self._guest, self._clock())
        if self._ended.is_set():
            self.transport.close()
        if not self.conn.trailing_data[0]:
            self._raw.clear()
        super().on_response_complete()
        self._now()

    def connection_lost(self, exc: Exception | None) -> None:
        self._ended.set()
        self._came.set()
        self._room.leave(self._guest)
        super().connection_lost(exc)

    def send_400_response(self, msg: str) -> None:
        if self._salvaging is None and request_in(bytes(self._raw)) is not None:
            self._room.work(self._guest, self._clock())
            if self.cycle is not None and self._unanswered():
                self.cycle.scope["state"][GIVEN_UP] = True
                self.cycle.disconnected = True
                self.cycle.message_event.set()
            self._salvaging = self.loop.create_task(self._salvage(msg))
            self.tasks.add(self._salvaging)
            self._salvaging.add_done_callback(self.tasks.discard)
        else:
            super().send_400_response(msg)

    async def _salvage(self, msg: str) -> None:
        sent = request_in(bytes(self._raw))
        with suppress(TimeoutError):
            async with asyncio.timeout(REST_S):
                while sent is not None and not sent.whole and not self._ended.is_set():
                    self._came.clear()
                    await self._came.wait()
                    sent = request_in(bytes(self._raw))
        if sent is not None:
            await self.app(self._scope_of(sent), _at_once(sent.body), self._answer)
        self.transport.close()

    def _scope_of(self, sent: Sent) -> Scope:
        path, _, query = sent.target.partition(b"?")
        return {
            "type": "http",
            "asgi": {"version": self.asgi_version, "spec_version": "2.3"},
            "http_version": "1.1",
            "server": self.server,
            "client": self.client,
            "scheme": self.scheme,
            "method": "POST",
            "root_path": "",
            "path": unquote(path.decode("latin-1")),
            "raw_path": path,
            "query_string": query,
            "headers": sent.headers,
            "state": {KNOWS: self.app_state[KNOWS], BROKEN: True},
        }

    async def _answer(self, message: Message) -> None:
        if self.transport.is_closing():
            return
        if message["type"] == "http.response.start":
            status = HTTPStatus(message["status"])
            lines = [f"HTTP/1.1 {status} {status.phrase}".encode(), b"connection: close"]
            lines += [
                b": ".join(header) for header in message["headers"] if header[0] != b"connection"
            ]
            self.transport.write(b"\r\n".join([*lines, b"", b""]))
        elif message["type"] == "http.response.body":
            self.transport.write(message.get("body", b""))

    def _unanswered(self) -> bool:
        return self.cycle is not None and not self.cycle.response_complete

    def _now(self) -> None:
        if self.answering() and not self._guest.busy:
            self._room.work(self._guest, self._clock())


def _at_once(body: bytes) -> Receive:
    messages = [{"type": "http.request", "body": body, "more_body": False}]

    async def receive() -> Message:
        return messages.pop() if messages else {"type": "http.disconnect"}

    return receive
