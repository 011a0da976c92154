"""What was heard of the presses, where, and when: lost, doubled, late."""

import asyncio
import json
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from aiokafka import ConsumerRecord, TopicPartition

from dashboards.console.users import bearer
from deploy.panic_listener import Announced, listen
from loadtest.panic.pressing import Press, percentiles, read_police
from loadtest.panic.stack import Whole
from schemas.topics import ALERTS
from streams.runtime.kafka.reader import Followed, Reader

SHOWN_TROUBLES: Final = 20
SETTLE_S: Final = 120.0
SLOW_MS: Final = 5_000.0
PRESS_CODES: Final = ("120", "121")


@dataclass(slots=True)
class Watching:
    """What was heard of the presses: at the console's stream, on the alerts topic, by the police."""

    whole: Whole
    heard: Announced = field(default_factory=Announced)
    alerts_ms: dict[str, float] = field(default_factory=dict)
    _tasks: list[asyncio.Task[None]] = field(default_factory=list)

    def start(self) -> None:
        url = f"{self.whole.console}/events?only=panics"
        headers = bearer(self.whole.settings.var)
        self._tasks = [
            asyncio.create_task(listen(url, self.heard, headers)),
            asyncio.create_task(self._follow_alerts()),
        ]

    async def stop(self) -> None:
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _follow_alerts(self) -> None:
        kafka = self.whole.settings.kafka

        async def take(_: TopicPartition, records: list[ConsumerRecord]) -> None:
            for record in records:
                event = json.loads(record.value or b"{}").get("event")
                if event:
                    self.alerts_ms.setdefault(event, time.time() * 1000)

        await Reader(
            kafka, [Followed(ALERTS.name)], take, client_id="loadtest", fetch_wait_ms=20
        ).run()

    def police(self) -> dict[str, list[int]]:
        """Alert id -> the moments at which the police had an alarm of it, repeats dropped."""
        found: dict[str, list[int]] = {}
        path = self.whole.settings.var / "police" / "received.jsonl"
        for one in read_police(path):
            is_alarm = one["event"] in PRESS_CODES and one["qualifier"] == 1
            if is_alarm and not one["repeat"]:
                found.setdefault(one["alert"], []).append(one["at_ms"])
        return found

    async def settle(self, presses: Sequence[Press]) -> None:
        """Until every press was heard everywhere, or SETTLE_S is over."""
        until_s = time.monotonic() + SETTLE_S
        while True:
            if time.monotonic() > until_s or not self._missing(presses, self.police()):
                return
            await asyncio.sleep(0.5)

    def _missing(self, presses: Sequence[Press], police: dict[str, list[int]]) -> list[Press]:
        return [
            p
            for p in presses
            if p.event not in self.heard.delay_ms
            or p.event not in self.alerts_ms
            or p.alert not in police
        ]

    def figures(self, presses: Sequence[Press]) -> dict[str, Any]:
        """Of these presses."""
        police = self.police()
        delays = [self.heard.delay_ms[p.event] for p in presses if p.event in self.heard.delay_ms]
        to_topic = [
            self.alerts_ms[p.event] - p.due_ms for p in presses if p.event in self.alerts_ms
        ]
        acked = [police[p.alert][0] - p.due_ms for p in presses if p.alert in police]
        alerts = {p.alert for p in presses}
        doubled = {
            "console": sum(n - 1 for (a, _), n in self.heard.effects.items() if a in alerts),
            "police": sum(len(times) - 1 for a, times in police.items() if a in alerts),
        }
        return {
            "presses": len(presses),
            **percentiles(delays),
            "alert_topic_p99_ms": percentiles(to_topic)["p99_ms"],
            "police_ack_p50_ms": percentiles(acked)["p50_ms"],
            "police_ack_p99_ms": percentiles(acked)["p99_ms"],
            "police_ack_p999_ms": percentiles(acked)["p999_ms"],
            "lost": len(self._missing(presses, police)),
            "lost_at": {
                "console": self.heard.missing(p.event for p in presses),
                "alerts": sum(p.event not in self.alerts_ms for p in presses),
                "police": sum(p.alert not in police for p in presses),
            },
            "duplicated": sum(doubled.values()),
            "duplicated_at": doubled,
        }

    def troubles(self, presses: Sequence[Press]) -> list[dict[str, Any]]:
        """The first presses that were lost or doubled, or came very late, to look up in the logs."""
        police, found = self.police(), list[dict[str, Any]]()
        effects: dict[str, list[int]] = {}
        for (alert, _), times in self.heard.effects.items():
            effects.setdefault(alert, []).append(times)
        for p in presses:
            if len(found) == SHOWN_TROUBLES:
                break
            console = self.heard.delay_ms.get(p.event, SLOW_MS)
            acked = [at_ms - p.due_ms for at_ms in police.get(p.alert, [])]
            shown = effects.get(p.alert, [])
            slow = max([console, *acked]) >= SLOW_MS
            if slow or shown != [1] or len(acked) != 1:
                alerts = self.alerts_ms.get(p.event, 0) - p.due_ms
                said = {"console_ms": console, "alerts_ms": alerts, "police_ms": acked}
                found.append({"alert": p.alert, "due_ms": p.due_ms, "shown": shown, **said})
        return found
