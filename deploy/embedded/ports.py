"""Ports of the embedded parts: free unless configured, and the same ones again after a restart."""

import fcntl
import json
import os
import random
import socket
import tempfile
from collections.abc import Iterator
from functools import cache
from itertools import cycle
from pathlib import Path
from typing import Final

LOOPBACK = "127.0.0.1"
FIRST: Final = 10_000
"""Below are the ports of well-known services."""
GIVEN_FROM: Final = 32_768
"""From here on the system gives ports to outgoing connections, unless it says otherwise."""


def is_free(port: int) -> bool:
    """Whether a server could listen on this port of the loopback address now."""
    with socket.socket() as probe:
        # As servers do: a port whose old connections are still closing counts as free.
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((LOOPBACK, port))
        except OSError:
            return False
        return True


def free_port() -> int:
    """A port that is free, and that nobody else gets here for as long as this process lives.

    It is none of those that the system gives to outgoing connections. While a broker that was killed is
    away, its clients try its port again and again; one that were given this very port as its own would
    reach itself (RFC 9293, 3.5: a simultaneous open), and hold the port when the broker comes back.
    """
    for port in _order():
        if is_free(port) and _is_reserved(port):
            return port
    raise AssertionError("unreachable: the order has no end")


@cache
def _order() -> Iterator[int]:
    """Each port once before any comes again, in an order of this process' own."""
    try:
        said = Path("/proc/sys/net/ipv4/ip_local_port_range").read_text(encoding="ascii")
        given_from = int(said.split()[0])
    except (OSError, ValueError):
        given_from = GIVEN_FROM
    if given_from < FIRST + 1_000:  # it gives nearly all
        given_from = 1 << 16
    ports = range(FIRST, given_from)
    return cycle(random.sample(ports, len(ports)))


def _is_reserved(port: int) -> bool:
    """Whether it is ours from now on: a lock on one byte of a file, which ends with the process."""
    try:
        fcntl.lockf(_ledger(), fcntl.LOCK_EX | fcntl.LOCK_NB, 1, port)
    except OSError:
        return False
    return True


@cache
def _ledger() -> int:
    """Never closed: the first close of this file by this process would end all of its locks."""
    path = Path(tempfile.gettempdir()) / f"saqshy-ports-{os.getuid()}"
    return os.open(path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)


def kept_port(var: Path, name: str, configured: int = 0) -> int:
    """The port of part `name`: the configured one, else the one of last time if still free."""
    file = var / "run" / "ports.json"
    file.parent.mkdir(parents=True, exist_ok=True)
    with (file.parent / "ports.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)  # parts may start side by side
        ports = _read(file)
        port = configured or ports.get(name, 0)
        others = {number for other, number in ports.items() if other != name}
        if not configured and (not port or not is_free(port)):
            port = free_port()
            while port in others:
                port = free_port()
        if ports.get(name) != port:
            ports[name] = port
            draft = file.with_suffix(".draft")
            draft.write_text(json.dumps(ports, indent=2), encoding="utf-8")
            draft.replace(file)
    return port


def _read(file: Path) -> dict[str, int]:
    try:
        found = json.loads(file.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}  # first start, or a file broken by hand: new ports do no harm
    if not isinstance(found, dict):
        return {}
    return {str(name): port for name, port in found.items() if isinstance(port, int)}
