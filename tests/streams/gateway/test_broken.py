"""A press by HTTP that is a little wrong, or none at all, over a real socket: raised, with all it says."""

import asyncio
import json
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from schemas.topics import PANICS
from streams.gateway.api import Api
from streams.gateway.broken import request_in
from streams.gateway.coalesce import BURST
from streams.gateway.http import Listener
from streams.gateway.metrics import Metrics
from streams.gateway.room import Room, Rules
from streams.gateway.watched import Watched
from streams.keys import Keys, claimed
from tests.streams.gateway.parts import BEARER, DEVICE, KEYS, Desk, desk, event, press, until

BODY = press(duress=True, place="Room 5")
AUTHORIZATION = f"authorization: Bearer {BEARER}"
LENGTH = f"content-length: {len(BODY)}"


def request(
    *headers: str,
    line: str = "POST /v1/panic HTTP/1.1",
    host: str = "host: a",
    key: str = AUTHORIZATION,
    length: str = LENGTH,
    end: str = "\r\n",
    body: bytes = BODY,
) -> bytes:
    lines = [one for one in (line, host, key, length, *headers) if one]
    return (end.join(lines) + end * 2).encode("latin-1") + body


def chunks(body: bytes, last: bytes = b"0\r\n\r\n") -> bytes:
    half = len(body) // 2
    parts = [b"%x\r\n%s\r\n" % (len(part), part) for part in (body[:half], body[half:])]
    return b"".join(parts) + last


CHUNKED = "transfer-encoding: chunked"
FRAMED_ODDLY = {
    "no host": request(host=""),
    "two hosts": request("host: b"),
    "two lengths": request(LENGTH),
    "two lengths that differ": request("content-length: 1"),
    "a length with a sign": request(length=f"content-length: +{len(BODY)}"),
    "a length below zero": request(length="content-length: -1"),
    "a length too small": request(length="content-length: 100"),
    "a length of nothing": request(length="content-length: 0"),
    "no length": request(length=""),
    "a blank before a colon": request(length=f"content-length : {len(BODY)}"),
    "a header without a colon": request("x-empty"),
    "a header without a name": request(": x"),
    "a blank in a name": request("user agent: x"),
    "a zero in a header": request("user-agent: a\0b"),
    "identity as a transfer coding": request("transfer-encoding: identity"),
    "chunked, and it is not": request(CHUNKED, length=""),
    "two transfer codings": request(
        "transfer-encoding: gzip, chunked", length="", body=chunks(BODY)
    ),
    "a line end before it": b"\r\n\r\n" + request(),
    "a byte order mark before it": b"\xef\xbb\xbf" + request(),
    "line feeds alone": request(end="\n"),
    "no version": request(line="POST /v1/panic"),
    "two blanks": request(line="POST  /v1/panic  HTTP/1.1"),
    "a version in small letters": request(line="POST /v1/panic http/1.1"),
    "a path that is no ASCII": request(line="POST /v1/пульт HTTP/1.1".encode().decode("latin-1")),
}
PATHS = (
    "/v1/./panic", "/v1/x/../panic", "/v1/panic;a=b", "/v1/panic#x", "/v1/panic%00", "\\v1\\panic",
    "/panic", "/", "/v1/events",
)  # fmt: skip
FRAMED_ODDLY |= {path: request(line=f"POST {path} HTTP/1.1") for path in PATHS}
FRAMED_ODDLY |= {
    method: request(line=f"{method} /v1/panic HTTP/1.1")
    for method in ("post", "PUT", "PATCH", "GET")
}


def batched(names: list[str]) -> Iterator[list[str]]:
    """So many that none is coalesced."""
    for start in range(0, len(names), BURST // 2):
        yield names[start : start + BURST // 2]


@asynccontextmanager
async def listener(folder: Path, app: str = "for_panics") -> AsyncIterator[tuple[Desk, int]]:
    async with desk(folder) as it:
        keys: Watched[Keys] = Watched(None, lambda _: KEYS, KEYS)
        api = Api(keys, it.panics, it.events, it.findings, Metrics())
        room = Room(Rules(100, 100))
        server = Listener("panic", getattr(api, app)(), ("127.0.0.1", 0), room)
        serving = asyncio.create_task(server.serve())
        await until(lambda: server.started)
        try:
            yield it, server.door.sockets[0].getsockname()[1]
        finally:
            server.should_exit = True
            await serving


async def say(port: int, raw: bytes, *, ends: bool = False) -> bytes:
    """What is answered, up to its first line."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    try:
        writer.write(raw)
        if ends:
            writer.write_eof()
        return await reader.readline()
    finally:
        writer.close()


def raised(it: Desk) -> Iterator[tuple[bool, str]]:
    for record in it.kafka.on(PANICS.name):
        said = record.get("said", record)
        yield said.get("duress", False), said.get("place", "")


BY_LENGTH = {name for name in FRAMED_ODDLY if "length" in name or "it is not" in name}
"""On the events port a body is as long as it says."""
CASES = [
    (app, list(names))
    for app in ("for_panics", "for_events")
    for names in batched([n for n in FRAMED_ODDLY if app == "for_panics" or n not in BY_LENGTH])
]


@pytest.mark.parametrize(("app", "names"), CASES)
async def test_a_press_is_raised_however_its_request_is_framed(
    tmp_path: Path, app: str, names: list[str]
) -> None:
    async with listener(tmp_path, app) as (it, port):
        for number, name in enumerate(names):
            it.kafka.records.clear()
            own = event(number=100 + number)["id"].encode()
            answer = await say(port, FRAMED_ODDLY[name].replace(event()["id"].encode(), own))
            assert answer.startswith(b"HTTP/1.1 202"), (name, answer)
            assert list(raised(it)) == [(True, "Room 5")], name


@pytest.mark.parametrize("cut", [0, 3])
async def test_who_sends_and_closes_his_side_is_raised_and_answered(
    tmp_path: Path, cut: int
) -> None:
    async with listener(tmp_path) as (it, port):
        raw = request()
        answer = await say(port, raw[: len(raw) - cut], ends=True)
        assert answer.startswith(b"HTTP/1.1 202")
        ((duress, place),) = raised(it)
        assert duress and place.startswith("Room")


async def test_who_sends_and_is_gone_at_once_has_said_all_of_it(tmp_path: Path) -> None:
    async with listener(tmp_path) as (it, port):
        _, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(request())
        writer.transport.abort()
        await until(lambda: it.kafka.on(PANICS.name))
        assert list(raised(it)) == [(True, "Room 5")]
        assert "unread" not in it.kafka.on(PANICS.name)[0]["type"]


async def test_the_rest_of_a_broken_press_is_waited_for(tmp_path: Path) -> None:
    async with listener(tmp_path) as (it, port):
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        raw = request(host="")
        for at in range(0, len(raw), 40):
            writer.write(raw[at : at + 40])
            await writer.drain()
            await asyncio.sleep(0)
        assert (await reader.readline()).startswith(b"HTTP/1.1 202")
        assert list(raised(it)) == [(True, "Room 5")]
        writer.close()


async def test_two_that_are_sent_one_behind_the_other_are_two_wherever_they_are_cut(
    tmp_path: Path,
) -> None:
    first, second = request(), request(body=press(2, duress=True, place="Room 5"))
    async with listener(tmp_path) as (it, port):
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(first + second[:7])
        assert (await reader.readline()).startswith(b"HTTP/1.1 202")
        writer.write(second[7:])
        await until(lambda: len(it.kafka.on(PANICS.name)) == 2)
        assert [said["type"] for said in it.kafka.on(PANICS.name)] == ["panic.pressed"] * 2
        writer.close()


@pytest.mark.parametrize(
    ("raw", "status"),
    [
        (b"\0\1\2\r\n\r\n", 400),
        (request(host="", key=f"{AUTHORIZATION}x"), 401),
        (request(line="GET /v1/panic HTTP/1.1", length="", body=b""), 405),
        (request(line="POST /elsewhere HTTP/1.1", length="content-length: 2", body=b"{}"), 404),
    ],
    ids=["noise", "a wrong key", "a question", "no press, elsewhere"],
)
async def test_what_nobody_with_a_key_means_as_a_press_is_none(
    tmp_path: Path, raw: bytes, status: int
) -> None:
    async with listener(tmp_path) as (it, port):
        assert (await say(port, raw)).startswith(b"HTTP/1.1 %d" % status)
        assert not it.kafka.on(PANICS.name)


async def test_a_broken_pass_is_not_taken(tmp_path: Path) -> None:
    body = json.dumps({"type": "pass"}).encode()
    raw = request(host="", length=f"content-length: {len(body)}", body=body)
    async with listener(tmp_path, "for_events") as (it, port):
        assert (await say(port, raw.replace(b"panic", b"events"))).startswith(b"HTTP/1.1 400")
        assert not it.kafka.records


WRAPPED: tuple[Callable[[str], str], ...] = (
    lambda token: f"Bearer {token}",
    lambda token: f"bearer\t{token} ",
    lambda token: f'"Bearer {token}"',
    lambda token: f'Bearer "{token}"',
    lambda token: f"Bearer: {token}",
    lambda token: f"Bearer={token},",
    lambda token: f"Bearer <{token}>",
    lambda token: token,
    lambda token: f"Basic eDp5 Bearer {token}",
)


@pytest.mark.parametrize("wrap", WRAPPED)
def test_a_key_is_known_however_it_is_wrapped(wrap: Callable[[str], str]) -> None:
    said: Any = claimed(wrap(BEARER))
    assert said is not None
    assert said == (DEVICE, BEARER.split(".")[2])


@given(st.binary(max_size=300), st.binary(max_size=300))
def test_any_bytes_are_read_or_not(before: bytes, behind: bytes) -> None:
    for raw in (before, before + request(host="") + behind):
        sent = request_in(raw)
        assert sent is None or len(sent.body) <= len(raw)
