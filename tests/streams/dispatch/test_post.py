"""CAP and webhook against an HTTP receiver that checks the signature."""

import hmac
import json
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer

from streams.dispatch.cap import Cap
from streams.dispatch.webhook import Webhook
from tests.streams.dispatch.stories import center
from tests.streams.dispatch.test_dc09 import alarm

KEY = b"shared between us"


@dataclass
class Receiver:
    statuses: list[int] = field(default_factory=list)
    bodies: list[bytes] = field(default_factory=list)
    headers: list[Any] = field(default_factory=list)
    url: str = ""

    async def post(self, request: web.Request) -> web.Response:
        self.bodies.append(await request.read())
        self.headers.append(request.headers)
        status = self.statuses.pop(0) if self.statuses else 200
        return web.Response(status=status, headers={"Location": "/elsewhere"})


@pytest.fixture
async def receiver() -> AsyncIterator[Receiver]:
    receiver = Receiver()
    app = web.Application()
    app.router.add_post("/{any:.*}", receiver.post)
    async with TestServer(app) as server:
        receiver.url = str(server.make_url("/alarms"))
        yield receiver


@pytest.fixture
def key_file(tmp_path: Path) -> Path:
    path = tmp_path / "key"
    path.write_bytes(KEY + b"\n")
    return path


async def test_a_webhook_is_signed_and_names_its_message(
    receiver: Receiver, key_file: Path
) -> None:
    there = Webhook(center("own", receiver.url, adapter="webhook", key_file=key_file), lambda: 7.0)
    assert (await there.send(alarm(message="m1"), 0)).taken
    await there.close()
    [body], [headers] = receiver.bodies, receiver.headers
    expected = hmac.new(KEY, headers["X-Saqshy-Timestamp"].encode() + b"." + body, "sha256")
    assert headers["X-Saqshy-Signature"] == f"v1={expected.hexdigest()}"
    assert (headers["Idempotency-Key"], headers["X-Saqshy-Timestamp"]) == ("m1", "7")
    assert json.loads(body)["school"] == "KZ-75-00042"


async def test_a_repeat_has_the_same_body_and_key(receiver: Receiver, key_file: Path) -> None:
    there = Webhook(center("own", receiver.url, adapter="webhook", key_file=key_file))
    receiver.statuses = [503]
    assert [(await there.send(alarm(), 0)).taken for _ in range(2)] == [False, True]
    await there.close()
    assert receiver.bodies[0] == receiver.bodies[1]
    assert len({headers["Idempotency-Key"] for headers in receiver.headers}) == 1


@pytest.mark.parametrize("status", [302, 400, 404, 500])
async def test_anything_but_2xx_is_a_failed_attempt(
    receiver: Receiver, key_file: Path, status: int
) -> None:
    there = Webhook(center("own", receiver.url, adapter="webhook", key_file=key_file))
    receiver.statuses = [status]
    receipt = await there.send(alarm(), 0)
    await there.close()
    assert not receipt.taken and len(receiver.bodies) == 1


async def test_cap_goes_as_cap(receiver: Receiver) -> None:
    there = Cap(center("own", receiver.url, adapter="cap"))
    assert (await there.send(alarm(), 0)).taken and (await there.check(0)).taken
    await there.close()
    assert {headers["Content-Type"] for headers in receiver.headers} == {"application/cap+xml"}
    assert b">Actual<" in receiver.bodies[0] and b">Test<" in receiver.bodies[1]


async def test_nobody_there_is_a_failed_attempt() -> None:
    there = Cap(center("own", "http://127.0.0.1:1/", adapter="cap"))
    assert not (await there.send(alarm(), 0)).taken
    await there.close()
