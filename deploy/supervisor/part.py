"""What a process is, as data."""

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field

Ready = Callable[[], Awaitable[bool]]
"""Whether the part does its job, asked of the part itself. May raise: that counts as not yet."""


@dataclass(frozen=True, slots=True)
class Part:
    """One process. ``env`` is added to ours. ``start_timeout_s`` bounds the wait for ``ready``,
    ``stop_timeout_s`` the time between SIGTERM and SIGKILL. ``nice``: 0 for what a press waits for,
    streams.processes.BULK for what may wait.
    """

    name: str
    argv: tuple[str, ...]
    ready: Ready
    env: Mapping[str, str] = field(default_factory=dict)
    start_timeout_s: float = 120.0
    stop_timeout_s: float = 15.0
    nice: int = 0
