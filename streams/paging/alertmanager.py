"""A page to Prometheus Alertmanager, by its API v2."""

import json
from collections.abc import Collection
from datetime import timedelta
from typing import Any, ClassVar, Final, Literal

from schemas.times import utc
from streams.paging.channel import Channel
from streams.paging.page import OVER, Page, link
from streams.paging.web import WebAddress

FIRING_FOR: Final = timedelta(hours=24)


class Alertmanager(WebAddress, Channel):
    """``url`` without /api/v2."""

    kind: Literal["alertmanager"] = "alertmanager"
    forgets: ClassVar[bool] = True

    async def deliver(
        self, said: Page, base: str, over: Collection[str] = frozenset(), receiver: str = ""
    ) -> None:
        body = json.dumps(postable_alerts(said, base, over)).encode()
        await self.ask("POST", body, path="/api/v2/alerts")


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
