"""What every client needs to know to connect; each job of the peers has it."""

from typing import Any, Protocol


class Connection(Protocol):
    topic: str
    group: str
    kafka: dict[str, Any]

    @property
    def bootstrap(self) -> str: ...
