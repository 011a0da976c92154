"""Whether the panic workers have spoken of a press that Kafka acknowledged.

Kafka may go, and both workers may stand still, between the acknowledgement of a press and its alert.
So the gateway listens to the alerts, and tells directly what nobody has said in time.
"""

import asyncio
from collections.abc import Iterable
from typing import Final

import msgspec

from schemas.alerts import AlertKind
from schemas.settings import KafkaSettings
from schemas.topics import ALERTS
from streams.gateway.lately import keep_reading

BACK_MS: Final = 60_000
"""Where a new reader begins: so far before now, as it may have missed what was said meanwhile."""


class _Said(msgspec.Struct, gc=False):
    kind: str = ""
    event: str = ""


_decode = msgspec.json.Decoder(_Said).decode


class Heard:
    """The presses whose alerts are awaited, by event id."""

    def __init__(self) -> None:
        self._awaited: dict[str, asyncio.Event] = {}

    def say(self, event: str) -> None:
        """An alert of this press was read."""
        awaited = self._awaited.get(event)
        if awaited is not None:
            awaited.set()

    async def within(self, events: Iterable[str], timeout_s: float) -> bool:
        """Whether the alerts of all these presses are read within the time."""
        awaited = {event: self._awaited.setdefault(event, asyncio.Event()) for event in events}
        try:
            async with asyncio.timeout(timeout_s):
                for came in awaited.values():
                    await came.wait()
        except TimeoutError:
            return False
        finally:
            for event in awaited:
                self._awaited.pop(event, None)
        return True


async def follow_alerts(settings: KafkaSettings, heard: Heard) -> None:
    """Read the alerts topic into ``heard`` until cancelled."""
    await keep_reading(settings, ALERTS.name, BACK_MS, lambda value: _apply(value, heard))


def _apply(value: bytes, heard: Heard) -> None:
    try:
        said = _decode(value)
    except (msgspec.DecodeError, UnicodeDecodeError):
        return
    if said.kind == AlertKind.PANIC:
        heard.say(said.event)
