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
from collections import Counter
from dataclasses import dataclass, field
from typing import Any, Final

from schemas.private import keep_private
from schemas.settings import configured_var

COMES_AGAIN_S: Final = 5.0
"""Whose connection is closed is back after it."""
OPENED_PER_S: Final = 1_000
FLOOD_CONNECTIONS: Final = 2_000
"""At most: it opens another whenever it would have nothing to do."""
FLOOD_ADDRESS: Final = "127.0.0.66"
READ_BYTES: Final = 65_536


@dataclass(slots=True)
class Idle:
    """``count`` sockets, each of an address of its own in 127.0.0.0/8, that connect and say nothing."""

    port: int
    count: int
    network: int
    opened: int = 0
    most: int = 0
    came: set[int] = field(default_factory=set)
    _open: int = 0

    def run(self) -> dict[str, Any]:
        resource.setrlimit(
            resource.RLIMIT_NOFILE, (resource.getrlimit(resource.RLIMIT_NOFILE)[1],) * 2
        )
        now_s = time.monotonic()
        due = [(now_s + number / OPENED_PER_S, number) for number in range(self.count)]
        with selectors.DefaultSelector() as selector:
            while not _stopped():
                now_s = time.monotonic()
                while due and due[0][0] <= now_s:
                    self._connect(selector, due.pop(0)[1])
                for key, _ in selector.select(0.05):
                    # It never gets an answer, so what comes is the end.
                    selector.unregister(key.fileobj)
                    key.fileobj.close()  # type: ignore[union-attr]
                    self._open -= 1
                    due.append((time.monotonic() + COMES_AGAIN_S, key.data))
                self.most = max(self.most, self._open)
        return {"connections": len(self.came), "opened": self.opened, "open_at_most": self.most}

    def _connect(self, selector: selectors.BaseSelector, number: int) -> None:
        connection = socket.socket()
        connection.setblocking(False)
        connection.bind((f"127.{self.network}.{number // 250}.{1 + number % 250}", 0))
        connection.connect_ex(("127.0.0.1", self.port))
        selector.register(connection, selectors.EVENT_READ, number)
        self.came.add(number)
        self.opened += 1
        self._open += 1


@dataclass(slots=True)
class Flood:
    """Presses of one key, each another, as fast as one core can: whoever is answered, or closed, sends the
    next at once."""

    port: int
    token: str
    sent: int = 0
    statuses: Counter[int] = field(default_factory=Counter)
    alarms: Counter[str] = field(default_factory=Counter)
    unanswered: int = 0

    def run(self) -> dict[str, Any]:
        """``connections`` are those that it has open at the end."""
        began_s, began_cpu_s = time.monotonic(), time.process_time()
        with selectors.DefaultSelector() as selector:
            connections = 0
            while not _stopped():
                ready = selector.select(0 if connections < FLOOD_CONNECTIONS else 0.05)
                for key, _ in ready:
                    self._next(selector, key)
                if not ready and connections < FLOOD_CONNECTIONS:
                    connections += 1
                    self._connect(selector)
        core = (time.process_time() - began_cpu_s) / (time.monotonic() - began_s)
        return {
            "sent": self.sent,
            "connections": connections,
            "statuses": dict(self.statuses),
            "alarms": dict(self.alarms),
            "unanswered": self.unanswered,
            "of_a_core": round(core, 2),
        }

    def _connect(self, selector: selectors.BaseSelector) -> None:
        connection = socket.socket()
        connection.setblocking(False)
        connection.bind((FLOOD_ADDRESS, 0))
        connection.connect_ex(("127.0.0.1", self.port))
        selector.register(connection, selectors.EVENT_WRITE, bytearray())

    def _next(self, selector: selectors.BaseSelector, key: selectors.SelectorKey) -> None:
        connection: socket.socket = key.fileobj  # type: ignore[assignment]
        came: bytearray = key.data
        try:
            if key.events & selectors.EVENT_READ:
                said = connection.recv(READ_BYTES)
                if not said:
                    raise ConnectionResetError
                came += said
                if not self._answered(came):
                    return
                came.clear()
            connection.sendall(self._press())
            self.sent += 1
        except OSError:
            self.unanswered += 1
            selector.unregister(connection)
            connection.close()
            self._connect(selector)
        else:
            selector.modify(connection, selectors.EVENT_READ, came)

    def _answered(self, came: bytearray) -> bool:
        """Whether the answer is whole; then it is counted."""
        head, there, body = came.partition(b"\r\n\r\n")
        length = re.search(rb"content-length: (\d+)", head)
        if not there or length is None or len(body) < int(length[1]):
            return False
        status = int(head[9:12])
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
