"""Health, metrics and the direct door stand in one place: no exposition text and no such route elsewhere."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from streams.runtime.metrics import BY_NAME, PREFIX

ROOT = Path(__file__).parents[1]
TOP = ("streams", "deploy", "dashboards", "loadtest")
FLOOR = ROOT / "streams" / "runtime"
SAMPLE = re.compile(r"^# (HELP|TYPE) |^saqshy_\w+(\{.*\})? \S+$", re.MULTILINE)
SAID = re.compile(r"\bsaqshy_[a-z0-9_]+")


def texts(tree: ast.AST) -> Iterator[str]:
    """Literals, and f-strings with 0 for what they fill in."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Constant) and isinstance(node.value, str):
            yield node.value
        elif isinstance(node, ast.JoinedStr):
            filled = (str(p.value) if isinstance(p, ast.Constant) else "0" for p in node.values)
            yield "".join(filled)


def docstrings(tree: ast.AST) -> set[str]:
    return {
        node.value.value
        for node in ast.walk(tree)
        if isinstance(node, ast.Expr)
        and isinstance(node.value, ast.Constant)
        and isinstance(node.value.value, str)
    }


def faults(code: str) -> list[str]:
    tree = ast.parse(code)
    said = set(texts(tree)) - docstrings(tree)
    found = [text for text in said if SAMPLE.search(text.strip())]
    for node in ast.walk(tree):
        arguments = node.args if isinstance(node, ast.Call) else []
        name = ast.unparse(node.func) if isinstance(node, ast.Call) else ""
        routes = ("Route", "add_get", "add_route", "get", "route")
        if name.rpartition(".")[2] in routes and not name.startswith(("session", "http", "web_")):
            found += [
                a.value
                for a in arguments
                if isinstance(a, ast.Constant) and a.value in ("/health", "/metrics")
            ]
    return found


def doors(code: str) -> list[int]:
    """Lines that route /direct in a module that does not answer there as ``streams.runtime.direct`` does."""
    tree = ast.parse(code)
    calls = [node for node in ast.walk(tree) if isinstance(node, ast.Call)]
    shared = {
        name.asname or name.name
        for node in ast.walk(tree)
        if isinstance(node, ast.ImportFrom) and node.module == "streams.runtime.direct"
        for name in node.names
        if name.name == "answer"
    }
    if any(ast.unparse(call.func) in shared for call in calls):
        return []
    verbs = ("Route", "add_post", "add_route", "post", "route")
    return [
        call.lineno
        for call in calls
        if ast.unparse(call.func).rpartition(".")[2] in verbs
        and any(isinstance(a, ast.Constant) and a.value == "/direct" for a in call.args)
    ]


def modules() -> list[Path]:
    return [
        path for top in TOP for path in (ROOT / top).rglob("*.py") if not path.is_relative_to(FLOOR)
    ]


def test_nobody_else_writes_exposition_text_or_serves_health() -> None:
    found = {str(path.relative_to(ROOT)): faults(path.read_text()) for path in modules()}
    assert {name: said for name, said in found.items() if said} == {}


def test_nobody_else_opens_a_direct_door() -> None:
    """But the benchmark that is told directly in the place of a console."""
    measured = ROOT / "loadtest" / "hostile" / "bench.py"
    found = {str(p.relative_to(ROOT)): doors(p.read_text()) for p in modules() if p != measured}
    assert {name: lines for name, lines in found.items() if lines} == {}
    assert doors(measured.read_text())


@pytest.mark.parametrize(
    "code",
    [
        'app.router.add_post("/direct", told)',
        'web.post("/direct", told)',
        'Route("/direct", told, methods=["POST"])',
        '@routes.post("/direct")\nasync def told(_): return answer(_)',
        'from streams.runtime.direct import answer\nweb.post("/direct", told)',
    ],
)
def test_a_door_of_its_own_is_found(code: str) -> None:
    assert doors(code)


@pytest.mark.parametrize(
    "code",
    [
        'f"saqshy_dispatch_{name} {value}"',
        "f'saqshy_lag{{lane=\"{name}\"}} {value}'",
        'text = "# HELP saqshy_lag Records"',
        'routes.get("/health")(health)',
        'it.router.add_get("/metrics", metrics)',
        'Route("/health", health)',
    ],
)
def test_the_test_knows_what_it_looks_for(code: str) -> None:
    assert faults(code) != []


def test_what_the_docs_and_the_sampler_name_is_declared() -> None:
    """Databases, users, roles and a cookie have such names, too."""
    others = {"saqshy_reader", "saqshy_role", "saqshy_places", "saqshy_bench_", "saqshy_known"}
    documents = [*(ROOT / "docs").glob("*.md"), ROOT / "README.md"]
    declared = {PREFIX + name for name in BY_NAME}
    named = {
        (path.name, name)
        for path in documents
        for name in SAID.findall(path.read_text())
        if name not in others
    }
    assert {one for one in named if one[1] not in declared} == set()
