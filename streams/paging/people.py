"""Messages to people by apprise: one receiver and one piece at a time, each with an answer of its own.

Apprise says yes or no of all receivers of an address together, and why only in its log, which may hold
the address. So an address with several receivers is used once for each (caronc/apprise#1739), and its log
is read for the two numbers that matter and kept nowhere.
"""

import asyncio
from collections.abc import Collection, Iterator
from hashlib import sha256
from typing import Annotated, Any, Final, Literal

from apprise import Apprise, AppriseAsset, NotifyType
from apprise.common import OverflowMode
from pydantic import Field, SecretStr, field_validator

from schemas.clear_text import Reaching, is_here
from schemas.names import Language
from streams.paging.apprise_log import reading_log
from streams.paging.channel import Channel
from streams.paging.page import OVER, Page, cut, text, title
from streams.paging.retry import NotDelivered, refused_for_good

WITHIN_S: Final = 30.0
ANSWER_WITHIN_S: Final = 20.0
"""Apprise's own 4 s make a slow service hear the same again and again."""
MOST_PIECES: Final = 10
"""A page of more says how many more there are: a group takes 20 messages a minute, and nobody reads
more."""
_SMALLEST: Final = 160
_ASSET: Final = {"secure_logging": True, "http_redirects": False, "app_id": "Saqshy"}


class AppriseChannel(Channel, Reaching):
    """``url`` in apprise's notation. ``language`` of who reads it. A group of Telegram takes 20 a minute
    (core.telegram.org/bots/faq, "My bot is hitting limits")."""

    kind: Literal["apprise"] = "apprise"
    url: SecretStr
    language: Language = "ru"
    per_minute: Annotated[int, Field(ge=4, le=6_000, strict=True)] = 20

    @field_validator("url")
    @classmethod
    def _understood(cls, url: SecretStr) -> SecretStr:
        if Apprise.instantiate(url.get_secret_value()) is None:
            raise ValueError("apprise does not understand this address")
        return url

    def in_clear(self) -> Iterator[tuple[str, str]]:
        """apprise has one scheme for each way without encryption, and another with."""
        url = self.url.get_secret_value()
        way = Apprise.instantiate(url)
        clear = way.protocol or ()
        schemes = (clear,) if isinstance(clear, str) else clear
        named = url.partition(":")[0].lower() in schemes
        if named and not way.secure and way.host and not is_here(way.host):
            yield "url", f"use {way.secure_protocol or 'a way that encrypts'}"

    def receivers(self) -> list[str]:
        """A name for each receiver of the address, the same after a restart; one where they can't be told
        apart."""
        return [_named(target) for target in _targets(_plugin(self))] or [""]

    def pieces(self, said: Page, base: str) -> list[tuple[int, int]]:
        return cut(said, base, self.language, _room(_plugin(self), said, self), MOST_PIECES)

    async def deliver(
        self, said: Page, base: str, over: Collection[str] = frozenset(), receiver: str = ""
    ) -> None:
        """Return when this receiver, or without a name all of them, have taken it. Raises NotDelivered.

        Apprise knows no idempotency key: the text ends with the page's id, by which a repeat after a crash
        is told.
        """
        plugin = _plugin(self)
        if receiver:
            mine = [target for target in _targets(plugin) if _named(target) == receiver]
            if not mine:
                raise NotDelivered("its receiver is not there any more", final=True)
            plugin.targets = mine
        service = Apprise(asset=plugin.asset)
        service.add(plugin)
        resolved = all(call.why in OVER for call in said.calls)
        try:
            with reading_log() as answered:
                async with asyncio.timeout(WITHIN_S):
                    taken = await service.async_notify(
                        title=title(said, self.language),
                        body=text(said, base, self.language, _room(plugin, said, self)),
                        notify_type=NotifyType.SUCCESS if resolved else NotifyType.FAILURE,
                    )
        except TimeoutError:
            raise NotDelivered(f"no answer within {WITHIN_S:g} s", unclear=True) from None
        if not taken:
            status = f" ({answered.status})" if answered.status else ""
            # Of several that can't be told apart, one that refuses is not all of them.
            final = len(plugin) == 1 and refused_for_good(answered.status)
            raise NotDelivered(
                f"the service did not take it{status}",
                final,
                unclear=answered.unclear and not answered.status,
                after_s=answered.after_s,
            )


def _plugin(channel: AppriseChannel) -> Any:
    """A new one each time: it remembers what it sent."""
    plugin = Apprise.instantiate(channel.url.get_secret_value(), asset=AppriseAsset(**_ASSET))
    plugin.overflow_mode = (
        OverflowMode.SPLIT
    )  # what fits no message is two, as no school may be cut off
    plugin.socket_read_timeout = max(plugin.socket_read_timeout, ANSWER_WITHIN_S)
    return plugin


def _targets(plugin: Any) -> list[Any]:
    """Its receivers, where there are several that can be told apart."""
    targets = getattr(plugin, "targets", None)
    if not isinstance(targets, list | tuple | set) or len(targets) < 2:
        return []
    return sorted(targets, key=repr) if isinstance(targets, set) else list(dict.fromkeys(targets))


def _named(target: object) -> str:
    return sha256(repr(target).encode()).hexdigest()[:12]


def _room(plugin: Any, said: Page, channel: AppriseChannel) -> int:
    """Characters of a message's text. Some services put the title into it, and escape what they send."""
    in_text = len(title(said, channel.language)) + 8 if plugin.title_maxlen < 1 else 0
    return max(_SMALLEST, int(plugin.body_maxlen) * 9 // 10 - in_text)
