"""What the data of a frame say: the most urgent event that can be made out, however it is written.

Panels put a second bar, a blank, a partition more or a zone of four digits where DC-04 and DC-05 have
none, and a damaged frame says what its bytes still say. So the data are read as words at their place
first, and then by what stands in them anywhere.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from streams.dc09.codes import CALLS, Kind, capitals, contact_kind, sia_kind

_URGENCY: Final = (*CALLS, Kind.TEST, Kind.OTHER, None)

# Free text of the SIA format: between carets, or as *'name'.
_TEXT = re.compile(r"\^[^^]*\^?|\*'[^']*'?")
_ACCOUNT = re.compile(r"#[0-9A-Za-z]{1,16}(?![0-9A-Za-z])")
# N is new, O old; without it, an N or O is the first letter of a code.
_KIND = re.compile(r"[\s/]*[NO]\s*(?=[a-z]{2}|[A-Z]{2})", re.ASCII)
_SIA = re.compile(
    r"\s*"
    # ti time, id user, ri area, pi peripheral …; some panels leave the slash out.
    r"(?:[a-z]{2}[0-9:.,-]*)*\s*"
    r"(?P<code>[A-Z]{2})(?P<number>[0-9A-F]{0,6})",
    re.ASCII,
)
_SIA_ANYWHERE = re.compile(
    r"(?<![A-Za-z])(?P<kind>[NO])?(?P<code>[A-Z]{2})(?P<number>[0-9A-F]{0,6})(?![A-Za-z])", re.ASCII
)
_CONTACT = re.compile(r"[136][0-9A-F]{3} [0-9A-F]{2} [0-9A-F]{3}", re.ASCII)
_CONTACT_ANYWHERE = re.compile(
    r"(?<![0-9A-Za-z])(?P<qualifier>[0-9A-Z])?(?P<event>1[02][0-9A-F]|60[1238])"
    r"(?:[^0-9A-Za-z]+(?P<group>[0-9A-F]{1,3}))?(?:[^0-9A-Za-z]+(?P<zone>[0-9A-F]{1,4}))?"
    r"(?![0-9A-Za-z])",
    re.ASCII,
)
_ENDS: Final = ("", " ", "^", "*")
_DIGIT = re.compile(r"[0-9]", re.ASCII)
_WORD = re.compile(r"[0-9A-Za-z]+", re.ASCII)
_HEX = frozenset("0123456789ABCDEF")
# How some panels write qualifiers (event, restored), after Ademco's printers.
_LETTERS: Final = {"E": "1", "R": "3"}
_MESSAGE_TYPES: Final = ("18", "98")


@dataclass(frozen=True, slots=True)
class DataEvent:
    """``kind``: None when no event can be made out. ``zone``: point or user, empty when none is said.

    ``placed``: it stood where an event stands. ``firm``: written as the standard has it.
    """

    kind: Kind | None
    zone: str = ""
    placed: bool = False
    firm: bool = False


def read_data(token: str, data: str, account: str = "") -> DataEvent:
    """``account`` is the number that may stand before the bar, when it is known."""
    if account:
        number = re.escape(account)
        data = re.sub(rf"#{number}(?=[|NO1-9 ]|$)|^\s*{number}(?=[|]|$)", "|", data, count=1)
    said = _most_urgent(token, data)
    if said.kind is None:
        loud = _most_urgent(token, capitals(data))
        # One small letter among capitals is a byte that was hurt.
        said = loud if loud.kind in CALLS or data.islower() else said
    return said


def _most_urgent(token: str, data: str) -> DataEvent:
    for events in (_at_their_place(data), _anywhere(token, data)):
        said = min(events, key=_by_urgency, default=None)
        if said is not None and said.kind is not None:
            return said
    return DataEvent(None)


def _by_urgency(said: DataEvent) -> tuple[int, bool, bool]:
    return _URGENCY.index(said.kind), not said.firm, not said.zone


def _at_their_place(data: str) -> Iterator[DataEvent]:
    _, bar, behind = data.partition("|")
    if not bar:
        return
    yield from _contacts(behind)
    yield from _sias(behind)


def _sias(data: str) -> Iterator[DataEvent]:
    for block in _TEXT.sub(" ", data).split("|"):
        kind = _KIND.match(block)
        for part in block[kind.end() if kind else 0 :].split("/"):
            match = _SIA.match(part)
            if match is not None:
                yield _sia(match, kind=kind is not None, placed=True)


def _sia(match: re.Match[str], *, kind: bool, placed: bool) -> DataEvent:
    code, means = match["code"], sia_kind(match["code"])
    may_be_kind = not kind and code[0] == "N"
    behind = match["number"] + match.string[match.end() :][:1]
    runs_on = behind[:1].isalpha() and not _DIGIT.search(behind)
    if means not in CALLS and (may_be_kind or runs_on):
        means = None  # what stands here may be the end, or the beginning, of another code
    ends = match.string[match.end() :][:1] in _ENDS
    return DataEvent(means, match["number"], placed, firm=placed and kind and ends)


def _contacts(data: str) -> Iterator[DataEvent]:
    for part in data.split("|"):
        words = _WORD.findall(part)
        if words and words[0] in _MESSAGE_TYPES and len(words) > 1:
            words = words[1:]
        said = _contact(words, firm=_CONTACT.fullmatch(part) is not None)
        if said is not None:
            yield said


def _contact(words: list[str], *, firm: bool) -> DataEvent | None:
    """``QEEE GG CCC``, with more or fewer blanks, and with or without the qualifier."""
    match [len(word) for word in words]:
        case [1, 3, *_]:
            words = [words[0] + words[1], *words[2:]]
        case [8, *_]:
            words = [words[0][:3], words[0][3:5], words[0][5:]]
        case [9 | 10, *_]:
            words = [words[0][:4], words[0][4:6], words[0][6:]]
        case [3 | 4, *_]:
            pass
        case _:
            return None
    qualifier, event = words[0][:-3], words[0][-3:]
    if not _HEX.issuperset(event):
        return None
    zone = words[2] if len(words) > 2 and _HEX.issuperset(words[2]) else ""
    kind = contact_kind(event, _LETTERS.get(qualifier, qualifier))
    if not qualifier and event[0] == "1" and kind not in CALLS:
        kind = None  # the 1 may be the qualifier, and what is behind it the rest of another event
    return DataEvent(kind, zone, placed=True, firm=firm)


def _anywhere(token: str, data: str) -> Iterator[DataEvent]:
    text = _ACCOUNT.sub(" ", _TEXT.sub(" ", data))
    for match in _CONTACT_ANYWHERE.finditer(text):
        qualifier = match["qualifier"] or ""
        yield DataEvent(
            contact_kind(match["event"], _LETTERS.get(qualifier, qualifier)), match["zone"] or ""
        )
    if token != "ADM-CID":  # noqa: S105
        for match in _SIA_ANYWHERE.finditer(text):
            yield _sia(match, kind=match["kind"] is not None, placed=False)
