"""Gateways that fall silent, on the real stack: Kafka, the liveness and the outage worker.

Three acts. Many schools of one provider are cut at once, with failures of others beside it. Then
hundreds are cut one by one. Then nobody is cut, and we hurt ourselves: every page is our own doing.
"""

import asyncio
import json
import random
import signal
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import numpy as np
from aiokafka import AIOKafkaProducer

from loadtest.offline.gateways import MISSES, AlertLog, Beats, Plan, registration
from loadtest.offline.score import periods
from loadtest.simulator.country import School, country
from schemas.alerts import Action, AlertKind
from schemas.settings import KafkaSettings, LivenessSettings, Settings, stack_file
from schemas.topics import REGISTRY
from streams.runtime.kafka import clients

CUT_PERIODS: Final = 5.3
PROVIDER: Final = "outage-net"
ON, BACK = signal.SIGWINCH, signal.SIGURG  # of loadtest.offline.stepped_clock
STEPPED_S: Final = 6
"""After each step of a clock: sweeps judge every half second, and commits follow at most 5 s later."""


@dataclass(slots=True)
class Live:
    """The stack of one run, and what is done to it."""

    plan: Plan
    settings: Settings
    supervisor: Any
    part: Callable[[str, str], Any]
    tell: Callable[[str], None]
    heard: AlertLog = field(default_factory=AlertLog)
    beats: Beats = field(init=False)
    members: list[str] = field(default_factory=list)
    others: list[str] = field(default_factory=list)
    onset_s: float = 0.0
    calm_until_s: float = 0.0
    troubles: dict[str, tuple[float, float]] = field(default_factory=dict)

    async def run(self) -> dict[str, Any]:
        schools = country(self.plan.seed, self.plan.schools)
        rng = random.Random(self.plan.seed)
        ids = [school.id for school in schools]
        self.members = sorted(rng.sample(ids, self.plan.shared))
        self.others = [school for school in ids if school not in set(self.members)]
        rng.shuffle(self.others)
        producer = clients.producer(self.settings.kafka, linger_ms=5)
        await producer.start()
        self.beats = Beats(self.plan, ids, producer)
        await self._register(producer, schools)
        tasks = [
            asyncio.create_task(self.beats.run()),
            asyncio.create_task(self.heard.run(self.settings.kafka)),
        ]
        try:
            from_s = time.time()
            await self._sleep(1.5 * self.plan.period_s + 5, "everybody is heard")
            await self._one_provider(rng)
            await self._one_by_one(rng)
            self.calm_until_s = time.time()
            await self._our_own_trouble()
            await self._still_seeing()
            for task in tasks:
                if task.done():
                    task.result()
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
            await producer.stop()
        return {**self._scored(), **await self._replayed(from_s)}

    async def _register(self, producer: AIOKafkaProducer, schools: Sequence[School]) -> None:
        members = set(self.members)
        for number, school in enumerate(schools):
            provider = PROVIDER if school.id in members else school.provider
            value = registration(number, school, provider, self.plan.period_s)
            await producer.send(REGISTRY.name, value, key=school.id.encode())
        await producer.flush()

    # The acts

    async def _one_provider(self, rng: random.Random) -> None:
        plan = self.plan
        self.tell(f"{plan.shared} schools of one provider fall silent, {plan.beside} others by it")
        self.onset_s = time.time()
        lasting_s = plan.timeout_s + plan.period_s + 17
        for school in self.members:
            self.beats.cut(school, "shared", self.onset_s, lasting_s)
        for school in self.others[: plan.beside]:
            start_s = self.onset_s + rng.random() * 1.5 * plan.period_s
            self.beats.cut(school, "beside", start_s, CUT_PERIODS * plan.period_s)
        await asyncio.sleep(lasting_s)
        await self._until(lambda: not self._open_outages(), 4 * plan.period_s + 60)

    async def _one_by_one(self, rng: random.Random) -> None:
        plan = self.plan
        self.tell(f"{plan.cut} schools fall silent one by one")
        start_s = time.time()
        for school in self.others[plan.beside : plan.beside + plan.cut]:
            at_s = start_s + rng.random() * plan.spread_s
            self.beats.cut(school, "single", at_s, CUT_PERIODS * plan.period_s)
        await self._sleep(plan.spread_s + 4.5 * plan.period_s + 4, "and are found")

    async def _our_own_trouble(self) -> None:
        plan, supervisor = self.plan, self.supervisor
        settle_s = 8 + plan.period_s / 2
        with self._trouble("liveness worker killed"):
            supervisor.kill("liveness")
            await self._sleep(settle_s, "the liveness worker is killed")
        with self._trouble("ClickHouse killed, worker paused beyond the timeout"):
            supervisor.kill("clickhouse")
            supervisor.kill("liveness", signal.SIGSTOP)
            await self._sleep(plan.timeout_s + 2, "the liveness worker is paused")
            supervisor.kill("liveness", signal.SIGCONT)
            await self._sleep(settle_s, "and goes on")
        with self._trouble("the worker's clock is stepped by ten minutes, on and back"):
            await supervisor.stop_part("liveness")
            await supervisor.start(self.part("liveness-stepped", "liveness"))
            await self._sleep(settle_s, "a worker judges whose clock can be stepped")
            for step in (ON, BACK, BACK, ON):
                supervisor.kill("liveness-stepped", step)
                await self._sleep(STEPPED_S, "its clock is stepped")
            await supervisor.stop_part("liveness-stepped")
            await supervisor.start(self.part("liveness", "liveness"))
        with self._trouble("a second worker joins and leaves"):
            await supervisor.start(self.part("liveness-2", "liveness"))
            await self._sleep(8, "a second worker joins")
            await supervisor.stop_part("liveness-2")
            await self._sleep(settle_s, "and leaves")
        with self._trouble("broker killed"):
            supervisor.kill("kafka")
            await self._sleep(2, "the broker is killed")
            await self._until(lambda: supervisor.healthy()["kafka"], 240)
            await self._sleep(settle_s, "and is back")

    async def _still_seeing(self) -> None:
        """What falls silent right after all that is found, and nobody else."""
        plan = self.plan
        start_s = time.time()
        with self._trouble("afterwards"):
            for school in self.others[-plan.after :]:
                self.beats.cut(school, "after", start_s, (CUT_PERIODS + 1) * plan.period_s)
            await self._sleep(4.5 * plan.period_s + 8, "what falls silent is found")

    @contextmanager
    def _trouble(self, name: str) -> Iterator[None]:
        began_s = time.time()
        yield
        self.troubles[name] = began_s, time.time()

    async def _sleep(self, seconds: float, what: str) -> None:
        self.tell(f"{what} ({seconds:.0f} s)")
        await asyncio.sleep(seconds)

    async def _until(self, holds: Callable[[], bool], within_s: float) -> None:
        for _ in range(round(within_s * 5)):
            if holds():
                return
            await asyncio.sleep(0.2)

    # What came out

    def _open_outages(self) -> set[str]:
        last = {said.id: said.action for _, said in self.heard.of(AlertKind.OUTAGE)}
        ours = {said.id for _, said in self.heard.of(AlertKind.OUTAGE)}
        return {id_ for id_ in ours if last[id_] is not Action.RESOLVED}

    def _scored(self) -> dict[str, Any]:
        period_ms = self.plan.period_s * 1000
        pages = self.heard.pages()
        delays: dict[str, list[int]] = {}
        pipeline: list[int] = []
        missed = {"calm": 0, "afterwards": 0}
        explained: set[tuple[str, int]] = set()
        for silence in (one for its in self.beats.cuts.values() for one in its):
            end_ms = silence.end_s * 1000 + period_ms
            its = [
                (at_ms, said)
                for at_ms, said in pages
                if said.school == silence.school and silence.start_s * 1000 <= at_ms <= end_ms
            ]
            explained |= {(said.id, said.number) for _, said in its}
            if not its:
                missed["afterwards" if silence.act == "after" else "calm"] += 1
                continue
            at_ms, said = its[0]
            delays.setdefault(silence.act, []).append(at_ms - silence.onset_ms)
            if silence.act != "after":
                pipeline.append(at_ms - said.decided_ms)
        false = [at for at, said in pages if (said.id, said.number) not in explained]
        calm = [*delays.get("shared", []), *delays.get("beside", []), *delays.get("single", [])]
        return {
            "live_outages": len(calm) + missed["calm"],
            "live_detect_p50_periods": periods(calm, 50, period_ms),
            "live_detect_p99_periods": periods(calm, 99, period_ms),
            "pipeline_p50_ms": round(float(np.percentile(pipeline, 50))) if pipeline else None,
            "pipeline_p99_ms": round(float(np.percentile(pipeline, 99))) if pipeline else None,
            "live_false_pages": sum(at < self.calm_until_s * 1000 for at in false),
            "false_pages_from_own_trouble": sum(at >= self.calm_until_s * 1000 for at in false),
            "live_missed": missed["calm"],
            "missed_after_own_trouble": missed["afterwards"],
            "detect_after_own_trouble_p99_periods": periods(delays.get("after", []), 99, period_ms),
            "own_trouble": {
                name: sum(from_s * 1000 <= at < to_s * 1000 for at in false)
                for name, (from_s, to_s) in self.troubles.items()
            },
            "monitoring_impaired": len(self.heard.of(AlertKind.MONITORING_IMPAIRED)),
            "live_period_s": self.plan.period_s,
            "live_schools": self.plan.schools,
            "generator_late_ms": self.beats.late_ms,
            "outage": self._outage(),
        }

    def _outage(self) -> dict[str, Any]:
        """Of the first act: what was opened before the second began."""
        until_ms = (
            min(
                (
                    one.start_s
                    for its in self.beats.cuts.values()
                    for one in its
                    if one.act == "single"
                ),
                default=time.time(),
            )
            * 1000
        )
        said = [pair for pair in self.heard.of(AlertKind.OUTAGE) if pair[0] < until_ms]
        named = {school for _, one in said for school in one.members}
        beside = {s for s, its in self.beats.cuts.items() if its[0].act == "beside"}
        onset_ms = min(
            (one.onset_ms for s in self.members for one in self.beats.cuts[s] if one.onset_ms),
            default=0,
        )
        return {
            "incidents": len({one.id for _, one in said}),
            "notifications": len(said),
            "seconds": round((said[0][0] - onset_ms) / 1000, 1) if said else None,
            "attributed": round(len(named & set(self.members)) / len(self.members), 5),
            "absorbed": round(len(named & beside) / len(beside), 5) if beside else 0.0,
            "scope": said[0][1].scope if said else "",
            "schools": len(self.members),
        }

    async def _replayed(self, from_s: float) -> dict[str, Any]:
        """Of the acts in which we did not hurt ourselves."""
        from deploy.replay import Span, compare

        span = Span(int(from_s * 1000), int(self.calm_until_s * 1000))
        found = {lane: await compare(self.settings, lane, span) for lane in ("liveness", "outage")}
        return {
            "replay_identical": all(one.identical for one in found.values()),
            "replayed_transitions": sum(one.replayed for one in found.values()),
            "replay_first_difference": next(
                (
                    {"stands": d.stands, "replayed": d.replayed}
                    for one in found.values()
                    for d in one.differences[:1]
                ),
                None,
            ),
        }


def run_live(settings: Settings, plan: Plan, tell: Callable[[str], None]) -> dict[str, Any]:
    """On a broker, an engine and workers of its own, in a temporary folder.

    Raises supervisor.PartFailed when one of them does not start.
    """
    # The simulator runs without the embedded parts.
    from deploy.embedded.ports import kept_port
    from deploy.embedded.stack import stack_parts
    from deploy.supervisor import Part, Supervisor
    from deploy.topics import ensure_topics

    with tempfile.TemporaryDirectory(prefix="saqshy-offline-") as folder:
        var = Path(folder)
        supervisor = Supervisor(var / "log", lambda notice: tell(f"{notice.part} {notice.what}"))
        parts = stack_parts(settings.model_copy(update={"var": var}))
        written = json.loads(stack_file(var).read_text())
        there = settings.model_copy(
            update={
                "var": var,
                "kafka": KafkaSettings(
                    **written["kafka"] | {"partitions": settings.kafka.partitions}
                ),
                "liveness": LivenessSettings(misses=MISSES, grace_s=plan.grace_s),
            }
        )

        def part(name: str, lane: str) -> Part:
            program = "loadtest.offline.stepped_clock" if name.endswith("-stepped") else "streams"
            port = kept_port(var, f"{name}-health")
            worker = there.worker.model_copy(update={"health_port": port})
            return Part(
                name=name,
                argv=(sys.executable, "-m", program, lane),
                env=there.model_copy(update={"worker": worker}).environment(),
                ready=_healthy(port),
            )

        async def run() -> dict[str, Any]:
            try:
                await supervisor.start(*parts)
                await asyncio.to_thread(ensure_topics, there)
                await supervisor.start(part("liveness", "liveness"), part("outage", "outage"))
                return await Live(plan, there, supervisor, part, tell).run()
            finally:
                await supervisor.stop()

        return asyncio.run(run())


def _healthy(port: int) -> Callable[[], Any]:
    async def ready() -> bool:
        import aiohttp

        timeout = aiohttp.ClientTimeout(total=3)
        url = f"http://127.0.0.1:{port}/health"
        async with aiohttp.ClientSession(timeout=timeout) as session, session.get(url) as answer:
            return answer.status == 200

    return ready
