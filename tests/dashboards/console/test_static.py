"""The page's own files: lines, words, and nothing that its content security policy forbids."""

import json
import re
from pathlib import Path

import pytest

from dashboards.console.access import Role
from dashboards.console.server import STATIC
from schemas.alerts import AlertKind, Status
from schemas.steps import PanicOutcome, Took

LANGUAGES = ("kk", "ru", "en")
LINE = 110
OURS = sorted(
    path
    for path in STATIC.rglob("*")
    if path.suffix in (".js", ".css", ".html") and "vendor" not in path.parts
)
# Keys that are made of what the server says: t(`took_${step.took}`) and the like.
MADE = (
    "took",
    "outcome",
    "role",
    "state",
    "kept",
    "contact",
    "refused",
    "did",
    "part",
    "do",
    "close",
)
STATES = ("open", "acknowledged", "dispatched", "arrived", "closed", "resolved")


def words(language: str) -> dict[str, str]:
    found: dict[str, str] = json.loads((STATIC / "i18n" / f"{language}.json").read_text())
    return found


def script() -> str:
    return "\n".join(path.read_text() for path in OURS if path.suffix == ".js")


@pytest.mark.parametrize("path", OURS, ids=lambda path: path.name)
def test_no_line_is_longer_than_others_of_ours_and_no_file_than_400(path: Path) -> None:
    lines = path.read_text().splitlines()
    assert [n for n, line in enumerate(lines, 1) if len(line) > LINE] == []
    assert len(lines) <= 400


@pytest.mark.parametrize("path", OURS, ids=lambda path: path.name)
def test_nothing_needs_what_the_content_security_policy_forbids(path: Path) -> None:
    text = path.read_text()
    assert (
        re.findall(
            r"\bon[a-z]+=[\"']|style=[\"']|<style|javascript:|\beval\(|new Function|innerHTML\b",
            text,
        )
        == []
    )
    assert [tag for tag in re.findall(r"<script[^>]*>", text) if " src=" not in tag] == []
    assert re.findall(r"https?://(?!www\.amcharts\.com/)[^\s\"']+", text) == []


@pytest.mark.parametrize("language", LANGUAGES)
def test_every_language_has_the_same_words_and_none_is_empty(language: str) -> None:
    assert sorted(words(language)) == sorted(words("en"))
    assert all(text.strip() for text in words(language).values())
    gaps = {key: text.count("{}") for key, text in words("en").items()}
    assert {key: text.count("{}") for key, text in words(language).items()} == gaps


def asked_for() -> set[str]:
    """The keys that the page asks for, and those it makes of statuses, kinds, steps and roles."""
    return {
        *re.findall(r'\bt\(\s*"(\w+)"', script()),
        *(status.value for status in Status),
        *(kind.value for kind in AlertKind),
        *(f"took_{took.value}" for took in Took),
        *(f"outcome_{outcome.value or 'none'}" for outcome in PanicOutcome),
        *(f"role_{role.value}" for role in Role if role is not Role.MACHINE),
        *(f"state_{state}" for state in STATES),
        "kept_dispatch",
        "kept_memory",
    }


def test_every_word_that_is_asked_for_exists() -> None:
    assert len(asked_for()) > 100
    assert asked_for() - set(words("en")) == set()


def test_no_word_is_kept_that_nobody_asks_for() -> None:
    named = asked_for() | set(re.findall(r'"(\w+)"', script()))
    kept = {key for key in words("en") if key.partition("_")[0] not in MADE}
    assert kept - named == set()


def test_the_map_s_borders_can_be_told_from_its_land() -> None:
    for theme in re.findall(
        r"data-theme=.(\w+).[^{]*\{([^}]*)\}", (STATIC / "css" / "tokens.css").read_text()
    ):
        colours = dict(re.findall(r"--([\w-]+): (#[0-9a-f]{3,6})", theme[1]))
        assert contrast(colours["map-border"], colours["land"]) >= 3, theme[0]
        assert contrast(colours["panic"], colours["panel"]) >= 4.5, theme[0]


def contrast(one: str, other: str) -> float:
    """WCAG 2.2, relative luminance."""

    def light(colour: str) -> float:
        digits = colour[1:] if len(colour) == 7 else "".join(2 * digit for digit in colour[1:])
        parts = [int(digits[n : n + 2], 16) / 255 for n in (0, 2, 4)]
        r, g, b = (
            part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts
        )
        return 0.2126 * r + 0.7152 * g + 0.0722 * b

    high, low = sorted((light(one), light(other)), reverse=True)
    return (high + 0.05) / (low + 0.05)
