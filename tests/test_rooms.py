"""A room imports only what the table of docs/architecture.md allows it, and every module is in a room."""

import ast
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
TOP = ("schemas", "streams", "dashboards", "loadtest", "deploy")
LINK = re.compile(r"\]\(\.\./([a-z0-9_/.]+)\)")


def module_of(path: str) -> str:
    return path.removesuffix("/").removesuffix(".py").replace("/", ".")


def table() -> dict[tuple[str, ...], set[str]]:
    """Of the rooms of each line what they may import, by the dotted names of folders and files."""
    lines = {}
    text = (ROOT / "docs" / "architecture.md").read_text()
    section = text.split("\n## Rooms\n")[1].split("\n## ")[0]
    for line in section.splitlines():
        if not line.startswith("| ["):
            continue
        names, _, allowed = line.strip("| ").rsplit(" | ", 2)
        paths = LINK.findall(names)
        assert [path for path in paths if not (ROOT / path).exists()] == []
        rooms = tuple(module_of(path) for path in paths)
        lines[rooms] = {one.strip() for one in allowed.split(",")} - {"nothing"}
    return lines


LINES = table()
ROWS = {room: allowed for rooms, allowed in LINES.items() for room in rooms}


def within(module: str, room: str) -> bool:
    return module == room or module.startswith(f"{room}.")


def room_of(module: str) -> str | None:
    """The row that names it most closely."""
    return max((room for room in ROWS if within(module, room)), key=len, default=None)


def imported(path: Path) -> set[str]:
    found: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            found.add(node.module)
    return {module for module in found if module.split(".")[0] in TOP}


def modules() -> dict[str, set[str]]:
    return {
        module_of(str(path.relative_to(ROOT))).removesuffix(".__init__"): imported(path)
        for top in TOP
        for path in sorted((ROOT / top).rglob("*.py"))
    }


MODULES = modules()


def test_every_module_is_in_a_room() -> None:
    packages = {"streams", "dashboards"}
    assert [m for m in MODULES if room_of(m) is None and m not in packages] == []


@pytest.mark.parametrize("room", sorted(ROWS))
def test_a_room_imports_only_what_it_may(room: str) -> None:
    allowed = ROWS[room] | {room}
    trespasses = {
        module: wrong
        for module, uses in MODULES.items()
        if room_of(module) == room
        and (
            wrong := {
                m for m in uses if "all" not in allowed and not any(within(m, a) for a in allowed)
            }
        )
    }
    assert trespasses == {}


def test_the_table_allows_nothing_that_no_module_needs() -> None:
    unused = {
        (rooms, a)
        for rooms, allowed in LINES.items()
        for a in allowed - {"all", "schemas", "streams.runtime"}
        if not any(room_of(m) in rooms and within(u, a) for m, of in MODULES.items() for u in of)
    }
    assert unused == set()
