"""A log line is short and cheap whatever failed, in both formats and by every way in.

hynek/structlog#715, geolens-io/geolens#1490: a traceback with locals of 3 MB stopped a loop for 20 s.
"""

import asyncio
import io
import json
import logging
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import msgspec
import pytest
import structlog
from aiokafka.errors import MessageSizeTooLargeError
from aiokafka.structs import ConsumerRecord, TopicPartition
from pydantic import BaseModel

from streams.runtime.logs import LINE_CHARACTERS, configure_logs

MANY = 3_000_000
TIMES_A_SMALL_ONE = 15
"""Of processor time. A repr of 3 MB takes 50 times a small one, rich's traceback many thousand."""


@dataclass
class Batch:
    records: list[Any]


class Model(BaseModel):
    text: str
    numbers: list[int]


class Struct(msgspec.Struct):
    text: bytes


def record(value: bytes) -> ConsumerRecord:
    return ConsumerRecord("t", 0, 1, 2, 0, b"k", value, None, 1, len(value), ())


PAYLOADS: dict[str, Callable[[int], Any]] = {
    "text": lambda size: "x" * size,
    "bytes": lambda size: b"\xff" * size,
    "array": lambda size: bytearray(size),
    "list": lambda size: ["x" * 10] * (size // 10),
    "dict": lambda size: dict.fromkeys(range(size // 10), "x"),
    "set": lambda size: set(range(size // 10)),
    "nested": lambda size: {"a": [{"b": ("x" * size, [b"y" * size])}]},
    "batch": lambda size: Batch([record(b"v" * 100)] * (size // 100)),
    "record": lambda size: record(b"v" * size),
    "records": lambda size: {TopicPartition("t", 0): [record(b"v" * size)]},
    "model": lambda size: Model(text="x" * size, numbers=[1] * (size // 10)),
    "struct": lambda size: Struct(b"x" * size),
    "error": lambda size: MessageSizeTooLargeError(b"x" * size),
    "group": lambda size: ExceptionGroup("all", [ValueError("x" * size)] * 100),
}


def in_a_frame(payload: Any) -> None:
    held = [payload]
    raise ValueError("small", len(held))


def in_the_error(payload: Any) -> None:
    raise payload if isinstance(payload, Exception) else ValueError(payload)


def in_the_cause(payload: Any) -> None:
    try:
        raise KeyError(payload)
    except KeyError as cause:
        raise RuntimeError("after") from cause


def deep(payload: Any, depth: int = 400) -> None:
    if depth:
        deep(payload, depth - 1)
    raise ValueError(payload)


def raised(fail: Callable[[Any], None], log: Callable[[], None]) -> Callable[[Any], None]:
    def run(payload: Any) -> None:
        try:
            fail(payload)
        except Exception:
            log()

    return run


def unhandled(payload: Any) -> None:
    """As asyncio logs what a callback raised."""
    loop = asyncio.new_event_loop()
    loop.call_exception_handler(
        {"message": "unhandled", "exception": ValueError(payload), "what": "a callback"}
    )
    loop.close()


ours = structlog.get_logger("ours")
theirs = logging.getLogger("theirs")
WAYS: dict[str, Callable[[Any], None]] = {
    "a frame": raised(in_a_frame, lambda: ours.exception("failed")),
    "an error": raised(in_the_error, lambda: ours.exception("failed")),
    "a cause": raised(in_the_cause, lambda: ours.exception("failed")),
    "deep": raised(deep, lambda: ours.exception("failed")),
    "their frame": raised(in_a_frame, lambda: theirs.exception("failed")),
    "their error": raised(in_the_error, lambda: theirs.exception("failed")),
    "a value": lambda payload: ours.warning("failed", what=payload),
    "an event": lambda payload: ours.warning(payload),
    "values": lambda payload: ours.warning("failed", **{f"k{n}": payload for n in range(100)}),
    "%s": lambda payload: theirs.warning("failed %s", payload),
    "%r": lambda payload: theirs.warning("failed %r in %d", payload, 3),
    "%(name)s": lambda payload: theirs.warning("failed %(name)s", {"name": payload}),
    "their event": lambda payload: theirs.error(payload),
    "asyncio": unhandled,
}


FORMATS = ("json", "console")


@contextmanager
def logging_to(log_format: str) -> Iterator[io.StringIO]:
    """Not a fixture: pytest adds handlers of its own between a fixture and its test."""
    root = logging.getLogger()
    before, level = root.handlers[:], root.level
    # A benchmark that ran in this process before may have silenced it.
    logging.getLogger("asyncio").setLevel(logging.NOTSET)
    stream = io.StringIO()
    configure_logs(log_format, stream)
    try:
        yield stream
    finally:
        structlog.reset_defaults()
        root.handlers[:] = before
        root.setLevel(level)


def cost_s(way: Callable[[Any], None], payload: Any) -> float:
    """The least processor time of some runs."""
    costs = []
    for _ in range(3):
        began = time.thread_time()
        way(payload)
        costs.append(time.thread_time() - began)
    return min(costs)


@pytest.mark.parametrize("log_format", FORMATS)
@pytest.mark.parametrize("way", WAYS)
def test_a_line_is_short_and_cheap(log_format: str, way: str) -> None:
    for name, make in PAYLOADS.items():
        small, large = make(100), make(MANY)
        with logging_to(log_format) as stream:
            WAYS[way](small)  # sources of the frames are read once
            least = cost_s(WAYS[way], small)
            stream.truncate(stream.seek(0))
            WAYS[way](large)
            length = len(stream.getvalue())
            most = cost_s(WAYS[way], large)
        assert 0 < length < 2 * LINE_CHARACTERS, name
        assert most < TIMES_A_SMALL_ONE * least, (name, most, least)


def written(log_format: str, log: Callable[[], None]) -> str:
    with logging_to(log_format) as stream:
        log()
    return stream.getvalue()


@pytest.mark.parametrize("log_format", FORMATS)
def test_a_traceback_tells_where_and_why(log_format: str) -> None:
    line = written(log_format, lambda: WAYS["a cause"]("the reason"))
    for told in ("in_the_cause", "RuntimeError: after", "KeyError: 'the reason'", "test_logs.py"):
        assert told in line
    assert line.index("KeyError") < line.index("RuntimeError: after")
    assert "failed" in line


@pytest.mark.parametrize("log_format", FORMATS)
def test_values_are_told_as_they_are(log_format: str) -> None:
    place = TopicPartition("t", 1)
    line = written(
        log_format, lambda: ours.warning("жоқ", n=3, share=0.5, on=True, of=None, place=place)
    )
    assert "жоқ" in line
    assert "TopicPartition(topic='t', partition=1)" in line
    if log_format == "json":
        told = json.loads(line)
        assert (told["n"], told["share"], told["on"], told["of"]) == (3, 0.5, True, None)
        assert (told["level"], told["logger"]) == ("warning", "ours")


class Broken(Exception):
    def __repr__(self) -> str:
        raise ValueError

    __str__ = __repr__


@pytest.mark.parametrize("log_format", FORMATS)
def test_a_repr_that_raises_fails_no_log(log_format: str) -> None:
    def log() -> None:
        WAYS["an error"](Broken())
        theirs.warning("failed %r %s", Broken(), Broken())
        ours.warning("failed", it=Broken())

    assert written(log_format, log).count("failed") == 3
