"""Ports of the embedded parts: free unless configured, and the same ones again after a restart."""

import fcntl
import json
import socket
from pathlib import Path

LOOPBACK = "127.0.0.1"


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
    """A port that was free a moment ago, chosen by the system."""
    with socket.socket() as probe:
        probe.bind((LOOPBACK, 0))
        return int(probe.getsockname()[1])


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
