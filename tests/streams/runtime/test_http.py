"""What a connection holds of a sender that does not wait for answers: a real socket, an app that is slow."""

import asyncio
import socket
from collections.abc import Callable
from typing import Any

import pytest
import uvicorn
import uvloop
from uvicorn.server import ServerState

from streams.runtime.http import READ_BYTES, Http

ONE = b"POST / HTTP/1.1\r\nhost: a\r\ncontent-length: 400\r\n\r\n" + b"x" * 400
MANY = 1024 * 1024 // len(ONE)


UVLOOP_READS_BYTES = 256_000


@pytest.mark.parametrize(
    ("new_loop", "read_bytes"),
    [(asyncio.new_event_loop, READ_BYTES), (uvloop.new_event_loop, UVLOOP_READS_BYTES)],
    ids=["asyncio", "uvloop"],
)
def test_a_request_that_waits_holds_one_read_of_what_follows_it(
    new_loop: Callable[[], asyncio.AbstractEventLoop], read_bytes: int
) -> None:
    """On the gateway's loop and on the console's."""
    with asyncio.Runner(loop_factory=new_loop) as runner:
        runner.run(holds_one_read(read_bytes))


async def holds_one_read(read_bytes: int) -> None:
    asked, answer, reads = asyncio.Event(), asyncio.Event(), list[int]()

    async def app(scope: Any, receive: Any, send: Any) -> None:
        await receive()
        asked.set()
        await answer.wait()
        await send({"type": "http.response.start", "status": 204, "headers": []})
        await send({"type": "http.response.body", "body": b""})

    class Counted(Http):
        def data_received(self, data: bytes) -> None:
            reads.append(len(data))
            super().data_received(data)

    config = uvicorn.Config(app, log_config=None, lifespan="off", ws="none")
    config.load()
    loop = asyncio.get_running_loop()
    state = ServerState()
    server = await loop.create_server(lambda: Counted(config, state, {}), "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    with socket.create_connection(("127.0.0.1", port)) as line:
        line.setblocking(False)
        sending = asyncio.create_task(loop.sock_sendall(line, ONE * MANY))
        await asyncio.wait_for(asked.wait(), 60)
        for _ in range(100):  # passes in which more could be read
            await asyncio.sleep(0)
        assert 0 < sum(reads) <= 2 * read_bytes
        sending.cancel()
        answer.set()
    server.close()


@pytest.mark.parametrize("new_loop", [asyncio.new_event_loop, uvloop.new_event_loop])
def test_it_answers_on_each_loop_that_a_process_of_ours_has(
    new_loop: Callable[[], asyncio.AbstractEventLoop],
) -> None:
    """The console's is uvloop's, whose transports take no attributes."""

    async def app(scope: Any, receive: Any, send: Any) -> None:
        await send({"type": "http.response.start", "status": 204, "headers": []})
        await send({"type": "http.response.body", "body": b""})

    async def status() -> bytes:
        config = uvicorn.Config(app, log_config=None, lifespan="off", ws="none")
        config.load()
        loop = asyncio.get_running_loop()
        server = await loop.create_server(lambda: Http(config, ServerState(), {}), "127.0.0.1", 0)
        port = server.sockets[0].getsockname()[1]
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(b"GET / HTTP/1.1\r\nhost: a\r\n\r\n")
        async with asyncio.timeout(60):
            said = await reader.readline()
        writer.close()
        server.close()
        return said

    with asyncio.Runner(loop_factory=new_loop) as runner:
        assert b"204" in runner.run(status())
