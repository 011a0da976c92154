"""Stoplight Prism between client and stand-in: it refuses what breaks the contract, in both directions."""

import os
import shutil
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

PACKAGE = "@stoplight/prism-cli@5.14.2"
CONTRACT = Path(__file__).parent / "contract.json"
START_S = 60


def prism_command() -> Path:
    """Prism's program, installed on first use into var/. Without Node this test is skipped; on a
    machine of ours that says CI=true and has npm, Prism must run."""
    if shutil.which("npm") is None or shutil.which("node") is None:
        pytest.skip("Node and npm are not installed: the contract is checked by the stand-in alone")
    folder = Path(os.environ.get("SAQSHY_VAR", "var")) / "prism"
    command = folder / "node_modules" / ".bin" / "prism"
    if not command.exists():
        folder.mkdir(parents=True, exist_ok=True)
        done = subprocess.run(
            ["npm", "install", "--no-audit", "--no-fund", "--silent", "--prefix", folder, PACKAGE],
            capture_output=True,
            text=True,
            timeout=240,
            check=False,
        )
        if done.returncode or not command.exists():
            said = (done.stderr or done.stdout)[-500:]
            if os.environ.get("CI") == "true":
                pytest.fail(f"npm is here but can't install {PACKAGE}: {said}")
            pytest.skip(f"npm can't install {PACKAGE}: {said}")
    return command.resolve()


@contextmanager
def checked(upstream: str) -> Iterator[str]:
    """The address of Prism before ``upstream``."""
    command = prism_command()
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    process = subprocess.Popen(
        [command, "proxy", CONTRACT, upstream, "--errors", "-h", "127.0.0.1", "-p", str(port)],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    try:
        _await_port(process, port)
        yield f"http://127.0.0.1:{port}"
    finally:
        process.terminate()
        process.wait(10)


def _await_port(process: subprocess.Popen[str], port: int) -> None:
    deadline = time.monotonic() + START_S
    while time.monotonic() < deadline:
        if process.poll() is not None:
            said = process.stdout.read() if process.stdout else ""
            pytest.fail(f"Prism ended at once: {said[-800:]}")
        try:
            socket.create_connection(("127.0.0.1", port), 0.2).close()
        except OSError:
            time.sleep(0.05)
        else:
            return
    pytest.fail(f"Prism did not listen within {START_S} s")
