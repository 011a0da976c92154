"""What Grafana's user may read. No server with SQL users can be had here: the grants are checked as
text against the views that exist, and that the views give away nothing of a person, on the engine."""

import re

import pytest

from dashboards.grafana.query import FOLDER, queries
from tests.dashboards.grafana.conftest import Asked

READER = (FOLDER.parent / "reader.sql").read_text()
GRANTED = set(re.findall(r"GRANT SELECT ON (\w+) TO saqshy_reader;", READER))


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


def test_every_view_that_is_granted_is_asked() -> None:
    asked_of = {
        table
        for query in queries().values()
        for table in re.findall(r"\b(?:FROM|JOIN)\s+(published_\w+)", query.sql)
    }
    assert asked_of == GRANTED
