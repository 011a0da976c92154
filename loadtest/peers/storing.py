"""The full job as a user would write it: decode, keep a batch, insert it, commit the offsets.

No duplicates are looked for, no dead letters sent, nothing guards against a crash between insert
and commit: each peer does less than ours.
"""

import json
import os
from collections.abc import Sequence
from typing import Any, Literal

import msgspec
from clickhouse_driver import Client


class Pass(msgspec.Struct):
    id: str
    school: str
    device: str
    time_ms: int
    boot: int
    seq: int
    direction: Literal["in", "out"]
    outcome: str
    card: str


BATCH = 20_000
WITHIN_S = 1.0
DECODE = msgspec.json.Decoder(Pass).decode
INSERT = (
    "INSERT INTO passes (kafka_partition, kafka_offset, kafka_time, id, school, device, time, boot, "
    "seq, direction, outcome, card) VALUES"
)
Raw = tuple[int, int, int, bytes]
"""(partition, offset, Kafka's time in ms, value)"""


class Task:
    """Where to read and to write; given by the benchmark in the environment."""

    def __init__(self) -> None:
        task = json.loads(os.environ["PEER_TASK"])
        self.topic: str = task["topic"]
        self.group: str = task["group"]
        self.kafka: dict[str, Any] = task["kafka"]
        self._client = Client(**task["clickhouse"])

    @property
    def bootstrap(self) -> str:
        bootstrap: str = self.kafka["bootstrap_servers"]
        return bootstrap

    def insert(self, batch: Sequence[Raw]) -> None:
        """Decode a batch and insert it as columns."""
        events = [DECODE(value) for _, _, _, value in batch]
        self._client.execute(
            INSERT,
            [
                [partition for partition, _, _, _ in batch],
                [offset for _, offset, _, _ in batch],
                [at for _, _, at, _ in batch],
                [e.id for e in events],
                [e.school for e in events],
                [e.device for e in events],
                [e.time_ms for e in events],
                [e.boot for e in events],
                [e.seq for e in events],
                [e.direction for e in events],
                [e.outcome for e in events],
                [e.card for e in events],
            ],
            columnar=True,
        )
