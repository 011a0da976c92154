"""Who looks at which alarm now. Pure; the clock is monotonic, in seconds."""

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from typing import Annotated, Final

from pydantic import BaseModel, ConfigDict, Field

GONE_AFTER_S: Final = 30.0


class PresenceWish(BaseModel):
    model_config = ConfigDict(extra="forbid")

    alarm: Annotated[str, Field(min_length=1, max_length=64)] | None


@dataclass(frozen=True, slots=True)
class Present:
    alarm: str
    people: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class _Looking:
    name: str
    alarm: str
    at_s: float


class Presence:
    """What each page said last. Who does not say it again for half a minute is gone."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._looking: dict[str, _Looking] = {}
        self._streams: Counter[str] = Counter()
        self._told: dict[str, tuple[str, ...]] = {}

    def looks(self, page: str, name: str, alarm: str | None) -> None:
        self.gone(page)
        if alarm is not None:
            self._looking[page] = _Looking(name, alarm, self._clock())

    def opened(self, page: str) -> None:
        """A stream of this page's began."""
        self._streams[page] += 1

    def closed(self, page: str) -> None:
        """With the last of its streams the page is gone."""
        self._streams[page] -= 1
        if self._streams[page] <= 0:
            del self._streams[page]
            self.gone(page)

    def gone(self, page: str) -> None:
        self._looking.pop(page, None)

    def at(self) -> dict[str, tuple[str, ...]]:
        """Names by alarm."""
        now_s = self._clock()
        self._looking = {
            page: one for page, one in self._looking.items() if now_s - one.at_s < GONE_AFTER_S
        }
        found: dict[str, set[str]] = {}
        for one in self._looking.values():
            found.setdefault(one.alarm, set()).add(one.name)
        return {alarm: tuple(sorted(names)) for alarm, names in found.items()}

    def changes(self) -> list[Present]:
        """Of those alarms at which others look than when this was asked last."""
        now, before = self.at(), self._told
        self._told = now
        return [
            Present(alarm, now.get(alarm, ()))
            for alarm in dict.fromkeys([*before, *now])
            if now.get(alarm, ()) != before.get(alarm, ())
        ]
