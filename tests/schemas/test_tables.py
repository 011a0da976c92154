"""The .sql files by themselves; test_migrations.py applies them."""

import re

import pytest

from schemas.migrations import SQL

FILES = sorted(SQL.glob("*.sql"))
TABLE = re.compile(r"^CREATE (?:TABLE|VIEW) IF NOT EXISTS (\w+)", re.MULTILINE)


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.name)
def test_each_table_says_which_question_it_answers(path) -> None:
    paragraphs = path.read_text(encoding="utf-8").split("\n\n")
    tables = [paragraph for paragraph in paragraphs if TABLE.search(paragraph)]
    assert tables
    for table in tables:
        assert table.startswith("-- Asked: "), TABLE.search(table)[1]


def test_the_files_are_numbered_from_one_without_a_gap() -> None:
    assert [int(path.name.split("_")[0]) for path in FILES] == list(range(1, len(FILES) + 1))


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.name)
def test_a_file_that_was_applied_in_half_can_be_applied_again(path) -> None:
    """A migration is recorded after its last statement; a kill before that runs it twice."""
    creates = re.findall(r"^CREATE .*", path.read_text(encoding="utf-8"), re.MULTILINE)
    assert all("IF NOT EXISTS" in create for create in creates)


def test_every_table_that_is_written_to_remembers_enough_parts_to_deduplicate() -> None:
    for path in FILES:
        for statement in path.read_text(encoding="utf-8").split(";\n"):
            if re.search(r"^CREATE TABLE", statement, re.MULTILINE):
                window = re.search(r"non_replicated_deduplication_window = (\d+)", statement)
                assert window is not None and int(window[1]) >= 10_000, TABLE.search(statement)[1]
