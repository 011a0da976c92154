"""What apprise's log says of a send: two numbers, by which a refusal is told from a failure.

Apprise logs addresses as they are, tokens and all. So none of its records goes anywhere: they are read
while a message is sent, and dropped.
"""

import logging
import re
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass


@dataclass
class Answered:
    """The last status that was answered, how long it asks to wait, whether an answer was lost."""

    status: int = 0
    after_s: float = 0.0
    unclear: bool = False


_now: ContextVar[Answered | None] = ContextVar("answered", default=None)


class _Reader(logging.Filter):
    def filter(self, record: logging.LogRecord) -> bool:
        answered = _now.get()
        if answered is not None:
            said = record.getMessage()
            if found := re.search(r"error=(\d{3})\b", said):
                answered.status = int(found[1])
            if found := re.search(r"retry.after\D{0,4}(\d{1,6})\b", said, re.IGNORECASE):
                answered.after_s = float(found[1])
            if "Read timed out" in said or "Connection aborted" in said:
                answered.unclear = True
        return False


@contextmanager
def reading_log() -> Iterator[Answered]:
    """What is said by this task, and by the threads that apprise starts for it."""
    answered = Answered()
    before = _now.set(answered)
    try:
        yield answered
    finally:
        _now.reset(before)


def _mute() -> None:
    log = logging.getLogger("apprise")
    log.setLevel(logging.DEBUG)
    log.propagate = False
    log.addHandler(logging.NullHandler())
    log.addFilter(_Reader())


_mute()
