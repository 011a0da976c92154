"""Gateways that beat on the real clock, are cut, and what is heard of it on the topic of alerts."""

import asyncio
import heapq
import json
import random
import time
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Final

from aiokafka import AIOKafkaProducer, ConsumerRecord, TopicPartition
from aiokafka.errors import KafkaError
from pydantic import ValidationError

from loadtest.simulator.country import School
from schemas.alerts import NOTICE, Action, AlertChanged, AlertKind
from schemas.settings import KafkaSettings, LivenessSettings
from schemas.topics import ALERTS, HEARTBEATS
from streams.runtime.kafka.reader import Followed, Reader

TICK_S: Final = 0.02
MISSES: Final = LivenessSettings().misses


@dataclass(frozen=True, slots=True)
class Plan:
    """``period_s``: of all gateways. ``cut``: how many fall silent one by one, over ``spread_s``.

    ``beside``: independent failures while ``shared`` schools are away. More at once would not be
    independent: they would be a burst themselves.
    """

    schools: int = 2_000
    period_s: int = 15
    shared: int = 400
    beside: int = 8
    cut: int = 1_000
    spread_s: float = 45.0
    after: int = 20
    seed: int = 1

    @property
    def grace_s(self) -> float:
        return self.period_s / 3

    @property
    def timeout_s(self) -> float:
        return MISSES * self.period_s + self.grace_s


@dataclass(slots=True)
class Silence:
    """One cut of one school. ``onset_ms``: the first heartbeat that was not sent, 0 for none yet."""

    school: str
    act: str
    start_s: float
    end_s: float
    onset_ms: int = 0


@dataclass(slots=True)
class Beats:
    """Every gateway beats at a moment of its own, unless it is cut; times are of the wall clock."""

    plan: Plan
    schools: Sequence[str]
    producer: AIOKafkaProducer
    cuts: dict[str, list[Silence]] = field(default_factory=dict)
    sent: int = 0
    late_ms: int = 0
    _tasks: set[asyncio.Task[None]] = field(default_factory=set)

    def cut(self, school: str, act: str, start_s: float, for_s: float) -> Silence:
        silence = Silence(school, act, start_s, start_s + for_s)
        self.cuts.setdefault(school, []).append(silence)
        return silence

    async def run(self) -> None:
        rng = random.Random(self.plan.seed)
        period_s = self.plan.period_s
        due = [(time.time() + rng.random() * period_s, school) for school in self.schools]
        heapq.heapify(due)
        while True:
            now_s = time.time()
            while due[0][0] <= now_s:
                at_s, school = heapq.heapreplace(due, (due[0][0] + period_s, due[0][1]))
                self._beat(school, at_s, now_s)
            await asyncio.sleep(TICK_S)

    def _beat(self, school: str, at_s: float, now_s: float) -> None:
        for silence in self.cuts.get(school, ()):
            if silence.start_s <= at_s < silence.end_s:
                silence.onset_ms = silence.onset_ms or int(at_s * 1000)
                return
        self.late_ms = max(self.late_ms, int((now_s - at_s) * 1000))
        self.sent += 1
        value = (
            f'{{"id":"{_id(self.sent)}","type":"heartbeat","school":"{school}","device":"gateway-1",'
            f'"time_ms":{int(now_s * 1000)},"boot":1,"seq":{self.sent},"v":1,"kind":"gateway",'
            f'"period_s":{self.plan.period_s},"link_pct":90,"provider":"x","buffered":0,'
            f'"clock_offset_ms":0}}'
        )
        self._tasks.add(task := asyncio.create_task(self._send(school, value.encode())))
        task.add_done_callback(self._tasks.discard)

    async def _send(self, school: str, value: bytes) -> None:
        """Each gateway waits for itself, not for long: an old heartbeat proves nothing."""
        with suppress(KafkaError, TimeoutError):
            async with asyncio.timeout(self.plan.period_s):
                await self.producer.send_and_wait(HEARTBEATS.name, value, key=school.encode())


@dataclass(slots=True)
class AlertLog:
    """The transitions on the topic of alerts, with the broker's stamps; the first of equal ones."""

    alerts: dict[tuple[str, int], tuple[int, AlertChanged]] = field(default_factory=dict)

    async def run(self, kafka: KafkaSettings) -> None:
        await Reader(
            kafka, [Followed(ALERTS.name)], self._take, client_id="loadtest", fetch_wait_ms=50
        ).run()

    async def _take(self, _: TopicPartition, records: list[ConsumerRecord]) -> None:
        for record in records:
            with suppress(ValidationError):
                said = NOTICE.validate_json(record.value or b"")
                if isinstance(said, AlertChanged):
                    self.alerts.setdefault((said.id, said.number), (record.timestamp, said))

    def of(self, kind: AlertKind, since_s: float = 0.0) -> list[tuple[int, AlertChanged]]:
        found = [
            (at_ms, said)
            for at_ms, said in self.alerts.values()
            if said.kind is kind and at_ms >= since_s * 1000
        ]
        return sorted(found, key=lambda pair: pair[0])

    def pages(self, since_s: float = 0.0) -> list[tuple[int, AlertChanged]]:
        offline = self.of(AlertKind.SCHOOL_OFFLINE, since_s)
        return [(at_ms, said) for at_ms, said in offline if said.action is Action.OPENED]


def registration(number: int, school: School, provider: str, period_s: int) -> bytes:
    gateway = {"device": "gateway-1", "kind": "gateway", "period_s": period_s}
    record = {
        "id": _id(number),
        "type": "school.registered",
        "school": school.id,
        "device": "registry",
        "time_ms": int(time.time() * 1000),
        "boot": 1,
        "seq": number,
        "v": 1,
        "names": {"kk": school.kk, "ru": school.ru, "en": school.en},
        "region": school.region,
        "district": school.district,
        "latitude": school.latitude,
        "longitude": school.longitude,
        "pupils": school.pupils,
        "ownership": "private" if school.private else "public",
        "shifts": [{"bells": ["08:00", "13:00"]}],
        "provider": provider,
        "devices": [gateway],
    }
    return json.dumps(record, ensure_ascii=False).encode()


def _id(number: int) -> str:
    now_ms = int(time.time() * 1000)
    return f"{now_ms >> 16:08x}-{now_ms & 0xFFFF:04x}-7000-8000-{number & (1 << 48) - 1:012x}"
