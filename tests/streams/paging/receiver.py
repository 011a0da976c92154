"""An HTTPS receiver of pages that keeps them by idempotency key, and can be told to misbehave."""

import asyncio
import ssl
from collections import Counter
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import trustme
from aiohttp import web

SECRET = "a secret of at least thirty-two characters"


@dataclass
class Receiver:
    """``answer`` decides the status of each request; 0: it hangs."""

    url: str
    ca_file: Path
    requests: list[tuple[dict[str, str], bytes]] = field(default_factory=list)
    pages: dict[str, Any] = field(default_factory=dict)
    answer: Callable[[int], int] = lambda number: 200
    headers: dict[str, str] = field(default_factory=dict)
    paths: list[str] = field(default_factory=list)

    def alerts(self) -> Counter[tuple[str, str]]:
        """How often each alert was said for each reason, each page taken once."""
        return Counter((a["id"], a["why"]) for page in self.pages.values() for a in page["alerts"])

    def channel(
        self, name: str = "hook", allow: str = '["127.0.0.0/8"]', timeout_s: float = 60
    ) -> str:
        """On a busy machine this receiver's answer takes a while, and a page that waits no longer for it is
        sent again."""
        return (
            f'[channels.{name}]\nkind = "webhook"\nurl = "{self.url}/hook"\nsecret = "{SECRET}"\n'
            f'allow_private = {allow}\nca_file = "{self.ca_file}"\ntimeout_s = {timeout_s}\n'
        )


@asynccontextmanager
async def receiver(folder: Path) -> AsyncIterator[Receiver]:
    authority = trustme.CA()
    ca_file = folder / "ca.pem"
    authority.cert_pem.write_to_path(str(ca_file))
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("localhost", "127.0.0.1").configure_cert(context)
    it = Receiver("", ca_file)

    async def take(request: web.Request) -> web.Response:
        body = await request.read()
        it.requests.append((dict(request.headers), body))
        it.paths.append(request.path)
        status = it.answer(len(it.requests))
        if status == 0:
            await asyncio.sleep(60)
        if status == 200 and request.path == "/hook":
            it.pages.setdefault(request.headers["Idempotency-Key"], await request.json())
        return web.Response(status=status, headers=it.headers)

    app = web.Application()
    app.router.add_route("*", "/{path:.*}", take)
    runner = web.AppRunner(app, shutdown_timeout=0.1)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0, ssl_context=context)
    await site.start()
    assert runner.addresses
    it.url = f"https://localhost:{runner.addresses[0][1]}"
    try:
        yield it
    finally:
        await runner.cleanup()


def private(path: Path, text: str) -> Path:
    path.write_text(text)
    path.chmod(0o600)
    return path
