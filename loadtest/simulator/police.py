"""A police center for tests and the embedded stack: a DC-09 receiver over TCP that keeps what it got.

It follows the standard: a frame with a wrong CRC gets no answer, a timestamp out of the window a NAK,
what it can't use a DUH, the rest an ACK; an alarm whose account and sequence number it has already is
acknowledged and dropped. ``faults`` say how it fails its next frames.
"""

import argparse
import asyncio
import json
import signal
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Final, Literal, TextIO

from schemas.private import keep_private
from schemas.settings import configured_var
from streams.dc09 import (
    Frame,
    ack,
    decrypt,
    duh,
    in_window,
    nak,
    parse,
    parse_contact_id,
    read_key,
    take_frame,
)

Fault = Literal["silence", "nak", "duh", "late", "garbage", "hang_up"]
FAULTS: Final[tuple[Fault, ...]] = ("silence", "nak", "duh", "late", "garbage", "hang_up")
SAME_S: Final = 600.0
"""So long an account's sequence number is the same alarm's."""
GARBAGE: Final = b"\n12340FFFno frame at all\r"


@dataclass(frozen=True, slots=True)
class Received:
    """One frame, at the moment before its answer. ``repeat``: it was there already.

    ``alert`` is the id that the alarm text begins with; empty in a link test.
    """

    at_ms: int
    account: str
    seq: int
    token: str
    event: str
    qualifier: int
    zone: str
    alert: str
    repeat: bool


@dataclass(slots=True)
class Police:
    """``faults`` are taken from the front, one per alarm frame; link tests have none."""

    key: bytes | None = None
    record: TextIO | None = None
    wall_s: Callable[[], float] = time.time
    late_s: float = 3.0
    faults: list[Fault] = field(default_factory=list)
    received: list[Received] = field(default_factory=list)
    _seen: dict[tuple[str, int], float] = field(default_factory=dict)
    _server: asyncio.Server | None = None
    _open: set[asyncio.StreamWriter] = field(default_factory=set)

    async def start(self, port: int = 0, host: str = "127.0.0.1") -> int:
        """Returns the port."""
        self._server = await asyncio.start_server(self._serve, host, port)
        bound: int = self._server.sockets[0].getsockname()[1]
        return bound

    async def stop(self) -> None:
        if self._server is not None:
            self._server.close()
        for writer in list(self._open):
            writer.close()

    def alarms(self) -> list[Received]:
        """What an operator there sees: each alarm once, no link tests."""
        return [one for one in self.received if one.event and not one.repeat]

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._open.add(writer)
        buffer = bytearray()
        try:
            while more := await reader.read(4096):
                buffer += more
                while (raw := take_frame(buffer)) is not None:
                    answer = await self._answer(raw)
                    if answer is None:
                        return
                    writer.write(answer)
        except ConnectionError:
            pass
        finally:
            self._open.discard(writer)
            writer.close()

    async def _answer(self, raw: bytes) -> bytes | None:
        """None hangs up, empty is silence."""
        frame, encrypted = parse(raw), False
        if isinstance(frame, Frame) and frame.encrypted and self.key is not None:
            encrypted, opened = True, decrypt(frame, self.key)
            frame = opened
        if not isinstance(frame, Frame):
            return b""
        now_s = self.wall_s()
        fault = self.faults.pop(0) if self.faults and frame.token != "NULL" else None  # noqa: S105
        if fault == "nak" or frame.time_s is None or not in_window(frame.time_s, now_s):
            return nak(now_s)
        if fault == "duh":
            return duh(frame)
        if fault == "garbage":
            return GARBAGE
        if fault == "silence":
            return b""
        # From here on it has the alarm, whether its answer arrives or not.
        if not self._take(frame, now_s):
            return duh(frame)
        if fault == "hang_up":
            return None
        if fault == "late":
            await asyncio.sleep(self.late_s)
        return ack(frame, self.wall_s(), self.key if encrypted else None)

    def _take(self, frame: Frame, now_s: float) -> bool:
        contact = parse_contact_id(frame.data)
        if contact is None and frame.token != "NULL":  # noqa: S105
            return False
        line = (frame.account, frame.seq)
        repeat = contact is not None and now_s - self._seen.get(line, -SAME_S) < SAME_S
        if contact is not None:
            self._seen[line] = now_s
        text = next((x[1:] for x in frame.extended if x.startswith("I")), "")
        received = Received(
            at_ms=int(now_s * 1000),
            account=frame.account,
            seq=frame.seq,
            token=frame.token,
            event=contact.event if contact else "",
            qualifier=contact.qualifier if contact else 0,
            zone=contact.zone if contact else "",
            alert=text.partition(" ")[0],
            repeat=repeat,
        )
        self.received.append(received)
        if self.record is not None:
            self.record.write(json.dumps(asdict(received)) + "\n")
            self.record.flush()
        return True


def main() -> None:
    parser = argparse.ArgumentParser(
        prog="python -m loadtest.simulator.police",
        description="A simulated police center: receives SIA DC-09 over TCP until SIGTERM.",
        epilog="example: python -m loadtest.simulator.police --port 8075 --record var/police/received.jsonl",
    )
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--key-file", type=Path, help="AES key; without it frames are in the clear")
    parser.add_argument("--record", type=Path, help="what was received, one JSON object a line")
    arguments = parser.parse_args()
    key = read_key(arguments.key_file.read_text().strip()) if arguments.key_file else None
    record: TextIO | None = None
    if arguments.record is not None:
        arguments.record.parent.mkdir(parents=True, exist_ok=True)
        record = arguments.record.open("a")
    asyncio.run(_run(arguments.port, Police(key=key, record=record)))


async def _run(port: int, police: Police) -> None:
    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    await police.start(port)
    await stop.wait()
    await police.stop()


if __name__ == "__main__":
    keep_private(configured_var())
    main()
