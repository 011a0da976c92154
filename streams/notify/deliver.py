"""A page to a channel: apprise for people, a signed webhook, Alertmanager's v2 API."""

import asyncio
import json
import time
from collections.abc import Collection
from datetime import timedelta
from typing import Any, Final

import structlog
from apprise import Apprise, AppriseAsset, NotifyType
from apprise.common import OverflowMode

from schemas.signature import signed
from schemas.times import utc
from streams.notify.channels import Alertmanager, AppriseChannel, Log, Webhook
from streams.notify.page import OVER, Page, document, link, text, title
from streams.notify.web import NotDelivered, request

log = structlog.get_logger(__name__)

APPRISE_WITHIN_S: Final = 30.0
FIRING_FOR: Final = timedelta(hours=24)
IDEMPOTENCY_KEY: Final = "Idempotency-Key"

_ASSET: Final = {"secure_logging": True, "http_redirects": False, "app_id": "Saqshy"}


async def deliver(channel: Any, said: Page, base: str, over: Collection[str] = frozenset()) -> None:
    """Return when the channel has taken the page. ``over``: alerts that have ended since it was made.

    Raises NotDelivered.
    """
    match channel:
        case AppriseChannel():
            await _by_apprise(channel, said, base)
        case Webhook():
            await _by_webhook(channel, said, base)
        case Alertmanager():
            await _to_alertmanager(channel, said, base, over)
        case Log():
            log.warning("nobody is paged: no channels are configured", title=title(said, "en"))


async def _by_apprise(channel: AppriseChannel, said: Page, base: str) -> None:
    """Apprise knows no idempotency key: the text ends with the page's id, by which a repeat after
    a crash is told. It says yes or no, and why only in a log that would hold the address."""
    service = Apprise(asset=AppriseAsset(**_ASSET))
    plugin = Apprise.instantiate(channel.url.get_secret_value(), asset=service.asset)
    plugin.overflow_mode = (
        OverflowMode.SPLIT
    )  # a long message is several, as no school may be cut off
    service.add(plugin)
    resolved = all(call.why in OVER for call in said.calls)
    kind = NotifyType.SUCCESS if resolved else NotifyType.FAILURE
    try:
        async with asyncio.timeout(APPRISE_WITHIN_S):
            taken = await service.async_notify(
                title=title(said, channel.language),
                body=text(said, base, channel.language),
                notify_type=kind,
            )
    except TimeoutError:
        raise NotDelivered(f"no answer within {APPRISE_WITHIN_S:g} s") from None
    if not taken:
        raise NotDelivered("the service did not take it")


async def _by_webhook(channel: Webhook, said: Page, base: str) -> None:
    body = json.dumps(document(said, base), separators=(",", ":")).encode()
    await request(
        "POST",
        channel.url.get_secret_value(),
        body,
        {
            **signed(channel.secret.get_secret_value().encode(), int(time.time()), body),
            IDEMPOTENCY_KEY: said.id,
        },
        private=channel.allow_private,
        ca_file=channel.ca_file,
        timeout_s=channel.timeout_s,
    )


async def _to_alertmanager(
    channel: Alertmanager, said: Page, base: str, over: Collection[str]
) -> None:
    await request(
        "POST",
        f"{channel.url.get_secret_value().rstrip('/')}/api/v2/alerts",
        json.dumps(postable_alerts(said, base, over)).encode(),
        {},
        private=channel.allow_private,
        ca_file=channel.ca_file,
        timeout_s=channel.timeout_s,
    )


def postable_alerts(
    said: Page, base: str, over: Collection[str] = frozenset()
) -> list[dict[str, Any]]:
    """``postableAlerts`` of Alertmanager's API v2. Equal labels are the same alert, so a repeat of
    the request changes nothing; it ends at ``endsAt``, in a day or now. What ended while the page
    waited must not be revived by it, as its end may have been told already."""
    made = utc(said.made_ms)
    return [
        {
            "labels": {
                "alertname": call.kind,
                "alert": call.alert,
                "school": call.school,
                "source": "saqshy",
            },
            "annotations": {"link": link(base, call.alert)},
            "endsAt": (
                made if call.why in OVER or call.alert in over else made + FIRING_FOR
            ).isoformat(),
            "generatorURL": link(base, call.alert),
        }
        for call in said.calls
    ]
