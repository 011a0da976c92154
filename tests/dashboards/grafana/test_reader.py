"""What Grafana's user may read: the grants of reader.sql, given to the engine's user by configuration,
since the embedded engine knows no CREATE USER. The engine enforces them as a server would."""

import json
import re
import subprocess
import sys
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from dashboards.grafana import provision
from dashboards.queries.ask import text_of
from dashboards.queries.macros import Range
from dashboards.queries.query import queries
from tests.dashboards.grafana.conftest import Asked
from tests.dashboards.grafana.engine import MIGRATIONS

READER = (Path(provision.__file__).parent / "reader.sql").read_text()
GRANTED = set(re.findall(r"GRANT SELECT ON (\w+) TO saqshy_reader;", READER))

Ask = Callable[[list[str]], list[str]]


@pytest.fixture(scope="module")
def as_reader(tmp_path_factory: pytest.TempPathFactory) -> Ask:
    """Asks the engine as a user with the grants of reader.sql; the owner made tables and views."""
    home = tmp_path_factory.mktemp("reader")

    def run(statements: list[str], grants: list[str]) -> list[str]:
        program = Path(__file__).parent / "as_reader.py"
        done = subprocess.run(
            [sys.executable, program, home, *grants],
            input=json.dumps(statements),
            capture_output=True,
            text=True,
            timeout=120,
            check=True,
        )
        answers: list[str] = json.loads(done.stdout.splitlines()[-1])
        return answers

    made = [
        statement.replace("DEFINER = CURRENT_USER", "DEFINER = owner")
        for path in sorted(MIGRATIONS.glob("*.sql"))
        for statement in path.read_text().split(";\n")
        if statement.strip()
    ]
    assert not any(run(made, ["GRANT ALL ON *.*"]))
    grants = [f"GRANT SELECT ON default.{view}" for view in sorted(GRANTED)]
    return lambda statements: run(statements, grants)


@pytest.mark.broker
def test_the_reader_can_ask_every_query(as_reader: Ask) -> None:
    now = datetime.now(UTC)
    span = Range(now - timedelta(days=1), now)
    chosen = {"school": ["KZ-71-00001"]}
    asked_for = [text_of(q, span, chosen) for q in queries().values() if not q.console_only]
    refused = [answer for answer in as_reader(asked_for) if answer.startswith("error")]
    assert not refused


@pytest.mark.broker
def test_the_reader_can_read_no_table_and_change_nothing(as_reader: Ask, asked: Asked) -> None:
    tables = asked.engine.rows(
        "SELECT name FROM system.tables WHERE database = currentDatabase() AND name NOT IN "
        f"({', '.join(repr(view) for view in sorted(GRANTED))})"
    )["data"]
    names = [name for (name,) in tables]
    assert {"passes", "incidents", "incidents_1h", "panics", "alert_transitions"} <= set(names)
    tries = [f"SELECT * FROM {name} LIMIT 1" for name in names]
    tries += [
        "INSERT INTO schools (school) SELECT 'x'",
        "DROP VIEW published_schools",
        "CREATE TABLE mine (a Int8) ENGINE = Memory",
        "SELECT * FROM url('http://127.0.0.1:1/', CSV, 'a String')",
        "SELECT * FROM file('/etc/passwd', LineAsString)",
    ]
    answers = as_reader(tries)
    for statement, answer in zip(tries, answers, strict=True):
        assert "ACCESS_DENIED" in answer, (statement, answer)


@pytest.mark.broker
def test_it_is_granted_every_published_view_and_nothing_else(asked: Asked) -> None:
    views = asked.engine.rows(
        "SELECT name FROM system.tables WHERE database = currentDatabase() "
        "AND engine = 'View' AND name LIKE 'published%'"
    )["data"]
    assert {name for (name,) in views} == GRANTED
    assert re.findall(r"GRANT (?!SELECT ON published_)(.+);", READER) == [
        "saqshy_reader TO saqshy_reader"
    ]


@pytest.mark.broker
def test_every_view_reads_with_its_creators_rights(asked: Asked) -> None:
    """Else the reader would need grants on the tables beneath."""
    made = asked.engine.rows(
        "SELECT name, create_table_query FROM system.tables "
        "WHERE database = currentDatabase() AND name LIKE 'published%'"
    )["data"]
    assert len(made) == len(GRANTED)
    assert all("SQL SECURITY DEFINER" in statement for _, statement in made)


@pytest.mark.broker
def test_no_view_shows_cards_texts_places_or_people(asked: Asked) -> None:
    columns = asked.engine.rows(
        "SELECT DISTINCT name FROM system.columns "
        "WHERE database = currentDatabase() AND table LIKE 'published%'"
    )["data"]
    private = {"card", "text", "place", "case_number", "inspector", "actor", "note", "sha256",
               "detail", "finding_texts", "contract_number", "topic_of_help"}  # fmt: skip
    assert not {name for (name,) in columns} & private


@pytest.mark.broker
def test_the_reader_can_ask_nothing_that_is_the_consoles(as_reader: Ask) -> None:
    now = datetime.now(UTC)
    span = Range(now - timedelta(days=1), now)
    theirs = [text_of(q, span) for q in queries().values() if q.console_only]
    assert theirs
    assert all("ACCESS_DENIED" in answer for answer in as_reader(theirs))


def test_every_view_that_is_granted_is_asked() -> None:
    asked_of = {
        table
        for query in queries().values()
        for table in re.findall(r"\b(?:FROM|JOIN)\s+(published_\w+)", query.sql)
    }
    assert asked_of == GRANTED
