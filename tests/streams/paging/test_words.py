"""Who is paged reads it in their own language, whatever the alert and the reason."""

import re
from itertools import product
from typing import get_args

import pytest

from schemas.alerts import AlertKind
from schemas.names import Language
from schemas.steps import Took
from streams.paging.page import Call, Why, page, text, title
from streams.paging.words import WORDS, name_of

LANGUAGES: tuple[Language, ...] = get_args(Language)


def test_each_language_has_the_same_words_with_the_same_blanks() -> None:
    assert set(WORDS) == set(LANGUAGES)
    blanks = [
        {name: sorted(re.findall(r"\{\w+\}", said)) for name, said in WORDS[one].items()}
        for one in LANGUAGES
    ]
    assert blanks[0] == blanks[1] == blanks[2]


@pytest.mark.parametrize("language", ["kk", "ru"])
def test_nothing_of_a_page_stays_english(language: Language) -> None:
    english = set(re.findall(r"[a-z]{3,}", " ".join(WORDS["en"].values())))
    for kind, why in product(AlertKind, get_args(Why)):
        said = page("duty", [call(kind, why, n) for n in range(2)], 0)
        whole = f"{title(said, language)} {text(said, 'https://c.kz', language)}"
        assert not english & set(re.findall(r"[a-z]{3,}", re.sub(r"https\S+", "", whole)))
        assert name_of(kind, language) in whole


def test_what_the_watchdog_found_is_named() -> None:
    assert name_of("pipeline_silent: kafka_lag", "en") == "pipeline silent: kafka lag"
    assert name_of("pipeline_silent: kafka_lag", "kk") == "жүйенің өзі үнсіз: kafka lag"


def call(kind: AlertKind, why: Why, number: int) -> Call:
    return Call(
        id=f"call-{number}", alert=f"{number}", school=f"KZ-75-0000{number}", kind=kind,
        channel="duty", why=why, took=Took.NOTIFIED, due_ms=0,
    )  # fmt: skip
