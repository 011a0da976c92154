"""What operators close, so that the next press of whatever button raises its alarm again."""

from collections.abc import Callable
from typing import Final

import msgspec

from schemas.settings import KafkaSettings
from schemas.steps import Took
from schemas.topics import STEPS
from streams.gateway.lately import keep_reading

BACK_MS: Final = 60_000
"""Where a new reader begins: so far before now, as it may have missed what was said meanwhile."""


class _Step(msgspec.Struct, gc=False):
    alert: str = ""
    took: str = ""


_decode = msgspec.json.Decoder(_Step).decode


async def follow_closes(settings: KafkaSettings, closed: Callable[[str], None]) -> None:
    """Say ``closed`` of each alert that a step closes, until cancelled."""

    def apply(value: bytes) -> None:
        try:
            step = _decode(value)
        except (msgspec.DecodeError, UnicodeDecodeError):
            return
        if step.took == Took.CLOSED:
            closed(step.alert)

    await keep_reading(settings, STEPS.name, BACK_MS, apply)
