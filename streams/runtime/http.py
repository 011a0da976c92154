"""uvicorn's HTTP/1.1 connection, with a bound on what it holds of a sender that does not wait."""

import asyncio
from collections.abc import Callable
from contextlib import suppress
from typing import Final

from uvicorn.protocols.http.flow_control import FlowControl
from uvicorn.protocols.http.h11_impl import H11Protocol

READ_BYTES: Final = 16 * 1024
"""At once. asyncio's 256 kB are hundreds of presses that wait in our memory, of each connection."""


class _Flow(FlowControl):
    """Reads nothing more while a whole request waits for its answer.

    uvicorn (0.54) stops reading when a request comes behind an unanswered one, and each ``receive()`` of
    an application reads on all the same: every answer let another 256 kB in, without a bound.
    """

    def __init__(self, transport: asyncio.Transport, answering: Callable[[], bool]) -> None:
        super().__init__(transport)
        self._answering = answering

    def resume_reading(self) -> None:
        if not self._answering():
            super().resume_reading()


class Http(H11Protocol):
    """One connection. What is sent behind an unanswered request waits in the sender's socket."""

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        # With TLS asyncio has a buffer of its own between, and this does nothing; uvloop's transports
        # can't be told.
        with suppress(AttributeError):
            transport.max_size = READ_BYTES  # type: ignore[attr-defined]
        self.flow = _Flow(transport, self.answering)

    def answering(self) -> bool:
        """Whether a request, this or one that was sent right behind it, is whole and not answered."""
        cycle = self.cycle
        return cycle is not None and not cycle.more_body and not cycle.response_complete
