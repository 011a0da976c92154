"""DC-09 over real sockets: how bytes are cut into frames, and both families of addresses."""

import asyncio
import random
from dataclasses import replace

import pytest

from streams.dc09 import Frame, format_time, parse
from streams.gateway.receiver import OverTcp, OverUdp
from tests.streams.gateway.dc09_desk import NOW_S, SCHOOLS, Desk, sia, there
from tests.streams.gateway.mutations.dc09_frames import crc16
from tests.streams.gateway.parts import until

__all__ = ["there"]  # the fixture


@pytest.mark.parametrize("seed", range(20))
async def test_a_frame_is_cut_whatever_bytes_its_crc_has(there: Desk, seed: int) -> None:
    """A raw CRC may hold a CR or an LF, which end and begin a frame elsewhere."""
    rng = random.Random(seed)
    wanted = (b"\r", b"\n", b"\r", b"\n")[seed % 4]
    while True:
        made = sia("NPA1", seq=f"{rng.randrange(10_000):04d}", crc="raw")
        made = replace(made, stamp=f"_{format_time(NOW_S - rng.randrange(30))}")
        crc = crc16(made.body(NOW_S)).to_bytes(2, "big")
        if crc[seed // 4 % 2 : seed // 4 % 2 + 1] == wanted:
            break
    tcp = OverTcp(there.receiver)
    await tcp.start("127.0.0.1", 0)
    try:
        port = tcp.door.sockets[0].getsockname()[1]
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        for byte in made.raw(NOW_S):
            writer.write(bytes([byte]))
            await writer.drain()
        answer = await asyncio.wait_for(reader.read(1000), 60)
        assert b'"ACK"' in answer
        writer.close()
    finally:
        await tcp.stop()
    assert there.presses() == [("panic.pressed", SCHOOLS["5678"])]


class Panel(asyncio.DatagramProtocol):
    def __init__(self) -> None:
        self.heard: asyncio.Queue[bytes] = asyncio.Queue()

    def datagram_received(self, data: bytes, _: object) -> None:
        self.heard.put_nowait(data)


@pytest.mark.parametrize("host", ["127.0.0.1", "::"])
@pytest.mark.parametrize(
    "tail", [b"", b"\0", b"\n", b"\r\n", b"\0" * 100, b"\r", b" ", b"\n\0\n"], ids=repr
)
async def test_a_datagram_may_be_filled_up(there: Desk, host: str, tail: bytes) -> None:
    udp = OverUdp(there.receiver)
    await udp.start(host, 0)
    try:
        assert udp._transport is not None
        port = udp._transport.get_extra_info("sockname")[1]
        panel, protocol = await asyncio.get_running_loop().create_datagram_endpoint(
            Panel, remote_addr=("127.0.0.1", port)
        )
        panel.sendto(sia("NPA1").raw(NOW_S) + tail)
        answer = parse(await asyncio.wait_for(protocol.heard.get(), 60))
        assert isinstance(answer, Frame) and answer.token == "ACK"
        panel.close()
    finally:
        await udp.stop()
    assert there.presses() == [("panic.pressed", SCHOOLS["5678"])]


async def test_each_frame_of_a_datagram_is_answered(there: Desk) -> None:
    udp = OverUdp(there.receiver)
    await udp.start("127.0.0.1", 0)
    try:
        assert udp._transport is not None
        port = udp._transport.get_extra_info("sockname")[1]
        panel, protocol = await asyncio.get_running_loop().create_datagram_endpoint(
            Panel, remote_addr=("127.0.0.1", port)
        )
        said = [sia("NRP", seq="0001"), sia("NPA1", seq="0002"), sia("NPA2", seq="0003")]
        panel.sendto(b"\0".join(made.raw(NOW_S) for made in said))
        answers = [parse(await asyncio.wait_for(protocol.heard.get(), 60)) for _ in said]
        assert [a.seq for a in answers if isinstance(a, Frame)] == [1, 2, 3]
        panel.close()
    finally:
        await udp.stop()
    assert [kind for kind, _ in there.presses()] == ["panic.test", *["panic.pressed"] * 2]


async def test_a_panel_by_ipv4_connects_where_we_listen_for_both_families(there: Desk) -> None:
    tcp = OverTcp(there.receiver)
    await tcp.start("::", 0)
    try:
        port = tcp.door.sockets[0].getsockname()[1]
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(sia("NPA1").raw(NOW_S))
        assert b'"ACK"' in await asyncio.wait_for(reader.read(1000), 60)
        writer.close()
    finally:
        await tcp.stop()
    assert there.presses() == [("panic.pressed", SCHOOLS["5678"])]


@pytest.mark.parametrize("keep", [30, 44, -2, -1])
async def test_what_a_panel_began_to_say_before_it_hung_up_is_heard(there: Desk, keep: int) -> None:
    tcp = OverTcp(there.receiver)
    await tcp.start("127.0.0.1", 0)
    try:
        port = tcp.door.sockets[0].getsockname()[1]
        _, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(sia("NPA1").raw(NOW_S)[:keep])
        await writer.drain()
        writer.close()
        await until(there.presses)
    finally:
        await tcp.stop()
    assert len(there.presses()) == 1
