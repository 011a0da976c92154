"""The SIA format (DC-03, DC-04) as the data of a "SIA-DCS" frame: ``#acct|Nri1/PA12^text^``."""

import re
from dataclasses import dataclass
from typing import Final

PANIC: Final = "PA"
HOLDUP: Final = "HA"

_DATA = re.compile(
    r"(?:#(?P<account>[0-9A-Za-z]{1,16}))?\|(?P<kind>[NO])?"
    # ti time, id user, ri area, pi peripheral …; some panels leave the slash out.
    r"(?P<modifiers>(?:[a-z]{2}[0-9:.,-]*/?)*)"
    r"(?P<code>[A-Z]{2})(?P<number>[0-9A-F]{0,6})(?P<text>.*)",
    re.ASCII | re.DOTALL,
)
_AREA = re.compile(r"ri([0-9]+)", re.ASCII)


@dataclass(frozen=True, slots=True)
class SiaDcs:
    """``code`` is the event's two letters, ``number`` its point or user, ``area`` the panel's."""

    code: str
    number: str = ""
    area: str = ""
    text: str = ""


def parse_sia_dcs(data: str) -> SiaDcs | None:
    """The first event of the data; None when it is no SIA format."""
    match = _DATA.fullmatch(data)
    if match is None:
        return None
    area = _AREA.search(match["modifiers"])
    return SiaDcs(match["code"], match["number"], area[1] if area else "", match["text"].strip("^"))


def format_sia_dcs(account: str, event: SiaDcs) -> str:
    area = f"ri{event.area}/" if event.area else ""
    text = f"^{event.text}^" if event.text else ""
    return f"#{account}|N{area}{event.code}{event.number}{text}"
