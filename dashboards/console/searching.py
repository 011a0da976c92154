"""Finding schools by what people know of them. Pure."""

import json
import re
from collections.abc import Callable, Mapping
from functools import cache
from pathlib import Path
from typing import Any, Final

MOST_FOUND: Final = 20
LONGEST: Final = 100
PLACES: Final = Path(__file__).parent / "static" / "i18n" / "places.json"


def found(
    schools: Mapping[str, dict[str, Any]], asked: str, sees: Callable[[str], bool]
) -> list[dict[str, Any]]:
    """Schools of which each word of ``asked`` begins a word of the id, a name, the district or the region,
    in any language and case; those of whom more words are whole ones come first.
    """
    wanted = _words(asked[:LONGEST])
    if not wanted:
        return []
    ranked = []
    for id_, school in schools.items():
        known = _known(id_, school)
        fits = all(any(word.startswith(want) for word in known) for want in wanted)
        if fits and sees(id_):
            ranked.append((-sum(want in known for want in wanted), id_, school))
    ranked.sort(key=lambda one: one[:2])
    return [school for _, _, school in ranked[:MOST_FOUND]]


def _known(id_: str, school: dict[str, Any]) -> frozenset[str]:
    names = school["names"]
    return _of(id_, names["kk"], names["ru"], names["en"], school["district"], school["region"])


@cache
def _of(id_: str, kk: str, ru: str, en: str, district: str, region: str) -> frozenset[str]:
    near = (text for place in (district, region) for text in _places().get(place, {}).values())
    number = id_[6:]
    numbers = [number, str(int(number)), id_[3:]] if number.isdecimal() else []
    return frozenset([*_words(" ".join([id_, kk, ru, en, district, *near])), *numbers])


@cache
def _places() -> dict[str, dict[str, str]]:
    """Names of regions and districts in three languages, as the page has them."""
    named: dict[str, dict[str, str]] = json.loads(PLACES.read_text())
    return named


def _words(text: str) -> list[str]:
    return re.findall(r"[\w-]*\w", text.casefold().replace("ё", "е"))
