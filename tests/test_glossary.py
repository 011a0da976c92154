"""docs/glossary.md and the code use the same words."""

import re
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
ROOMS = ("schemas", "streams", "dashboards", "loadtest", "deploy")


def rows() -> list[tuple[str, str, str]]:
    lines = (ROOT / "docs" / "glossary.md").read_text().splitlines()
    cells = [line.strip("|").split("|") for line in lines if line.startswith("| ")]
    told = [(term.strip(), means.strip(), old.strip()) for term, means, old in cells]
    return [row for row in told if row[0] != "term"]


ROWS = rows()
TERMS = [term.strip() for terms, _, _ in ROWS for term in terms.split(",")]
OLD = [word for _, _, old in ROWS for word in re.findall(r"`([^`]+)`", old)]


def plain(text: str) -> str:
    """In small letters, with names taken apart and nothing but one blank between words."""
    apart = re.sub(r"(?<=[a-z])(?=[A-Z])", " ", text)
    return f" {' '.join(re.findall(r'[a-z0-9]+', apart.lower()))} "


@cache
def code() -> str:
    paths = (path for room in ROOMS for path in sorted((ROOT / room).rglob("*.py")))
    return plain("\n".join(path.read_text() for path in paths))


def is_used(term: str) -> bool:
    return any(f"{plain(term).rstrip()}{end} " in code() for end in ("", "s", "es"))


@pytest.mark.parametrize("term", TERMS)
def test_every_term_is_used(term: str) -> None:
    assert is_used(term)


@pytest.mark.parametrize("word", OLD)
def test_no_old_name_is_used(word: str) -> None:
    assert not is_used(word)


def test_a_term_has_one_row_and_is_explained_in_a_sentence_or_two() -> None:
    assert len(set(TERMS)) == len(TERMS) > 30
    assert all(15 < len(means) < 160 for _, means, _ in ROWS)


def test_who_comes_new_is_led_to_it() -> None:
    for page in ("docs/architecture.md", "CONTRIBUTING.md"):
        assert "glossary.md" in (ROOT / page).read_text()
