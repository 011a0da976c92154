"""The channel for who has none: what would be said is logged and recorded, nobody is reached."""

from collections.abc import Collection
from typing import Literal

import structlog

from streams.paging.channel import Channel
from streams.paging.page import Page, title

log = structlog.get_logger(__name__)


class Log(Channel):
    kind: Literal["log"] = "log"

    async def deliver(
        self, said: Page, base: str, over: Collection[str] = frozenset(), receiver: str = ""
    ) -> None:
        log.warning("nobody is paged: no channels are configured", title=title(said, "en"))
