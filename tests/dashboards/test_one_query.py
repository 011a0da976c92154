"""Where the console and Grafana show one number, one query gives it: no SQL stands in the console."""

import ast
import re
from pathlib import Path
from typing import Any

import pytest

from dashboards.console.figures import COUNTRY, of_country, of_school
from dashboards.queries.ask import text_of
from dashboards.queries.query import queries
from tests.dashboards.grafana.conftest import Asked, asked  # noqa: F401 (the fixture)

CONSOLE = Path("dashboards/console")
_SQL = re.compile(
    r"\b(select\b.+\bfrom|insert\s+into|from\s+\w+\s+(where|final|group|order))\b",
    re.IGNORECASE | re.DOTALL,
)
_TABLES = re.compile(r"\b(flow_1m|flow_5m|status_history|incidents_1h|published_\w+)\b")


def _texts(path: Path) -> list[str]:
    """The texts of a module that are values, not descriptions."""
    tree = ast.parse(path.read_text())
    described = {
        id(node.value)
        for node in ast.walk(tree)
        if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)
    }
    return [
        node.value
        for node in ast.walk(tree)
        if isinstance(node, ast.Constant)
        and isinstance(node.value, str)
        and id(node) not in described
    ]


OWN_FILE = CONSOLE / "contacts.py"
"""Asks a SQLite file of the console, and no ClickHouse."""


@pytest.mark.parametrize("path", sorted({*CONSOLE.rglob("*.py")} - {OWN_FILE}), ids=str)
def test_no_sql_stands_in_the_console(path: Path) -> None:
    for text in _texts(path):
        assert not _SQL.search(text) and not _TABLES.search(text), text[:200]


def test_the_search_for_sql_finds_it() -> None:
    assert _SQL.search("SELECT sum(came_in) FROM flow") and _SQL.search("insert into a VALUES")


def _ask(asked: Asked) -> Any:  # noqa: F811
    def ask(name: str, **chosen: str) -> list[tuple[Any, ...]]:
        return [tuple(row) for row in asked.ask(name, **{k: [v] for k, v in chosen.items()}).rows]

    return ask


@pytest.mark.broker
def test_the_country_s_numbers_are_the_dashboard_s(asked: Asked) -> None:  # noqa: F811
    figures = of_country(_ask(asked))
    assert list(figures) == [c for name in COUNTRY for c in queries()[name].columns]
    assert figures["inside"] == asked.day.inside_today == asked.ask("inside_now").one()["inside"]
    assert figures["passes_last_minute"] == asked.ask("passes_now").one()["passes_last_minute"]
    assert figures["reports_today"] >= 0


@pytest.mark.broker
def test_a_schools_page_shows_what_the_dashboard_does(asked: Asked) -> None:  # noqa: F811
    school = asked.day.schools[0]
    known = of_school(_ask(asked), school.id, reports=False)
    assert sum(came for _, came, _ in known["flow"]) == asked.day.came_in[school.id]
    assert known["inside"][1] == asked.ask("school_presence").rows[-1][1]
    said = [status for device, status, *_ in known["history"] if not device]
    assert said[0] == asked.day.status[school.id]
    assert known["reports"] == []
    equipment = known["equipment"]
    assert equipment["turnstiles"] == school.turnstiles
    assert equipment["police_link"] is school.police_link
    assert equipment["contract_number"] == (school.contract or ("",))[0]
    nobody = of_school(_ask(asked), "KZ-75-99999", reports=True)
    nothing: dict[str, object] = {key: [] for key in ("flow", "expected", "history", "reports")}
    assert nobody == nothing | {"inside": None, "equipment": None}


@pytest.mark.parametrize("school", ["x' OR 1=1 --", "KZ-75\\", "'"])
def test_a_choice_that_could_end_its_text_is_refused(school: str) -> None:
    from tests.dashboards.queries.test_macros import SPAN

    with pytest.raises(ValueError, match="quotes"):
        text_of(queries()["school_flow"], SPAN, {"school": [school]})
