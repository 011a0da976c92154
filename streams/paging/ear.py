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
class Heard:
    """The last status that was answered, how long it asks to wait, whether an answer was lost."""

    status: int = 0
    after_s: float = 0.0
    unclear: bool = False


_now: ContextVar[Heard | None] = ContextVar("heard", default=None)


class _Ear(logging.Filter):
    def filter(self, record: logging.LogRecord) -> bool:
        heard = _now.get()
        if heard is not None:
            said = record.getMessage()
            if found := re.search(r"error=(\d{3})\b", said):
                heard.status = int(found[1])
            if found := re.search(r"retry.after\D{0,4}(\d{1,6})\b", said, re.IGNORECASE):
                heard.after_s = float(found[1])
            if "Read timed out" in said or "Connection aborted" in said:
                heard.unclear = True
        return False


@contextmanager
def listening() -> Iterator[Heard]:
    """What is said by this task, and by the threads that apprise starts for it."""
    heard = Heard()
    before = _now.set(heard)
    try:
        yield heard
    finally:
        _now.reset(before)


def _mute() -> None:
    log = logging.getLogger("apprise")
    log.setLevel(logging.DEBUG)
    log.propagate = False
    log.addHandler(logging.NullHandler())
    log.addFilter(_Ear())


_mute()
