"""What the bytes of a press still say, as a table: each row changes how a press is written and knows by
its own construction what a reader may still demand of it. From RFC 8259 (JSON), 9562 (UUID), 9110
(content codings), CloudEvents 1.0.2 and its HTTP binding; nothing here comes from the gateway's code.
"""

import base64
import gzip
import json
import random
import zlib
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any, Final
from urllib.parse import urlencode

import cramjam

JSON: Final = "application/json"
FORM: Final = "application/x-www-form-urlencoded"
CLOUD: Final = "application/cloudevents+json"
BATCH: Final = "application/cloudevents-batch+json"

Pairs = list[tuple[str, Any]]


class Literal(str):
    """A JSON value that is written as it stands."""


@dataclass(frozen=True)
class Wanted:
    """``duress`` and ``place``: None where the bytes leave it open. ``claims``: its type is legible as a
    press's. ``changed``: what was done, for the message of a failure."""

    duress: bool | None
    place: str | None
    claims: bool = True
    changed: tuple[str, ...] = ()


@dataclass(frozen=True)
class Sent:
    body: bytes
    headers: tuple[tuple[str, str], ...]
    query: str = ""


Row = Callable[[random.Random, Pairs, Wanted], tuple[Pairs, Wanted]]

SAID: Final[tuple[tuple[Any, bool], ...]] = (
    *((value, True) for value in (True, "true", "True", "TRUE", "yes", "on", "1", 1, "Y", 2)),
    *((Literal(text), True) for text in ("1.0", "1e0", "[true]", '{"value":true}')),
    *((value, False) for value in (False, "false", "False", "no", "off", "0", 0, None, "")),
    *((Literal(text), False) for text in ("0.0", "[]", "{}")),
)
PLACES: Final = (
    "Room 5",
    "x",
    'He said "5", left',
    "a\\b",
    "{5}",
    "12, 3; 4",
    "true",
    "Кабинет 5",
    "Зал №2, қабат 3",
    "🏫 5",
)
MISSING: Final = object()


def put(pairs: Pairs, name: str, value: Any) -> Pairs:
    if value is MISSING:
        return [(n, v) for n, v in pairs if n != name]
    if name not in dict(pairs):
        return [*pairs, (name, value)]
    return [(n, value if n == name else v) for n, v in pairs]


def odd(name: str, *values: Any) -> Row:
    """A field of which nobody asks here, in a form that the model refuses or not."""

    def row(rng: random.Random, pairs: Pairs, wanted: Wanted) -> tuple[Pairs, Wanted]:
        said = rng.choice(values)
        changed = put(pairs, name, said(dict(pairs)[name]) if callable(said) else said)
        legible = name != "type" or "press" in str(dict(changed).get("type", "")).lower()
        return changed, replace(wanted, claims=wanted.claims and legible)

    row.__name__ = name
    return row


def duress(rng: random.Random, pairs: Pairs, wanted: Wanted) -> tuple[Pairs, Wanted]:
    value, is_duress = rng.choice(SAID)
    return put(pairs, "duress", value), replace(wanted, duress=is_duress)


def twice(rng: random.Random, pairs: Pairs, wanted: Wanted) -> tuple[Pairs, Wanted]:
    """RFC 8259, 4: what a reader makes of names that are not unique is unpredictable."""
    values = rng.choice([(False, True), (True, False), (True, True), (None, True)])
    rest = put(pairs, "duress", MISSING)
    return [("duress", values[0]), *rest, ("duress", values[1])], replace(wanted, duress=True)


def capitals(rng: random.Random, pairs: Pairs, wanted: Wanted) -> tuple[Pairs, Wanted]:
    change = rng.choice([str.upper, str.title])
    names = rng.choice([("duress",), ("place",), ("duress", "place"), tuple(dict(pairs))])
    return [(change(n) if n in names else n, v) for n, v in pairs], wanted


def place(rng: random.Random, pairs: Pairs, wanted: Wanted) -> tuple[Pairs, Wanted]:
    long = "Room " + "9" * rng.choice([115, 116, 200, 5_000])
    value, kept = rng.choice(
        [(p, p) for p in PLACES]
        + [("", ""), (None, ""), (MISSING, ""), ("  ", ""), (5, "5"), (long, long), ("a\nb", "a b")]
    )
    return put(pairs, "place", value), replace(wanted, place=kept)


def extra(rng: random.Random, pairs: Pairs, wanted: Wanted) -> tuple[Pairs, Wanted]:
    more = rng.choice(
        [("battery", 7), ("meta", {"a": [1, {"b": None}]}), ("note", "x" * 50), ("tags", ["a"])]
    )
    at = rng.randrange(len(pairs) + 1)
    return [*pairs[:at], more, *pairs[at:]], wanted


def shuffled(rng: random.Random, pairs: Pairs, wanted: Wanted) -> tuple[Pairs, Wanted]:
    return rng.sample(pairs, len(pairs)), wanted


ROWS: Final[tuple[Row, ...]] = (
    duress, duress, place, place, twice, capitals, extra, shuffled,
    odd("id", str.upper, lambda i: f"{{{i}}}", lambda i: f"urn:uuid:{i}", lambda i: i.replace("-", ""),
        "c9a0f5f0-5e2c-4b53-9d2e-0d6a9fb0f1aa", 7, None, MISSING, ""),
    odd("time_ms", Literal("1.79e12"), Literal("1790000000000.0"), "1790000000000", None, MISSING, -1,
        2**53 - 1, 2**63, 10**15, 253_402_300_800_000, 1_790_000_000, Literal("1E400"), 0),
    odd("boot", "1", Literal("1.0"), -1, None, MISSING, 2**64),
    odd("seq", "1", Literal("1e0"), -1, None, MISSING, [1]),
    odd("v", 2, "1", MISSING, Literal("1.0")),
    odd("type", str.upper, "PanicPressed", "panic_pressed", "panic-pressed", MISSING, None, "alarm"),
    odd("school", str.lower, "KZ-10-00002", None, MISSING, 75),
    odd("device", str.upper, "button-99", None, MISSING, ""),
)  # fmt: skip


def value_text(value: Any, ascii_: bool) -> str:
    return str(value) if isinstance(value, Literal) else json.dumps(value, ensure_ascii=ascii_)


def json_text(pairs: Pairs, comma: str = ",", colon: str = ":", *, ascii_: bool = True) -> str:
    inner = comma.join(f"{json.dumps(n)}{colon}{value_text(v, ascii_)}" for n, v in pairs)
    return "{" + inner + "}"


def object_of(pairs: Pairs) -> dict[str, Any]:
    """For wrappers: names that are there twice can't be kept in it, so their rows don't meet those."""
    return {n: json.loads(v) if isinstance(v, Literal) else v for n, v in pairs}


# --- how the text of an event is written ---------------------------------------------------------


def plain(rng: random.Random, pairs: Pairs) -> str:
    comma, colon = rng.choice([(",", ":"), (", ", ": "), (",\n  ", " : "), (" ,\t", ":\r\n")])
    return json_text(pairs, comma, colon, ascii_=rng.random() < 0.5)


def escaped_names(rng: random.Random, pairs: Pairs) -> str:
    """RFC 8259, 7: any character may be escaped."""
    text = json_text(pairs)
    for name in ("duress", "place"):
        at = rng.randrange(len(name))
        text = text.replace(f'"{name}"', f'"{name[:at]}\\u{ord(name[at]):04x}{name[at + 1 :]}"')
    return text


def trailing_comma(_: random.Random, pairs: Pairs) -> str:
    return json_text(pairs)[:-1] + ",}"


def unclosed(_: random.Random, pairs: Pairs) -> str:
    return json_text([*pairs, ("last", 1)])[:-1]


def pythons(_: random.Random, pairs: Pairs) -> str:
    return repr(object_of(pairs))


def commented(_: random.Random, pairs: Pairs) -> str:
    return "// from the button\n" + json_text(pairs)


WRITERS: Final = (
    plain,
    plain,
    plain,
    plain,
    escaped_names,
    trailing_comma,
    unclosed,
    pythons,
    commented,
)


# --- what the text is wrapped in ------------------------------------------------------------------


def cloud_of(pairs: Pairs) -> dict[str, Any]:
    said = object_of(pairs)
    return {
        "specversion": "1.0", "id": said.get("id"), "source": "/b", "type": said.get("type"),
        "time": "2026-09-21T08:00:00z",
    }  # fmt: skip


def wrapped(rng: random.Random, pairs: Pairs) -> tuple[str, tuple[tuple[str, str], ...], str]:
    """The text, headers and the query."""
    said = object_of(pairs)
    cloud = cloud_of(pairs)
    inner = json.dumps(said)
    coded = base64.b64encode(inner.encode()).decode()
    form = {n: v if isinstance(v, str) else json.dumps(v) for n, v in said.items() if v is not None}
    kind = rng.randrange(14)
    if kind == 0:
        return json.dumps([said]), (("content-type", JSON),), ""
    if kind == 1:
        return (
            json.dumps({rng.choice(["event", "data", "body"]): said}),
            (("content-type", JSON),),
            "",
        )
    if kind == 2:
        return json.dumps({"events": [said]}), (("content-type", JSON),), ""
    if kind == 3:
        return json.dumps(inner), (("content-type", JSON),), ""
    if kind == 4:
        return json.dumps(json.dumps(inner)), (("content-type", JSON),), ""
    if kind == 5:
        type_ = rng.choice([CLOUD, JSON, CLOUD + "; charset=utf-8"])
        return json.dumps({**cloud, "data": said}), (("content-type", type_),), ""
    if kind == 6:
        return json.dumps({**cloud, "data": inner}), (("content-type", CLOUD),), ""
    if kind == 7:
        return json.dumps({**cloud, "data_base64": coded}), (("content-type", CLOUD),), ""
    if kind == 8:
        return json.dumps([{**cloud, "data": said}]), (("content-type", BATCH),), ""
    if kind == 9:
        headers = [
            (f"ce-{n}", str(v)) for n, v in cloud.items() if isinstance(v, str) and v.isascii()
        ]
        return inner, (*headers, ("content-type", JSON)), ""
    if kind == 10:
        return urlencode(form), (("content-type", FORM),), ""
    if kind == 11:
        return (
            "event=" + urlencode({"": inner})[1:],
            (("content-type", "application/x-www-form-urlencoded"),),
            "",
        )
    if kind == 12:
        return (
            inner + "\n" + rng.choice(["", "garbage", "OK\r\n", "{"]),
            (("content-type", JSON),),
            "",
        )
    return rng.choice(["data: ", ")]}',\n", "POST "]) + inner, (("content-type", JSON),), ""


# --- bytes ---------------------------------------------------------------------------------------


def encoded(rng: random.Random, text: str) -> tuple[bytes, str]:
    """The bytes, and a charset to declare."""
    kind = rng.randrange(20)
    if kind == 0:
        return b"\xef\xbb\xbf" + text.encode(), ""
    if kind in (1, 2):
        return text.encode(rng.choice(["utf-16", "utf-16-le", "utf-16-be"])), ""
    if kind == 3:
        return text.encode(rng.choice(["utf-32", "utf-32-le", "utf-32-be"])), ""
    if kind == 4:
        return text.encode() + b"\0" * rng.randrange(1, 300), ""
    if kind == 5:
        return text.encode() + b"\0" + bytes(rng.randrange(1, 128) for _ in range(20)), ""
    if kind == 6:
        return text.encode(), rng.choice(["utf-8", "UTF8", "iso-8859-1", "windows-1251", "x"])
    if kind == 7:
        try:
            return text.encode("cp1251"), rng.choice(["windows-1251", "cp1251"])
        except UnicodeEncodeError:
            return text.encode(), ""
    return text.encode(), ""


def coded(rng: random.Random, body: bytes) -> tuple[bytes, str]:
    """The bytes, and a Content-Encoding to declare."""
    kind = rng.randrange(24)
    raw = zlib.compressobj(9, zlib.DEFLATED, -15)
    codings: dict[int, Callable[[], tuple[bytes, str]]] = {
        0: lambda: (gzip.compress(body), rng.choice(["gzip", "GZIP", "x-gzip"])),
        1: lambda: (zlib.compress(body), "deflate"),
        2: lambda: (raw.compress(body) + raw.flush(), "deflate"),
        3: lambda: (bytes(cramjam.brotli.compress(body)), "br"),
        4: lambda: (gzip.compress(gzip.compress(body)), "gzip, gzip"),
        5: lambda: (gzip.compress(body), ""),
        6: lambda: (body, rng.choice(["gzip", "identity", ""])),
        7: lambda: (bytes(cramjam.zstd.compress(body)), "zstd"),
    }
    return codings.get(kind, lambda: (body, ""))()


TYPES: Final = (
    *(JSON, "application/json; charset=utf-8", "", "text/plain", "application/octet-stream"),
    *("*/*", ";", "json"),
)


def case(rng: random.Random, pairs: Pairs, said: Wanted) -> tuple[Sent, Wanted]:
    """One press, changed in one to three ways."""
    wanted, changed = said, []
    for row in rng.sample(ROWS, rng.choice([0, 1, 1, 1, 2, 3])):
        if row is capitals and "twice" in changed:
            continue
        pairs, wanted = row(rng, pairs, wanted)
        changed.append(getattr(row, "__name__", "row"))
        if row in (capitals, twice):
            break
    headers: tuple[tuple[str, str], ...]
    query = ""
    capital = any(n != n.lower() for n, _ in pairs)
    if "twice" not in changed and not capital and rng.random() < 0.3:
        try:
            text, headers, query = wrapped(rng, pairs)
            changed.append("wrapped")
        except ValueError:
            text, headers = plain(rng, pairs), (("content-type", JSON),)
    else:
        write = rng.choice(WRITERS)
        if write is pythons and (
            "twice" in changed or capital or dict(pairs).get("time_ms") == "1E400"
        ):
            write = plain
        text, headers = write(rng, pairs), (("content-type", rng.choice(TYPES)),)
        changed.append(write.__name__)
    body, charset = encoded(rng, text)
    if charset:
        headers = (
            *headers[:-1],
            ("content-type", f"{headers[-1][1].partition(';')[0] or JSON}; charset={charset}"),
        )
    body, coding = coded(rng, body)
    if coding:
        headers = (*headers, ("content-encoding", coding))
    return Sent(body, headers, query), replace(wanted, changed=(*changed, charset, coding))
