"""What the store needs around it, as its tests give it in memory."""

from collections.abc import Sequence
from typing import Protocol

from faust.types import TP

from streams.store.block import Letter
from streams.transport import LogState, Record, Timeline


class Log(Protocol):
    """Of the consumer: streams.transport.Consumer has it."""

    @property
    def generation(self) -> int: ...

    async def commit_at(self, tp: TP, offset: int, metadata: str, generation: int) -> None: ...

    async def read_range(self, tp: TP, first: int, last: int) -> list[Record]: ...

    async def timeline(self, tp: TP) -> Timeline: ...

    async def log_state(self, tp: TP) -> LogState: ...

    def start_again(self, tp: TP) -> None: ...


class Registered(Protocol):
    """Which schools there are: streams.store.registry.Registry."""

    def knows(self, school: str) -> bool: ...

    async def catch_up(self, partition: int) -> None: ...


class Letters(Protocol):
    """Where dead letters go: streams.store.letters.DeadLetters."""

    async def send(self, letters: Sequence[Letter]) -> None: ...
