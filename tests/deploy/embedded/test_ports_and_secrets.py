import json
import socket
import stat
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from deploy.embedded.ports import free_port, is_free, kept_port
from deploy.embedded.secrets import secret, secret_path, write_private


def test_a_port_is_kept_between_starts(tmp_path: Path) -> None:
    port = kept_port(tmp_path, "kafka")
    assert kept_port(tmp_path, "kafka") == port
    assert kept_port(tmp_path, "clickhouse") != port


def test_a_port_that_was_taken_meanwhile_is_replaced(tmp_path: Path) -> None:
    port = kept_port(tmp_path, "kafka")
    with socket.create_server(("127.0.0.1", port)):
        assert not is_free(port)
        assert kept_port(tmp_path, "kafka") != port


def test_a_configured_port_wins_and_is_remembered(tmp_path: Path) -> None:
    kept_port(tmp_path, "kafka")
    wanted = free_port()
    assert kept_port(tmp_path, "kafka", wanted) == wanted
    assert kept_port(tmp_path, "kafka") == wanted


def test_a_broken_file_of_ports_is_no_obstacle(tmp_path: Path) -> None:
    (tmp_path / "run").mkdir()
    for broken in ("{", "[1]", json.dumps({"kafka": "x"})):
        (tmp_path / "run" / "ports.json").write_text(broken)
        assert kept_port(tmp_path, "kafka") > 0


def test_parts_that_start_at_once_get_different_ports(tmp_path: Path) -> None:
    with ThreadPoolExecutor(8) as pool:
        ports = list(pool.map(lambda n: kept_port(tmp_path, f"part-{n}"), range(16)))
    assert len(set(ports)) == 16


def test_no_two_processes_are_given_the_same_port() -> None:
    """Though nobody listens there yet: who is told a port may need a while to listen."""
    code = (
        "from itertools import cycle; from deploy.embedded import ports\n"
        "few = cycle(range(24_000, 24_150)); ports._order = lambda: few\n"
        "print(*(ports.free_port() for _ in range(20)), flush=True); input()"
    )
    command = [sys.executable, "-c", code]
    processes = [
        subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        for _ in range(4)
    ]
    lines = [process.stdout.readline() for process in processes if process.stdout is not None]
    for process in processes:
        process.communicate("\n")
    given = [port for line in lines for port in line.split()]
    assert len(given) == len(set(given)) == 80


def test_no_port_is_one_of_those_that_outgoing_connections_get() -> None:
    """A client of a broker that is away could be given it, and would be in its way."""
    ports = {free_port() for _ in range(200)}
    assert len(ports) == 200
    outgoing = set()
    for _ in range(200):
        with socket.socket() as one:
            one.bind(("127.0.0.1", 0))
            outgoing.add(one.getsockname()[1])
    assert max(ports) < min(outgoing)


def test_a_secret_is_made_once_and_is_the_owners_only(tmp_path: Path) -> None:
    with ThreadPoolExecutor(8) as pool:
        (made,) = set(pool.map(lambda _: secret(tmp_path, "password"), range(32)))
    assert len(made) >= 32
    path = secret_path(tmp_path, "password")
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700
    assert [file.name for file in path.parent.iterdir()] == ["password"]


def test_what_is_written_privately_was_never_readable_by_others(tmp_path: Path) -> None:
    path = tmp_path / "stack.json"
    path.write_text("old")
    path.chmod(0o644)
    write_private(path, "new")
    assert path.read_text() == "new"
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
