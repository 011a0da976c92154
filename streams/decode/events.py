"""Bytes to events of one type, for lanes that keep no dead letters: just what the model accepts."""

from typing import Any, Final

from pydantic import ValidationError

from schemas.events import EVENT, Envelope
from streams.decode.fast import FastDecoder

MAX_VALUE_BYTES: Final = 1024 * 1024
"""Longer values are no event, whatever they say."""


class EventDecoder:
    """``decode(values)`` gives an event for each value that the model accepts, None for all others."""

    def __init__(self, model: type[Envelope]) -> None:
        self._model = model
        self._fast = FastDecoder(model)

    def decode(self, values: list[bytes | None]) -> list[Any | None]:
        """The events in the order of the values, as FastDecoder gives them."""
        found = self._fast.decode(values)
        return [
            event if event is not None else self._slowly(value)
            for event, value in zip(found, values, strict=True)
        ]

    def _slowly(self, value: bytes | None) -> Any | None:
        if not value or len(value) > MAX_VALUE_BYTES:
            return None
        try:
            event = EVENT.validate_json(value)
        except ValidationError:
            return None
        return self._fast.of(event) if isinstance(event, self._model) else None
