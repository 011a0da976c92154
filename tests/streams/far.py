"""The far side of a channel or adapter on loopback, that answers each request as it is told to.

One server for every protocol: ``Speech`` says where a request ends and how each answer is written, so that
one table of cases is put to all kinds.
"""

import asyncio
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final, Literal

import trustme

Mood = Literal[
    "acknowledged", "refused", "later", "redirected", "silent", "hangs up", "garbage", "slow"
]
GARBAGE = b"\x00\xff\n12340FFFno answer of any kind\r\r\n\r\n"


@dataclass(frozen=True)
class Speech:
    """``answers``: by mood, what is written for a request; the other moods need no words."""

    take: Callable[[asyncio.StreamReader], Awaitable[bytes]]
    answers: Mapping[Mood, Callable[[bytes], bytes]]


NEVER_ENDS: Final = frozenset({"silent", "slow"})
"""Moods in which only the patience of the near side ends an attempt. In the others it has all the time there
is: on a busy machine an answer takes a while."""


@dataclass
class Far:
    port: int
    mood: Mood = "acknowledged"
    requests: list[bytes] = field(default_factory=list)


async def _http(reader: asyncio.StreamReader) -> bytes:
    head = await reader.readuntil(b"\r\n\r\n")
    lines = head.lower().split(b"\r\n")
    size = next((int(one[15:]) for one in lines if one.startswith(b"content-length:")), 0)
    return head + await reader.readexactly(size)


def _status(status: str, *headers: str) -> Callable[[bytes], bytes]:
    lines = (f"HTTP/1.1 {status}", *headers, "Content-Length: 0", "", "")
    return lambda request: "\r\n".join(lines).encode()


HTTP = Speech(
    _http,
    {
        "acknowledged": _status("200 OK"),
        "refused": _status("403 Forbidden"),
        "later": _status("503 Service Unavailable", "Retry-After: 7"),
        "redirected": _status("307 Temporary Redirect", "Location: /elsewhere"),
    },
)


def authority(folder: Path) -> tuple[Path, ssl.SSLContext]:
    """A certificate authority's file, and a server's side whose certificate it signed."""
    it = trustme.CA()
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    it.issue_cert("localhost", "127.0.0.1").configure_cert(context)
    it.cert_pem.write_to_path(str(folder / "ca.pem"))
    return folder / "ca.pem", context


@asynccontextmanager
async def far(speech: Speech, tls: ssl.SSLContext | None = None) -> AsyncIterator[Far]:
    it = Far(0)
    over = asyncio.Event()

    async def answer(request: bytes, writer: asyncio.StreamWriter) -> bool:
        """Whether the connection stays open."""
        match it.mood:
            case "silent":
                await over.wait()
            case "hangs up":
                return False
            case "garbage":
                writer.write(GARBAGE)
                await writer.drain()
                return False
            case "slow":
                for byte in speech.answers["acknowledged"](request):
                    writer.write(bytes([byte]))
                    await writer.drain()
                    await asyncio.wait([asyncio.ensure_future(over.wait())], timeout=0.2)
            case mood:
                writer.write(speech.answers[mood](request))
        return True

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while True:
                request = await speech.take(reader)
                it.requests.append(request)
                if not await answer(request, writer):
                    return
        except (asyncio.IncompleteReadError, OSError):
            pass
        finally:
            writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0, ssl=tls)
    it.port = server.sockets[0].getsockname()[1]
    try:
        yield it
    finally:
        over.set()
        server.close()
