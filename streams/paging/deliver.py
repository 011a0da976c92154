"""A page to a channel: apprise for people, a signed webhook, Alertmanager's v2 API."""

import json
import time
from collections.abc import Collection, Sequence
from datetime import timedelta
from typing import Any, Final

import structlog

from schemas.times import utc
from streams.paging import people
from streams.paging.channels import Alertmanager, AppriseChannel, Log, Webhook
from streams.paging.page import OVER, Page, document, link, title
from streams.paging.web import request
from streams.runtime.signature import signed

log = structlog.get_logger(__name__)

FIRING_FOR: Final = timedelta(hours=24)
IDEMPOTENCY_KEY: Final = "Idempotency-Key"
ALERTS_AT_ONCE: Final = 200
"""Of a request to a machine: some 30 kB, so that no proxy on the way finds it too large."""


def receivers(channel: Any) -> list[str]:
    """Who of a channel gets each page, by names that stay the same after a restart."""
    return people.receivers(channel) if isinstance(channel, AppriseChannel) else [""]


def pieces(channel: Any, said: Page, base: str) -> Sequence[tuple[int, int]]:
    """Which calls of the page, from and until, are said in each message."""
    if isinstance(channel, AppriseChannel):
        return people.pieces(channel, said, base)
    firsts = range(0, len(said.calls), ALERTS_AT_ONCE)
    return [(first, min(first + ALERTS_AT_ONCE, len(said.calls))) for first in firsts]


async def deliver(
    channel: Any, said: Page, base: str, over: Collection[str] = frozenset(), receiver: str = ""
) -> None:
    """Return when the channel, or this receiver of it, has taken the page. ``over``: alerts that have
    ended since it was made.

    Raises NotDelivered.
    """
    match channel:
        case AppriseChannel():
            await people.tell(channel, said, base, receiver)
        case Webhook():
            await _by_webhook(channel, said, base)
        case Alertmanager():
            await _to_alertmanager(channel, said, base, over)
        case Log():
            log.warning("nobody is paged: no channels are configured", title=title(said, "en"))


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
    waited must not be revived by it, as its end may have been told already.

    Without ``startsAt`` Alertmanager takes the end for the begin, and refuses a begin after the end
    (prometheus/alertmanager#1191).
    """
    alerts = []
    for call in said.calls:
        made = utc(said.made_ms)
        ends = made if call.why in OVER or call.alert in over else made + FIRING_FOR
        starts = min(utc(call.began_ms), made) if call.began_ms else made
        alerts.append(
            {
                "labels": {
                    "alertname": call.kind,
                    "alert": call.alert,
                    "school": call.school,
                    "source": "saqshy",
                },
                "annotations": {"link": link(base, call.alert)},
                "startsAt": starts.isoformat(),
                "endsAt": ends.isoformat(),
                "generatorURL": link(base, call.alert),
            }
        )
    return alerts
