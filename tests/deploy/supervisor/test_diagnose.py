import socket
from pathlib import Path

from deploy.supervisor.diagnose import disk_trouble, memory_trouble, port_trouble


def test_a_full_disk_is_named_with_what_to_do() -> None:
    trouble = disk_trouble(10**9, Path("var"))
    assert trouble is not None
    assert "1.0 GB are free" in trouble and "SAQSHY_VAR" in trouble
    assert disk_trouble(10**11, Path("var")) is None


def test_short_memory_is_named() -> None:
    assert "memory" in (memory_trouble(10**9) or "")
    assert memory_trouble(10**11) is None


def test_a_taken_port_is_named_with_who_has_it() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        assert f"Port {port}, wanted for console" in (port_trouble(port, "console") or "")
    assert port_trouble(port, "console") is None
