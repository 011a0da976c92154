"""What the supervisor says of its parts, for a person or a machine to read."""

from dataclasses import dataclass
from enum import StrEnum


class What(StrEnum):
    STARTING = "starting"
    READY = "ready"
    CRASHED = "crashed"
    WAITING = "waiting"
    STOPPING = "stopping"
    STOPPED = "stopped"
    KILLED = "killed"


@dataclass(frozen=True, slots=True)
class Notice:
    """``seconds`` is what it took (ready, stopped) or will be waited (waiting)."""

    part: str
    what: What
    seconds: float = 0.0
    detail: str = ""
