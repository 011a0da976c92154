"""aiokafka's clients are made, and its private parts are reached, in streams/runtime/kafka alone."""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[4]
ROOMS = ("streams", "dashboards", "deploy", "loadtest")
FLOOR = ROOT / "streams" / "runtime" / "kafka"
COMPARED = ROOT / "loadtest" / "peers"
"""Those that we compare ourselves with use aiokafka as everybody does."""
CLIENTS = {"AIOKafkaClient", "AIOKafkaConsumer", "AIOKafkaProducer"}
RACING = {"seek_to_beginning", "seek_to_end"}
"""They ask for a reset beside the one that ``assign`` begins, and aiokafka may answer both with one."""
PRIVATE = {
    "_client",
    "_coordinator",
    "_fetcher",
    "_message_accumulator",
    "_sender",
    "_subscription",
    "_txn_manager",
}


def offences(source: str) -> Iterator[tuple[int, str]]:
    """Line and what stands there: a client that is made, a reset that races, or a private part of what is
    not ``self``."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Call):
            name = getattr(node.func, "attr", None) or getattr(node.func, "id", "")
            if name in CLIENTS | RACING:
                yield node.lineno, name
        if isinstance(node, ast.Attribute) and node.attr in PRIVATE:
            of_self = isinstance(node.value, ast.Name) and node.value.id == "self"
            if not of_self:
                yield node.lineno, node.attr


def modules() -> list[Path]:
    found = [path for room in ROOMS for path in sorted((ROOT / room).rglob("*.py"))]
    return [p for p in found if not p.is_relative_to(FLOOR) and not p.is_relative_to(COMPARED)]


def test_nobody_else_makes_a_client_or_reaches_into_one() -> None:
    assert len(modules()) > 200
    found = {
        f"{path.relative_to(ROOT)}:{line}": what
        for path in modules()
        for line, what in offences(path.read_text())
    }
    assert found == {}


@pytest.mark.parametrize(
    "source",
    [
        "AIOKafkaConsumer(**kafka)",
        "aiokafka.AIOKafkaProducer()",
        "consumer._client.fetch_all_metadata()",
        "await consumer.seek_to_end()",
        "self.consumer._fetcher",
        "class Mine:\n    def go(self):\n        return self.made()._coordinator",
    ],
)
def test_an_offence_is_found(source: str) -> None:
    assert list(offences(source))


def test_what_is_our_own_is_none() -> None:
    assert not list(offences("self._client = client_of(consumer)\nself._sender.run()"))
