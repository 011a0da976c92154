"""What every kind of channel is: a configured way to reach people or another system.

A kind is a file of its own: a subclass with its ``kind`` and a line in ``streams.paging.channels.KINDS``.
One that does not say how it delivers cannot be made, so no page is lost in a case that was forgotten.
"""

from abc import ABC, abstractmethod
from collections.abc import Collection, Sequence
from typing import Annotated, ClassVar, Final

from pydantic import BaseModel, ConfigDict, Field

from streams.paging.page import Page

ALERTS_AT_ONCE: Final = 200
"""Of a request to a machine: some 30 kB, so that no proxy on the way finds it too large."""


class Channel(BaseModel, ABC):
    """``per_minute``: so many messages at most are sent to each of its receivers in a minute; 0 for any
    number. What it does not let through one by one is said together. ``forgets``: the other side keeps an
    alert for a time only, so what lasts is told again.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")
    forgets: ClassVar[bool] = False

    kind: str
    per_minute: Annotated[int, Field(ge=0, le=6_000, strict=True)] = 0

    def receivers(self) -> list[str]:
        """Who gets each page, by names that stay the same after a restart."""
        return [""]

    def pieces(self, said: Page, base: str) -> Sequence[tuple[int, int]]:
        """Which calls of the page, from and until, are said in each message."""
        firsts = range(0, len(said.calls), ALERTS_AT_ONCE)
        return [(first, min(first + ALERTS_AT_ONCE, len(said.calls))) for first in firsts]

    @abstractmethod
    async def deliver(
        self, said: Page, base: str, over: Collection[str] = frozenset(), receiver: str = ""
    ) -> None:
        """Return when the channel, or this receiver of it, has taken the page. ``base``: the console's
        address, for links. ``over``: alerts that have ended since the page was made.

        Raises NotDelivered.
        """
