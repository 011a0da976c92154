"""An alert's kind is called the same on the page as in the console, in every language."""

import json
from pathlib import Path
from typing import get_args

import pytest

from dashboards.console.kinds import FOLDER, with_kinds
from schemas.alerts import AlertKind
from schemas.names import KINDS, Language, Names
from streams.paging.words import name_of

LANGUAGES: tuple[Language, ...] = get_args(Language)
ROOT = Path(__file__).parents[3]


def test_every_kind_has_a_name_of_its_own_in_every_language() -> None:
    assert set(KINDS) == set(AlertKind)
    assert Names._fields == LANGUAGES
    for language in LANGUAGES:
        names = [names.by(language) for names in KINDS.values()]
        assert all(names) and len(set(names)) == len(names)


@pytest.mark.parametrize("language", LANGUAGES)
def test_the_console_says_what_a_page_says(language: Language) -> None:
    """If not, run ``python -m dashboards.console.kinds``."""
    text = (FOLDER / f"{language}.json").read_text("utf-8")
    assert with_kinds(text, language) == text
    words = json.loads(text)
    assert {kind: words[kind] for kind in AlertKind} == {
        kind: name_of(kind, language) for kind in AlertKind
    }


def test_a_kind_is_written_by_hand_in_three_shared_files_at_most() -> None:
    """The enum, its names, and the lane that raises it; what is generated is not counted."""
    by_hand = {
        str(path.relative_to(ROOT))
        for room in ("schemas", "streams", "dashboards", "deploy")
        for path in (ROOT / room).rglob("*.py")
        if "STUCK_OPEN" in path.read_text() or '"stuck_open"' in path.read_text()
    }
    shared = {path for path in by_hand if not path.startswith("streams/arrivals/")}
    assert shared <= {"schemas/alerts.py", "schemas/names.py"}
