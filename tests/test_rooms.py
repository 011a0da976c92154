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


FLOOR = "streams.runtime"
"""Every room but schemas may stand on it."""


def imported(path: Path) -> set[str]:
    found: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            found.add(node.module)
    return found


def rooms(modules: set[str], *, of: str) -> set[str]:
    above = modules if of == "schemas" else {m for m in modules if not m.startswith(FLOOR)}
    return {module.split(".")[0] for module in above} & ROOMS


@pytest.mark.parametrize("room", sorted(ROOMS))
def test_a_room_imports_only_what_it_may(room: str) -> None:
    trespasses = {
        str(path.relative_to(ROOT)): wrong
        for path in (ROOT / room).rglob("*.py")
        if (wrong := rooms(imported(path), of=room) - ALLOWED[room] - {room})
    }
    assert trespasses == {}


def test_the_floor_stands_on_schemas_alone() -> None:
    trespasses = {
        str(path.relative_to(ROOT)): wrong
        for path in (ROOT / "streams" / "runtime").rglob("*.py")
        if (
            wrong := {
                m
                for m in imported(path)
                if m.split(".")[0] in ROOMS - {"schemas"} and not m.startswith(FLOOR)
            }
        )
    }
    assert trespasses == {}
