"""The .sql files by themselves; test_migrations.py applies them."""

import re
from pathlib import Path

import pytest

from schemas.migrations import SQL

FILES = sorted(SQL.glob("*.sql"))
ALL = "\n".join(path.read_text(encoding="utf-8") for path in FILES)
TABLE = re.compile(r"^CREATE TABLE IF NOT EXISTS (\w+)", re.MULTILINE)
FED_BY_A_VIEW = set(re.findall(r"^CREATE MATERIALIZED VIEW .* TO (\w+)", ALL, re.MULTILINE))
NEEDED_WINDOW = 10_000


def _statements(text: str) -> dict[str, str]:
    """Each table's own statement, with the comment above it."""
    statements = {}
    for statement in re.split(r";\n", text):
        if found := TABLE.search(statement):
            statements[found[1]] = statement.strip()
    return statements


TABLES = _statements(ALL)


@pytest.mark.parametrize("table", TABLES)
def test_each_table_says_which_question_it_answers(table: str) -> None:
    comment = TABLES[table].split("CREATE TABLE")[0].strip().split("\n\n")[-1]
    assert comment.startswith("-- Asked: ")


def test_no_two_files_have_the_same_number() -> None:
    numbers = [path.name.split("_")[0] for path in FILES]
    assert len(set(numbers)) == len(numbers)
    assert all(re.fullmatch(r"[0-9]{3}", number) for number in numbers)


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.name)
def test_a_file_that_was_applied_in_half_can_be_applied_again(path: Path) -> None:
    """A migration is recorded after its last statement; a kill before that runs it twice."""
    changes = re.findall(
        r"^CREATE .*|^ALTER .* ADD COLUMN .*|^ALTER .* MODIFY SETTING .*",
        path.read_text(encoding="utf-8"),
        re.MULTILINE,
    )
    assert changes
    bears_it = ("IF NOT EXISTS", "OR REPLACE", "MODIFY SETTING")
    assert all(any(words in change for words in bears_it) for change in changes)


@pytest.mark.parametrize(
    "table",
    [name for name, text in TABLES.items() if name in FED_BY_A_VIEW or "kafka_offset" in text],
)
def test_a_table_that_is_counted_on_remembers_enough_parts_to_deduplicate(table: str) -> None:
    window = re.search(r"non_replicated_deduplication_window = (\d+)", TABLES[table])
    assert window is not None and int(window[1]) >= NEEDED_WINDOW


def test_the_tables_are_found() -> None:
    assert {"passes", "flow_1m", "schools", "dead_letters", "alert_transitions"} <= set(TABLES)
