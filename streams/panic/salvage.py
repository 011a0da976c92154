"""What a press still says when no model accepts it: duress, place, and who. Pure; it never raises.

JSON that can be parsed is read by its structure, with every name of an object that has it twice, and
into texts that hold JSON themselves. Of everything else (cut off, spliced, form-encoded, XML, Python's
own notation) the fields are found by name.

Duress is said when its field is there and does not deny it: who presses under duress is in danger if
the alarm shows, who does not only gets a silent police car. So ``1``, ``"yes"`` and a value that nobody
knows count, ``false``, ``0``, ``null`` and ``""`` do not, and one ``true`` outweighs a ``false``.
"""

import base64
import binascii
import json
import re
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Any, Final
from urllib.parse import parse_qsl, unquote_plus

from schemas.events import DEVICE_PATTERN, SCHOOL_PATTERN, UUID7_PATTERN

LONGEST_PLACE: Final = 120
CUT: Final = "…"
"""Behind a place whose end is missing: ``Room 1…`` may be room 12."""
_DEEPEST: Final = 4
_MOST_FIELDS: Final = 1_000
_LONGEST_VALUE: Final = 1_000
_END_CHARS: Final = 32 * 1024
"""Of a longer text both ends are looked at, so that nobody keeps the gateway busy: 50 ms at the most."""

_SCHOOL = re.compile(SCHOOL_PATTERN.replace("$", r"\Z"))
_DEVICE = re.compile(DEVICE_PATTERN.replace("$", r"\Z"))
_UUID7 = re.compile(UUID7_PATTERN.replace("$", r"\Z"))

_NAMES: Final = ("duress", "place", "id", "school", "device", "type")
_DENIED: Final = (
    "false",
    "no",
    "off",
    "none",
    "null",
    "nil",
    "undefined",
    "n",
    "f",
    "нет",
    "жоқ",
    "[]",
    "{}",
)
_NULLS: Final = ("null", "none", "nil", "undefined")

_FIELD = re.compile(
    r"(?<![\w-])(?P<name>(?:is_?)?duress|place|id|school|device|type|data_base64)\]?"
    r"(?P<quoted>\\*[\"'])?\s{0,9}"
    # A form's part has its value behind an empty line, an element of XML behind its bracket.
    r"(?:[:=]>?|>|(?:\r?\n[\w-]{1,40}:[^\r\n]{0,200}){0,4}\r?\n\r?\n|(?(quoted)[^\w\s,}\]\"'\\]|(?!)))\s{0,9}",
    re.IGNORECASE,
)
_OPENED = re.compile(r"(\\*)([\"'])")
_BARE = re.compile(r"[^,;&}\]\r\n<>\"'\\\0]*")
_HOLDS_FIELDS = re.compile(r"[\"']\s{0,9}[:=]")
_BRACKET = re.compile(r"[\[{][^\]}]{0,200}")
_WORD = re.compile(r"[\[:,]\s*[\"']?([\w.+-]+)(?!\w*[\"']?\s*:)")
_FIRST_WORD = re.compile(r"[\w.+-]*")
_ESCAPE = re.compile(r"\\(?:u([0-9a-fA-F]{4})|(.))", re.DOTALL)
_ESCAPED_LETTER = re.compile(r"\\u00([46][1-9a-f]|[57][0-9a]|3[0-9]|5f|2e)", re.IGNORECASE)
_PLAIN_ESCAPES: Final = {"n": "\n", "t": "\t", "r": "\r", "b": " ", "f": " "}
_FORM = re.compile(r"(?:\s*[\w.\[\]%+-]+=[^\"<]*|[^\"<]*=[^\"<]*&[^\"<]*)\Z")
_BASE64 = re.compile(r"[A-Za-z0-9+/_=\s-]{16,}\Z")
# Cyrillic letters stand side by side in windows-1251, accented ones alone in Latin-1.
_CYRILLIC = re.compile(rb"[\xa8\xb8\xc0-\xff]{2}")


@dataclass(frozen=True, slots=True)
class Salvaged:
    """Empty where the bytes say nothing, or nothing legible. ``id`` is a UUIDv7 as the models have it."""

    duress: bool = False
    place: str = ""
    id: str = ""
    school: str = ""
    device: str = ""
    type: str = ""


class Twice(tuple[tuple[str, Any], ...]):
    """A JSON object with all of its names, also those that it has twice."""


_JSON = json.JSONDecoder(object_pairs_hook=Twice, strict=False)

Field = tuple[str, Any, bool]
"""Name (of _NAMES), value, and whether its end is missing."""


def said_by(body: bytes, charset: str = "") -> Salvaged:
    """What a body says; ``charset`` is what its sender calls its encoding."""
    return _said(_fields(decoded(body, charset), 0))


def said_in(value: object) -> Salvaged:
    """The same of JSON that ``parsed`` gave, or a part of it."""
    return _said(_walk(value, 0))


def both(one: Salvaged, other: Salvaged) -> Salvaged:
    """What the two say together, the first one first."""
    return Salvaged(
        one.duress or other.duress,
        one.place or other.place,
        one.id or other.id,
        one.school or other.school,
        one.device or other.device,
        one.type or other.type,
    )


def parsed(text: str) -> object:
    """JSON with its objects as Twice. Raises ValueError and RecursionError."""
    return _JSON.decode(text)


def decoded(body: bytes, charset: str = "") -> str:
    """The text as it was most probably meant; what can't be is U+FFFD."""
    encoding = wide(body)
    if encoding:
        return body.decode(encoding, "replace").removeprefix("\ufeff")
    body = body.removeprefix(b"\xef\xbb\xbf")
    try:
        return body.decode()
    except UnicodeDecodeError:
        pass
    text = body.decode(errors="ignore")
    if not text.isascii():  # UTF-8 that is cut or spoilt somewhere
        return body.decode(errors="replace")
    try:
        return body.decode(charset or _legacy(body), "replace")
    except (LookupError, ValueError):
        return body.decode(_legacy(body), "replace")


def wide(body: bytes) -> str:
    """UTF-16 or UTF-32, by their mark or by the zeros of RFC 4627, section 3; else nothing."""
    encoding = str(json.detect_encoding(body))
    if encoding.startswith("utf-8"):
        return ""
    marked = body.startswith((b"\xff\xfe", b"\xfe\xff", b"\0\0\xfe\xff"))
    # One zero is a slip; in wide text at least every other byte of what is ASCII is one.
    return encoding if body.count(0) * 4 >= len(body) or (marked and len(body) % 2 == 0) else ""


def _legacy(body: bytes) -> str:
    return "cp1251" if _CYRILLIC.search(body) else "latin-1"


def _said(fields: Iterable[Field]) -> Salvaged:
    found: dict[str, Any] = {}
    duress = False
    for name, value, is_cut in fields:
        if name == "duress":
            duress = duress or _is_duress(value, is_cut)
        elif name == "place":
            found["place"] = _place(value, is_cut) or found.get("place", "")
        elif name not in found and isinstance(value, str) and not is_cut:
            legible = _LEGIBLE[name](value.strip())
            if legible:
                found[name] = legible
    return Salvaged(duress, **found)


def _id(text: str) -> str:
    digits = text.lower().removeprefix("urn:uuid:").strip("{}()").replace("-", "")
    whole = "-".join((digits[:8], digits[8:12], digits[12:16], digits[16:20], digits[20:]))
    return whole if _UUID7.match(whole) else ""


_LEGIBLE: Final[dict[str, Callable[[str], str]]] = {
    "id": _id,
    "school": lambda text: text.upper() if _SCHOOL.match(text.upper()) else "",
    "device": lambda text: text.lower() if _DEVICE.match(text.lower()) else "",
    "type": lambda text: text.lower()[:60],
}


def _is_duress(value: object, is_cut: bool) -> bool:
    if isinstance(value, str):
        word = value.partition("\0")[0].strip().casefold()
        if is_cut and any(denied.startswith(word) for denied in _DENIED):
            return False
        return bool(word.strip("0.+-")) and word not in _DENIED
    if isinstance(value, Twice | list):
        return any(_is_duress(inner, False) for inner in _scalars(value))
    return bool(value)


def _place(value: object, is_cut: bool) -> str:
    """One printable line. Of an object or a list its texts, side by side."""
    parts = _scalars(value) if isinstance(value, Twice | list) else [value]
    # Text ends at a zero for those who write in C.
    text = ", ".join(
        str(one)[:_LONGEST_VALUE].partition("\0")[0]
        for one in parts
        if one is not None and not isinstance(one, bool) and one != ""
    )
    line = " ".join("".join(c if c.isprintable() else " " for c in text).split())
    if len(line) > LONGEST_PLACE or (is_cut and line):
        return line[: LONGEST_PLACE - 1] + CUT
    return line


def _scalars(value: object) -> list[object]:
    """The first few of what a list or an object holds, at any depth."""
    found: list[object] = []
    waiting = [value]
    for _ in range(_MOST_FIELDS):
        if not waiting:
            break
        one = waiting.pop()
        if isinstance(one, Twice):
            waiting += [inner for _, inner in reversed(one)]
        elif isinstance(one, list):
            waiting += reversed(one)
        else:
            found.append(one)
    return found


def _fields(text: str, depth: int) -> Iterator[Field]:
    if depth > _DEEPEST:
        return
    if len(text) > 2 * _END_CHARS:
        yield from _legible(text[:_END_CHARS] + "\n" + text[-_END_CHARS:], depth)
        return
    try:
        value = parsed(text.strip("\0 \t\r\n\ufeff"))
    except (ValueError, RecursionError):
        yield from _legible(text, depth)
        return
    if isinstance(value, str):
        yield from _fields(value, depth + 1)
    else:
        yield from _walk(value, depth)


def _walk(root: object, depth: int) -> Iterator[Field]:
    waiting: list[tuple[str, Any]] = [("", root)]
    left = 20 * _MOST_FIELDS
    while waiting and left:
        left -= 1
        name, value = waiting.pop()
        if name in _NAMES:
            yield name, value, False
        if isinstance(value, Twice):
            waiting += [(_name(inner), one) for inner, one in reversed(value)]
        elif isinstance(value, list):
            waiting += [("", one) for one in reversed(value)]
        elif isinstance(value, str):
            if name == "database64":
                yield from _fields(_from_base64(value), depth + 1)
            elif value.lstrip()[:1] in ("{", "[", '"'):
                yield from _fields(value, depth + 1)


def _name(said: str) -> str:
    name = re.sub(r"[\W_]", "", re.split(r"[.:/\[]", said.rstrip("]"))[-1]).casefold()
    return "duress" if name == "isduress" else name


def _legible(text: str, depth: int) -> Iterator[Field]:
    if _BASE64.match(text) and (inner := _from_base64(text)).lstrip()[:1] in ("{", "["):
        yield from _fields(inner, depth + 1)
        return
    form, _, rest = text.partition("\0")
    if _FORM.match(form):
        for name, value in parse_qsl(form, keep_blank_values=True, errors="replace"):
            yield from _walk(Twice(((name, value),)), depth + 1)
        text = rest
    if text.count("%22") > text.count('"'):
        yield from _fields(unquote_plus(text, errors="replace"), depth + 1)
        return
    # A name may be written with escapes.
    text = _ESCAPED_LETTER.sub(lambda found: chr(int(found[1], 16)), text)
    at = 0
    for _ in range(_MOST_FIELDS):
        field = _FIELD.search(text, at)
        if field is None:
            return
        name = _name(field["name"])
        value, at, is_cut = _value(text, field.end())
        if field[0].endswith("=") and at == field.end() and isinstance(value, str):
            value, is_cut = unquote_plus(value, errors="replace"), False  # of a form
        if name == "database64":
            yield from _fields(_from_base64(str(value)), depth + 1)
        else:
            yield name, value, is_cut


def _value(text: str, begin: int) -> tuple[Any, int, bool]:
    """The value that begins here, where to look for the next field, and whether its end is missing."""
    opened = _OPENED.match(text, begin)
    if opened is None and text[begin : begin + 1] in ("[", "{"):
        try:
            value, _ = _JSON.raw_decode(text[begin : begin + _LONGEST_VALUE])
        except (ValueError, RecursionError):
            inner = _BRACKET.match(text, begin)
            return _WORD.findall(inner[0]) if inner else "", begin, False
        return value, begin, False  # its fields are looked for, too
    if opened is None:
        bare = _BARE.match(text, begin, begin + _LONGEST_VALUE)
        value = bare[0].strip() if bare else ""
        word = _FIRST_WORD.match(value)
        said = None if word and word[0].casefold() in _NULLS else value
        return said, begin, begin + len(value) >= len(text)
    levels, quote = len(opened[1]), opened[2]
    start, end = opened.end(), opened.end()
    limit = min(len(text), start + 60 * _LONGEST_VALUE)
    while True:
        end = text.find(quote, end, limit)
        # With more escapes than the first one it stands inside the text.
        if end < 0 or _escapes(text, end) % (2 * levels + 2) == levels:
            break
        end += 1
    is_cut = end < 0
    value = text[start : start + _LONGEST_VALUE if is_cut else end - levels]
    for _ in range((levels + 1).bit_length()):
        value = _unescaped(value)
    # With a quote too many or too few the value swallows the fields behind it.
    swallowed = is_cut or _HOLDS_FIELDS.search(value) is not None
    return value, start if swallowed else end + 1, is_cut


def _escapes(text: str, at: int) -> int:
    before = text[max(0, at - 64) : at]
    return len(before) - len(before.rstrip("\\"))


def _unescaped(text: str) -> str:
    said = _ESCAPE.sub(
        lambda e: chr(int(e[1], 16)) if e[1] else _PLAIN_ESCAPES.get(e[2], e[2]), text
    )
    return said.encode("utf-16", "surrogatepass").decode("utf-16", "replace")


def _from_base64(text: str) -> str:
    compact = "".join(text.split()).replace("-", "+").replace("_", "/").rstrip("=")
    try:
        return decoded(base64.b64decode(compact + "=" * (-len(compact) % 4)))
    except (ValueError, binascii.Error):
        return ""
