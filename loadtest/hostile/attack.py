"""The attackers of ``python -m loadtest hostile``, each a process: silent connections, and a stolen key.

Each runs until SIGTERM and then says what it did, as one JSON object.
"""

import json
import random
import re
import resource
import selectors
import signal
import socket
import sys
import time
from collections import Counter, deque
from dataclasses import dataclass, field
from typing import Any, Final

from schemas.private import keep_private
from schemas.settings import configured_var

OPENED_PER_S: Final = 1_000
"""Each process at most; whose connection is closed is back as soon as that allows it."""
FLOOD_CONNECTIONS: Final = 2_000
"""At most at once."""
FLOOD_ADDRESS: Final = "127.0.0.66"
READ_BYTES: Final = 65_536
SAMPLE_EVERY_S: Final = 0.5


@dataclass(slots=True)
class Idle:
    """``count`` sockets, each of an address of its own in 127.0.0.0/8, that connect and say nothing.

    ``held``: each half second, how many of them are connected and not closed by the gateway.
    """

    port: int
    count: int
    network: int
    opened: int = 0
    held: list[tuple[float, int]] = field(default_factory=list)
    _connected: int = 0

    def run(self) -> dict[str, Any]:
        resource.setrlimit(
            resource.RLIMIT_NOFILE, (resource.getrlimit(resource.RLIMIT_NOFILE)[1],) * 2
        )
        due = deque(range(self.count))
        began_s, sampled_s = time.monotonic(), 0.0
        with selectors.DefaultSelector() as selector:
            while not _stopped():
                now_s = time.monotonic()
                while due and self.opened < (now_s - began_s) * OPENED_PER_S:
                    self._connect(selector, due.popleft())
                for key, events in selector.select(0.01):
                    self._turn(selector, key, events, due)
                if now_s - sampled_s >= SAMPLE_EVERY_S:
                    sampled_s = now_s
                    self.held.append((time.time(), self._connected))
        return {"opened": self.opened, "held": self.held}

    def _connect(self, selector: selectors.BaseSelector, number: int) -> None:
        connection = socket.socket()
        connection.setblocking(False)
        connection.bind((f"127.{self.network}.{number // 250}.{1 + number % 250}", 0))
        connection.connect_ex(("127.0.0.1", self.port))
        # Writable once it is connected.
        selector.register(connection, selectors.EVENT_WRITE, number)
        self.opened += 1

    def _turn(
        self, selector: selectors.BaseSelector, key: Any, events: int, due: deque[int]
    ) -> None:
        failed = key.fileobj.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
        if key.events == selectors.EVENT_WRITE and not failed:
            selector.modify(key.fileobj, selectors.EVENT_READ, key.data)
            self._connected += 1
            return
        # It never gets an answer, so what comes is the end.
        self._connected -= key.events == selectors.EVENT_READ
        selector.unregister(key.fileobj)
        key.fileobj.close()
        due.append(key.data)


@dataclass(slots=True)
class Line:
    """A connection of the flood: what came and is not read yet, and what could not be written at once."""

    socket: socket.socket
    came: bytearray = field(default_factory=bytearray)
    left: bytes = b""
    owed: int = 0


@dataclass(slots=True)
class Flood:
    """Presses of one key, each another, as fast as one core can, whatever is answered (open loop).

    Each connection is written to for as long as its socket takes more, one press behind the other
    (RFC 9112, section 9.3.2). When none takes more, the oldest is thrown away and another is opened.
    ``unanswered`` are presses on connections that ended before their answer came, ``turned_away`` those
    of them whose connection the gateway ended.
    """

    port: int
    token: str
    sent: int = 0
    opened: int = 0
    statuses: Counter[int] = field(default_factory=Counter)
    alarms: Counter[str] = field(default_factory=Counter)
    unanswered: int = 0
    turned_away: int = 0
    _lines: deque[Line] = field(default_factory=deque)

    def run(self) -> dict[str, Any]:
        began_s, began_cpu_s = time.monotonic(), time.process_time()
        with selectors.DefaultSelector() as selector:
            while not _stopped():
                ready = selector.select(0)
                for key, events in ready:
                    self._turn(selector, key.data, events)
                if not ready:
                    if len(self._lines) >= FLOOD_CONNECTIONS:
                        self._end(selector, self._lines[0])
                    self._connect(selector)
        core = (time.process_time() - began_cpu_s) / (time.monotonic() - began_s)
        return {
            "sent": self.sent,
            "opened": self.opened,
            "statuses": dict(self.statuses),
            "alarms": dict(self.alarms),
            "unanswered": self.unanswered + sum(line.owed for line in self._lines),
            "turned_away": self.turned_away,
            "of_a_core": round(core, 2),
        }

    def _connect(self, selector: selectors.BaseSelector) -> None:
        line = Line(socket.socket())
        line.socket.setblocking(False)
        line.socket.bind((FLOOD_ADDRESS, 0))
        line.socket.connect_ex(("127.0.0.1", self.port))
        selector.register(line.socket, selectors.EVENT_READ | selectors.EVENT_WRITE, line)
        self._lines.append(line)
        self.opened += 1

    def _end(self, selector: selectors.BaseSelector, line: Line) -> None:
        selector.unregister(line.socket)
        line.socket.close()
        self._lines.remove(line)
        self.unanswered += line.owed

    def _turn(self, selector: selectors.BaseSelector, line: Line, events: int) -> None:
        try:
            if events & selectors.EVENT_READ:
                said = line.socket.recv(READ_BYTES)
                if not said:
                    raise ConnectionResetError
                line.came += said
                while self._answered(line.came):
                    line.owed -= 1
            if events & selectors.EVENT_WRITE:
                if not line.left:
                    line.left = self._press()
                    self.sent += 1
                    line.owed += 1
                line.left = line.left[line.socket.send(line.left) :]
        except BlockingIOError:
            pass
        except OSError:
            self.turned_away += line.owed
            self._end(selector, line)

    def _answered(self, came: bytearray) -> bool:
        """Whether there was a whole answer; then it is counted, and taken out of what came."""
        end = came.find(b"\r\n\r\n")
        length = re.search(rb"content-length: (\d+)", came[: max(end, 0)], re.IGNORECASE)
        if length is None or len(came) < (whole := end + 4 + int(length[1])):
            return False
        status, body = int(came[9:12]), bytes(came[end + 4 : whole])
        del came[:whole]
        self.statuses[status] += 1
        if status == 202:
            for press in json.loads(body)["presses"]:
                self.alarms.update(press["alerts"])
        return True

    def _press(self) -> bytes:
        now_ms = time.time_ns() // 1_000_000
        school, device, _ = self.token.split(".")
        body = (
            f'{{"id": "{now_ms >> 16:08x}-{now_ms & 0xFFFF:04x}-7{random.getrandbits(12):03x}-8000-'
            f'{self.sent:012x}", "type": "panic.pressed", "school": "{school}", "device": "{device}", '
            f'"time_ms": {now_ms}, "boot": 1, "seq": {self.sent}, "v": 1}}'
        )
        return (
            f"POST /v1/panic HTTP/1.1\r\nhost: gateway\r\nauthorization: Bearer {self.token}\r\n"
            f"content-type: application/json\r\ncontent-length: {len(body)}\r\n\r\n{body}"
        ).encode()


_stop: list[int] = []


def _stopped() -> bool:
    return bool(_stop)


def main() -> None:
    signal.signal(signal.SIGTERM, lambda number, _: _stop.append(number))
    kind, port, *rest = sys.argv[1:]
    attack = (
        Idle(int(port), int(rest[0]), int(rest[1]))
        if kind == "idle"
        else Flood(int(port), sys.stdin.readline().strip())
    )
    print(json.dumps(attack.run()))


if __name__ == "__main__":
    keep_private(configured_var())
    main()
