"""One byte of a press changed: what must still be read is what stands in the bytes that were not."""

import json
import random
from dataclasses import dataclass

from tests.streams.gateway.mutations.http_table import (
    BATCH,
    CLOUD,
    JSON,
    Pairs,
    Sent,
    Wanted,
    json_text,
)


@dataclass(frozen=True)
class Written:
    """A body, where in it each field stands (with its name and the byte behind it), and its type."""

    body: bytes
    media_type: str
    spans: dict[str, range]


def written(rng: random.Random, pairs: Pairs) -> Written:
    fields = dict(pairs)
    text = json_text(pairs)
    kind = rng.choice(["json", "json", "list", "cloud", "batch", "text", "form"])
    if kind == "list":
        text = f"[{text}]"
    elif kind in ("cloud", "batch"):
        cloud = {"specversion": "1.0", "id": fields["id"], "source": "/b", "type": "panic.pressed"}
        text = json.dumps(cloud)[:-1] + f', "data": {text}}}'
        text = f"[{text}]" if kind == "batch" else text
    elif kind == "text":
        text = json.dumps(text)
    elif kind == "form":
        text = "&".join(f"{n}={str(v).replace(' ', '+')}" for n, v in pairs)
    body = text.encode()
    return Written(body, {"cloud": CLOUD, "batch": BATCH}.get(kind, JSON), spans_of(text, fields))


def spans_of(text: str, fields: dict[str, object]) -> dict[str, range]:
    spans = {}
    for name in ("duress", "place", "type"):
        begin = text.rfind(name)
        if name == "type":
            begin = text.rfind("panic.pressed")
            spans[name] = range(begin, begin + len("panic.pressed"))
        elif begin >= 0:
            value = json.dumps(fields[name])
            end = text.find(value.strip('"') if name == "place" else value, begin)
            end = end if end >= 0 else text.find(str(fields[name]).replace(" ", "+"), begin)
            # With the quotes around the name and the value, and what stands behind.
            spans[name] = range(begin - 3, end + len(value) + 4)
    return spans


def changed(rng: random.Random, body: bytes) -> tuple[bytes, range, str]:
    """The body with one change, which bytes of the old one it touched, and its name."""
    at = rng.randrange(len(body))
    kind = rng.choice(["flip", "set", "set", "delete", "insert", "cut", "double", "zero"])
    if kind == "flip":
        new = body[:at] + bytes([body[at] ^ 1 << rng.randrange(8)]) + body[at + 1 :]
        return new, range(at, at + 1), kind
    if kind == "set":
        byte = rng.choice([rng.randrange(256), *b'"\\{}[]:,\0\n'])
        return body[:at] + bytes([byte]) + body[at + 1 :], range(at, at + 1), f"{kind} {byte}"
    if kind == "zero":
        return body[:at] + b"\0" + body[at + 1 :], range(at, at + 1), kind
    if kind == "delete":
        return body[:at] + body[at + 1 :], range(at, at + 1), kind
    if kind == "insert":
        byte = rng.choice([rng.randrange(256), *b'"\\{}[]:,\0'])
        return body[:at] + bytes([byte]) + body[at:], range(at, at + 1), f"{kind} {byte}"
    if kind == "double":
        end = min(len(body), at + rng.randrange(1, 9))
        return body[:end] + body[at:], range(at, end), kind
    return body[:at], range(at, len(body)), kind


def byte_case(rng: random.Random, pairs: Pairs, said: Wanted) -> tuple[Sent, Wanted]:
    was = written(rng, pairs)
    body, touched, how = changed(rng, was.body)

    def kept(name: str) -> bool:
        span = was.spans.get(name)
        return span is None or touched.stop <= span.start or span.stop <= touched.start

    wanted = Wanted(
        said.duress if kept("duress") else None,
        said.place if kept("place") else None,
        kept("type"),
        (how, str(touched), was.media_type),
    )
    return Sent(body, (("content-type", was.media_type),)), wanted
