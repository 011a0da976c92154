"""Records as Kafka hands them out, written by the load generator."""

from collections.abc import Iterable
from dataclasses import dataclass

from loadtest.simulator.encode import Encoder
from loadtest.simulator.encode import Record as Written
from loadtest.simulator.fleet import Fleet
from tests.loadtest.streams import SCHOOLS, START_MS

KNOWN = {school.id for school in SCHOOLS}


@dataclass(frozen=True)
class Record:
    offset: int
    timestamp: int
    key: bytes | None
    value: bytes | None
    headers: tuple[tuple[str, bytes], ...] = ()


def encoder(seed: int = 1) -> Encoder:
    return Encoder(Fleet(SCHOOLS, START_MS), seed)


def turnstile(writer: Encoder) -> int:
    return next(first for first, count in writer.fleet.turnstiles if count)


def in_kafka(
    written: Iterable[Written], first: int = 0, kafka_ms: int = START_MS, step_ms: int = 1
) -> list[Record]:
    """At consecutive offsets from ``first``, ``step_ms`` of Kafka time apart."""
    return [
        Record(first + n, kafka_ms + n * step_ms, key, value)
        for n, (_, key, value, _) in enumerate(written)
    ]
