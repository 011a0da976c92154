"""Connections that say nothing, or too little, against a gateway with few descriptors: real sockets, a
process of its own, and a press with a valid key that must come through meanwhile."""

import asyncio
import itertools
import resource
import socket
import ssl
import sys
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import aiohttp
import psutil
import pytest
import trustme

from deploy.embedded.ports import free_port
from schemas.settings import GatewaySettings, KafkaSettings, Settings, WorkerSettings
from streams.keys import write_keys
from tests.streams.gateway.parts import BEARER, KEYS, press, until

DESCRIPTORS = 300
MANY = 400
KERNEL_BYTES = 1 << 20
READ_AT_ONCE = 256 * 1024

HALF = b"POST /v1/panic HTTP/1.1\r\nhost: gateway\r\nauthorization: Bearer x\r\n"
SLOW_BODY = (
    f"POST /v1/panic HTTP/1.1\r\nhost: gateway\r\nauthorization: Bearer {BEARER}\r\n"
    "content-type: application/json\r\ncontent-length: 500\r\n\r\n{"
).encode()
STRANGE_BODY = SLOW_BODY.replace(BEARER.encode(), b"KZ-75-00001.button-1.wrong")
# Nothing; half a request; what is no HTTP; half a body, with a key and without; a frame without an end.
FORMS = (b"", HALF, b"\x00" * 40, SLOW_BODY, STRANGE_BODY, b"\n00000000")


@dataclass
class There:
    ports: dict[str, int]
    process: asyncio.subprocess.Process
    http: aiohttp.ClientSession
    log: Path
    tls: ssl.SSLContext | None = None
    number: int = 0

    async def press(self) -> None:
        """Until it is answered; a new connection, as a button has."""
        self.number += 1
        scheme = "http" if self.tls is None else "https"
        async with self.http.post(
            f"{scheme}://127.0.0.1:{self.ports['panic']}/v1/panic",
            data=press(self.number),
            headers={"authorization": f"Bearer {BEARER}", "connection": "close"},
            ssl=self.tls or True,
            timeout=aiohttp.ClientTimeout(total=60),
        ) as answer:
            assert answer.status == 202, await answer.text()

    def descriptors(self) -> int:
        return psutil.Process(self.process.pid).num_fds()


@asynccontextmanager
async def gateway(
    folder: Path, *, tls: bool = False, strangers_stay: bool = False
) -> AsyncIterator[There]:
    """With ``strangers_stay`` a press gets through because room is made, not because their time is over."""
    write_keys(folder / "keys.json", KEYS)
    ports = {name: free_port() for name in ("events", "panic", "dc09", "health")}
    own = GatewaySettings(
        port=ports["events"],
        panic_port=ports["panic"],
        dc09_tcp_port=ports["dc09"],
        keys_file=folder / "keys.json",
        ack_timeout_ms=50,
    )
    trusted = None
    if tls:
        authority = trustme.CA()
        certificate = authority.issue_cert("127.0.0.1")
        certificate.cert_chain_pems[0].write_to_path(folder / "cert.pem")
        certificate.private_key_pem.write_to_path(folder / "key.pem")
        trusted = ssl.create_default_context()
        authority.configure_trust(trusted)
        files = {"tls_cert_file": folder / "cert.pem", "tls_key_file": folder / "key.pem"}
        own = own.model_copy(update=files)
    settings = Settings(
        var=folder / "var",
        kafka=KafkaSettings(bootstrap="127.0.0.1:9"),
        worker=WorkerSettings(health_port=ports["health"]),
        gateway=own,
    )
    limit = (DESCRIPTORS, DESCRIPTORS)
    with (folder / "log").open("wb") as log:
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "tests.streams.gateway.unhurried", "gateway"),
            *(("--strangers-stay",) if strangers_stay else ()),
            env=settings.environment(),
            stdout=log,
            stderr=log,
            preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_NOFILE, limit),
        )
    connector = aiohttp.TCPConnector(force_close=True)
    async with aiohttp.ClientSession(connector=connector) as http:
        there = There(ports, process, http, folder / "log", trusted)
        try:
            async with asyncio.timeout(60):
                while True:
                    with suppress(aiohttp.ClientError):
                        await there.press()
                        break
                    await asyncio.sleep(0.05)
            yield there
            process.terminate()
            assert await asyncio.wait_for(process.wait(), 60) == 0
        finally:
            if process.returncode is None:
                process.kill()
                await process.wait()


@pytest.fixture
async def there(tmp_path: Path) -> AsyncIterator[There]:
    async with gateway(tmp_path) as it:
        yield it


@pytest.fixture
async def crowded(tmp_path: Path) -> AsyncIterator[There]:
    async with gateway(tmp_path, strangers_stay=True) as it:
        yield it


@contextmanager
def connections(port: int, says: bytes) -> Iterator[list[socket.socket]]:
    """Many, from many addresses, each of which says this and then nothing."""
    opened: list[socket.socket] = []
    try:
        for number in range(MANY):
            connection = socket.socket()
            opened.append(connection)
            if number % 32 == 0:
                time.sleep(0.005)  # a full backlog would cost a second, the kernel's first retry
            connection.bind((f"127.0.{1 + number // 20}.1", 0))
            connection.settimeout(60)
            connection.connect(("127.0.0.1", port))
            with suppress(OSError):
                connection.sendall(says)
        yield opened
    finally:
        for connection in opened:
            connection.close()


def still_open(opened: list[socket.socket]) -> int:
    return sum(map(_is_open, opened))


def _is_open(connection: socket.socket) -> bool:
    connection.setblocking(False)
    try:
        while connection.recv(4096):
            pass
    except BlockingIOError:
        return True
    except OSError:
        pass
    return False


async def test_a_press_comes_through_whatever_a_stranger_leaves_unsaid(crowded: There) -> None:
    there = crowded
    for port, says in itertools.product(there.ports.values(), FORMS):
        with connections(port, says) as opened:
            for _ in range(3):
                await there.press()
            assert there.descriptors() < DESCRIPTORS - 20
            await until(lambda opened=opened: still_open(opened) < DESCRIPTORS / 2)  # type: ignore[misc]
    assert there.log.stat().st_size < 100_000


async def test_a_press_comes_through_while_strangers_come_again_and_again(crowded: There) -> None:
    for _ in range(5):
        with connections(crowded.ports["panic"], b""):
            await crowded.press()


async def test_whoever_says_nothing_goes_and_a_device_may_stay(there: There) -> None:
    request = SLOW_BODY.replace(b"500", b"2") + b"}"
    with (
        socket.create_connection(("127.0.0.1", there.ports["panic"])) as device,
        socket.create_connection(("127.0.0.1", there.ports["panic"])) as silent,
        socket.create_connection(("127.0.0.1", there.ports["events"])) as half,
    ):
        device.sendall(request)
        half.sendall(HALF)
        await until(lambda: not still_open([silent]) and not still_open([half]))
        assert still_open([device])


@pytest.mark.parametrize("strangers_stay", [True, False])
async def test_a_tls_handshake_that_never_ends_holds_nothing(
    tmp_path: Path, strangers_stay: bool
) -> None:
    async with gateway(tmp_path, tls=True, strangers_stay=strangers_stay) as there:
        for says in (b"\x16\x03\x01\x02\x00\x01", b"GET / HTTP/1.0\r\n\r\n"):
            with connections(there.ports["panic"], says) as opened:
                for _ in range(5):
                    await there.press()
                may_be = DESCRIPTORS / 2 if strangers_stay else 1
                await until(lambda opened=opened, few=may_be: still_open(opened) < few)  # type: ignore[misc]
        assert there.log.stat().st_size < 100_000


async def test_presses_that_are_sent_one_behind_the_other_wait_in_the_socket(
    there: There,
) -> None:
    """A connection may send faster than it is answered; then the sender waits, and no memory of ours."""
    body = press(900).decode()
    one = (
        f"POST /v1/panic HTTP/1.1\r\nhost: gateway\r\nauthorization: Bearer {BEARER}\r\n"
        f"content-type: application/json\r\ncontent-length: {len(body)}\r\n\r\n{body}"
    ).encode()
    answers = 100
    loop = asyncio.get_running_loop()
    with socket.create_connection(("127.0.0.1", there.ports["panic"])) as line:
        line.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, KERNEL_BYTES)
        line.setblocking(False)
        taken = 0
        block = one * (READ_AT_ONCE // len(one))

        async def send() -> None:
            nonlocal taken
            left = b""
            while True:
                left = left or block
                try:
                    sent = line.send(left)
                except BlockingIOError:
                    await asyncio.sleep(0.001)
                    continue
                taken += sent
                left = left[sent:]

        sending = asyncio.create_task(send())
        came = b""
        try:
            async with asyncio.timeout(60):
                while came.count(b"HTTP/1.1 ") < answers:
                    came += await loop.sock_recv(line, 65_536)
        finally:
            sending.cancel()
        with suppress(BlockingIOError):
            while more := line.recv(65_536):
                came += more
    # What both kernels hold, two reads, and what was answered.
    answered = came.count(b"HTTP/1.1 ")
    assert taken < 3 * KERNEL_BYTES + 2 * READ_AT_ONCE + answered * len(one)
