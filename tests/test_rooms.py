"""A room imports only what docs/architecture.md allows it."""

import ast
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
ROOMS = {"schemas", "streams", "dashboards", "loadtest", "deploy"}
ALLOWED = {
    "schemas": set(),
    "streams": {"schemas"},
    "dashboards": {"schemas"},
    # Benchmarks start what they measure, and measure the dashboards' queries.
    "loadtest": {"schemas", "streams", "dashboards", "deploy"},
    "deploy": ROOMS,
}


def imported(path: Path) -> set[str]:
    found: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            found |= {alias.name.split(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            found.add(node.module.split(".")[0])
    return found


@pytest.mark.parametrize("room", sorted(ROOMS))
def test_a_room_imports_only_what_it_may(room: str) -> None:
    trespasses = {
        str(path.relative_to(ROOT)): wrong
        for path in (ROOT / room).rglob("*.py")
        if (wrong := (imported(path) & ROOMS) - ALLOWED[room] - {room})
    }
    assert trespasses == {}
