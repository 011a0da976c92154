"""The HTTP listeners: uvicorn behind a door of ours, so that no connection stays for nothing."""

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

import structlog
import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request

from streams.gateway.door import Door
from streams.gateway.room import Guest, Room
from streams.keys import Device
from streams.runtime.http import Http

log = structlog.get_logger(__name__)

STOP_WITHIN_S: Final = 3
NO_PORT: Final = 3
"""Exit code, as uvicorn's own."""
KNOWS: Final = "saqshy.knows"


def spoke(request: Request, device: Device) -> None:
    """The key of this request is valid: its connection is no stranger's any more."""
    knows = request.scope.get("state", {}).get(KNOWS)
    if knows is not None:
        knows(device)


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


class _Http(Http):
    """One connection, which tells the room what it does."""

    def __init__(
        self,
        config: uvicorn.Config,
        server_state: Any,
        guest: Guest,
        room: Room,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        knows = {KNOWS: lambda who: room.know(guest, who, clock())}
        super().__init__(config=config, server_state=server_state, app_state=knows)
        self._guest = guest
        self._room = room
        self._clock = clock

    def data_received(self, data: bytes) -> None:
        self._room.read(self._guest, self._clock())
        super().data_received(data)
        self._now()

    def on_response_complete(self) -> None:
        self._room.rest(self._guest, self._clock())
        super().on_response_complete()
        self._now()

    def connection_lost(self, exc: Exception | None) -> None:
        self._room.leave(self._guest)
        super().connection_lost(exc)

    def _now(self) -> None:
        if self.answering() and not self._guest.busy:
            self._room.work(self._guest, self._clock())
