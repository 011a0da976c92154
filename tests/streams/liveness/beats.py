"""Schools whose gateways beat once a second on a log in memory, each by the partitions that it knows of."""

import asyncio
import json
from collections.abc import Iterable
from typing import Any

from schemas.settings import LivenessSettings
from schemas.topics import ALERTS, HEARTBEATS, STATUS, TOPICS
from streams.beside import Topics
from streams.lane import Group as Membership
from streams.lane import Lane
from streams.liveness.agent import LivenessLane
from streams.runtime.clock import Clock
from tests.streams.growing import home
from tests.streams.memory.group import Group
from tests.streams.memory.log import Log
from tests.streams.memory.time import until
from tests.streams.workers import uuid7

CO_READ = [topic.name for topic in TOPICS if topic.co_read]
TIMEOUT_S = 4.0


def liveness(topics: Topics, clock: Clock) -> Lane[Membership]:
    """A device is offline 4 s after its last heartbeat, one a second."""
    return LivenessLane(topics, LivenessSettings(misses=3, grace_s=1.0), clock)


class Country:
    """``silent``: schools that do not beat. ``knows``: of how many partitions a school's producer does."""

    def __init__(self, schools: list[str], partitions: int = 4) -> None:
        self.log = Log(partitions)
        self.group = Group(self.log, liveness)
        self.schools = schools
        self.silent: set[str] = set()
        self.knows = dict.fromkeys(schools, partitions)
        self._seq = 0
        self._beating = asyncio.create_task(self._beat())

    async def _beat(self) -> None:
        while True:
            self._seq += 1
            if not self.log.away:
                for school in self.knows:
                    if school not in self.silent:
                        number = home(school, self.knows[school])
                        self.log.append(HEARTBEATS.name, school, self._heartbeat(school), number)
            await asyncio.sleep(1.0)

    def _heartbeat(self, school: str) -> bytes:
        fields: dict[str, object] = {"id": uuid7(), "type": "heartbeat", "school": school}
        fields |= {"device": "gateway-1", "time_ms": self.log.clock.wall_ms, "boot": 1}
        fields |= {"seq": self._seq, "v": 1, "kind": "gateway", "period_s": 1, "link_pct": 90}
        fields |= {"provider": "kt", "buffered": 0, "clock_offset_ms": 0}
        return json.dumps(fields).encode()

    async def all_online(self) -> None:
        await until(lambda: set(self.schools) - self.silent <= self.online())

    def online(self) -> set[str]:
        said = self.log.said(STATUS.name, status="online", device="")
        return {str(one["school"]) for one in said}

    def said(self, **fields: object) -> list[dict[str, Any]]:
        """Without repetitions."""
        found = {(a["id"], a["number"]): a for a in self.log.said(ALERTS.name, **fields)}
        return list(found.values())

    def accused(self) -> set[str]:
        return {a["school"] for a in self.said(kind="school_offline", action="opened")}

    async def found(self, school: str) -> float:
        """Silence a school; return after how many seconds it was found, alone."""
        before, since_s = self.accused(), asyncio.get_running_loop().time()
        self.silent.add(school)
        await until(lambda: school in self.accused())
        assert self.accused() == before | {school}
        return asyncio.get_running_loop().time() - since_s

    async def returned(self, school: str) -> None:
        self.silent.discard(school)
        await until(
            lambda: bool(self.said(kind="school_offline", action="resolved", school=school))
        )

    def all_know(self, partitions: int, schools: Iterable[str] = ()) -> None:
        self.knows |= dict.fromkeys(schools or self.schools, partitions)
