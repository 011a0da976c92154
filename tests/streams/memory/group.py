"""A consumer group in memory, whose members run a lane by the same policy as ``streams.lane.app`` does."""

import asyncio
from collections.abc import Callable, Coroutine, Iterable
from contextlib import suppress
from dataclasses import replace
from typing import Any

from aiokafka.errors import KafkaError
from faust.types import TP

from streams.beside import Topics
from streams.lane import ErrorPolicy, Lane
from streams.lane import Group as Membership
from streams.runtime.clock import Clock
from streams.transport import Abandoned, Batch, Committed, Metrics, Progress, Timeline
from streams.transport.thread import TopicMadeAnew
from tests.streams.memory import log as memory
from tests.streams.memory.log import Log

SESSION_S = 10.0
GRACE_S = 5.0
AGAIN_S = 1.0
MEASURE_S = 1.0
LOOK_S = 2.0
"""How soon an added partition is found."""

Make = Callable[[Topics, Clock], Lane[Membership]]


class Group:
    """Workers of one lane. ``make`` makes the lane of a new process."""

    def __init__(self, log: Log, make: Make) -> None:
        self.log = log
        self.make = make
        self.members: list[Process] = []
        self.generation = 0
        self._balancing = asyncio.Lock()

    async def start(self) -> "Process":
        """A new process, in the group."""
        process = Process(self)
        self.members.append(process)
        await self.balance()
        return process

    async def balance(self) -> None:
        """As the range assignor does: all lose what they have, then each gets its share."""
        async with self._balancing:
            while any(member.topics.is_dead for member in self.members):
                await asyncio.sleep(0.1)  # the group waits for who it does not know to be dead
            self.generation += 1
            await asyncio.gather(*(member.revoked() for member in self.members))
            shares: list[set[TP]] = [set() for _ in self.members]
            topics = self.members[0].lane.reads.topics if self.members else ()
            for topic in topics:
                count = len(self.log.topics[topic])
                for number in range(count):
                    shares[number * len(shares) // count].add(TP(topic, number))
            for member, share in zip(self.members, shares, strict=True):
                member.assigned(share, self.generation)

    async def stop(self) -> None:
        for member in list(self.members):
            await member.terminate()


class Process:
    """One worker, as the supervisor sees it. ``ended``: why it ended by itself."""

    def __init__(self, group: Group) -> None:
        self.group, self.log = group, group.log
        self.topics = memory.Topics(group.log)
        self.topics.runs.set()
        self.lane = group.make(self.topics, group.log.clock)
        self.name = self.lane.name
        self.ended: Exception | None = None
        self.metrics = Metrics()
        self.generation = -1
        self.policy = ErrorPolicy(self.lane, self._end)
        self._out: dict[TP, Batch] = {}
        self._at: dict[TP, int] = {}
        self._lives = dict(group.log.lives)
        self._actors = asyncio.Semaphore(self.lane.reads.concurrency)
        self._tasks = {asyncio.create_task(work) for work in (self._sweep(), self._measure())}
        self._working: set[asyncio.Task[None]] = set()

    # What a test does to it

    async def kill(self) -> None:
        """SIGKILL; its group learns of it when its session is over."""
        await self._die()
        self._tasks.add(asyncio.create_task(self._expire()))

    async def replaced(self) -> "Process":
        """Killed, and back under its static name before its session is over."""
        await self._die()
        self.group.members.remove(self)
        return await self.group.start()

    async def terminate(self) -> None:
        """SIGTERM: it leaves its group."""
        await self.revoked()
        await self._die()
        if self in self.group.members:
            self.group.members.remove(self)
            await self.group.balance()

    async def pause(self, for_s: float) -> None:
        """SIGSTOP and SIGCONT."""
        self.topics.runs.clear()
        self.group.members.remove(self)
        lost = asyncio.create_task(asyncio.sleep(SESSION_S))
        await asyncio.sleep(for_s)
        if lost.done():
            await self.group.balance()
        lost.cancel()
        self.topics.runs.set()
        self.group.members.append(self)
        if lost.done():
            await self.group.balance()

    # What its group does to it

    async def revoked(self) -> None:
        for tp, batch in list(self._out.items()):
            if batch.task is None:
                del self._out[tp]
        with suppress(TimeoutError):
            async with asyncio.timeout(GRACE_S):
                while self._out and not self.topics.is_dead:
                    await asyncio.sleep(0.01)
        self.generation = -1
        for batch in self._out.values():
            batch.abandoned.set()
            self.metrics.abandoned += 1
        self._out.clear()
        for task in self._working:
            task.cancel()
        self._working.clear()
        await self.policy.forget(set(self._at))
        self._at.clear()
        self.metrics.progress = {}

    def assigned(self, tps: set[TP], generation: int) -> None:
        self.generation = generation
        self.metrics.progress = {tp: Progress() for tp in tps}
        if tps:
            self._work(self._begin(tps, generation))

    # What streams.transport does

    async def _begin(self, tps: set[TP], generation: int) -> None:
        while True:
            try:
                committed = {tp: self._committed(tp) for tp in tps}
                starts = await self.policy.begin(self, committed)
                break
            except Exception:
                await asyncio.sleep(AGAIN_S)
        for tp in tps:
            self._at[tp] = starts.get(tp, committed[tp].offset or 0)
            self._work(self._hand_out(tp, generation))

    def _committed(self, tp: TP) -> Committed:
        at = self.log.committed.get((self.name, tp), Committed(None))
        is_behind = at.offset is not None and at.offset > len(self.log.rows(tp))
        return Committed(None) if is_behind else at

    async def _hand_out(self, tp: TP, generation: int) -> None:
        while self.generation == generation:
            await asyncio.sleep(memory.POLL_S)
            await self.topics.runs.wait()
            first = self._at[tp]
            rows = self.log.rows(tp)[first : first + self.lane.reads.max_records]
            if self.log.away or not rows:
                continue
            size = sum(len(row.value or b"") for row in rows)
            batch = Batch(tp, list(rows), first, first + len(rows), size, generation, self)
            self._at[tp] = batch.next_offset
            self._out[tp] = batch
            await self._taken(batch)
            while tp in self._out:
                await asyncio.sleep(0.01)

    async def _taken(self, batch: Batch) -> None:
        async with self._actors:
            batch.task = asyncio.current_task()
            await self.policy.take(batch)

    async def timeline(self, tp: TP) -> Timeline:
        await asyncio.sleep(0)
        return Timeline(f"{self.log.lives[tp.topic]:032x}", 0)

    async def commit_at(self, tp: TP, offset: int, metadata: str, generation: int) -> None:
        while True:
            await asyncio.sleep(0)
            is_ours = generation == self.generation == self.group.generation
            if not is_ours or self.topics.is_dead:
                raise Abandoned(f"{tp} isn't ours in generation {generation}")
            if not self.log.away:
                break
            await asyncio.sleep(0.1)
        self.log.committed[self.name, tp] = Committed(offset, metadata)
        self.metrics.commits += 1

    def finish(self, batch: Batch) -> None:
        if self._out.get(batch.tp) is batch:
            del self._out[batch.tp]
            last_ms = batch.records[-1].timestamp
            self.metrics.progress[batch.tp].handled(batch.next_offset, last_ms)

    def hand_out_again(self, batch: Batch) -> None:
        if self._out.get(batch.tp) is not batch:
            return
        self.metrics.retries += 1
        again = replace(batch, abandoned=asyncio.Event(), finished=False, task=None)
        self._out[batch.tp] = again
        asyncio.get_running_loop().call_later(AGAIN_S, self._put_again, again)

    def _put_again(self, batch: Batch) -> None:
        if self._out.get(batch.tp) is batch:
            self._work(self._taken(batch))

    async def _sweep(self) -> None:
        while self.lane.sweep_every_s:
            await asyncio.sleep(self.lane.sweep_every_s)
            await self.topics.runs.wait()
            await self.policy.sweep()

    async def _measure(self) -> None:
        looked_s = asyncio.get_running_loop().time()
        while True:
            asked_at_s = self.log.clock.wall_s()
            await asyncio.sleep(0.01)
            if self.topics.runs.is_set() and not self.log.away:
                self._note(self.metrics.progress.items(), asked_at_s)
                anew = [t for t in self.lane.reads.topics if self.log.lives[t] != self._lives[t]]
                if anew:
                    await self._end(TopicMadeAnew(anew[0]))
                now_s = asyncio.get_running_loop().time()
                if now_s - looked_s >= LOOK_S and self.group.members[:1] == [self]:
                    looked_s = now_s
                    await self._look()
            await asyncio.sleep(MEASURE_S)

    def _note(self, found: Iterable[tuple[TP, Progress]], asked_at_s: float) -> None:
        for tp, progress in found:
            if tp in self._at and tp not in self._out:
                progress.handled(self._at[tp])
            ended = [row for row in self.log.rows(tp) if row.timestamp <= asked_at_s * 1000]
            progress.end_seen(max(len(ended), progress.handled_offset or 0), asked_at_s)

    async def _look(self) -> None:
        known = sum(len(member.metrics.progress) for member in self.group.members)
        if known != sum(len(self.log.topics[t]) for t in self.lane.reads.topics):
            await self.group.balance()

    # Its end

    async def _end(self, error: Exception) -> None:
        self.ended = self.ended or error
        self._tasks.add(asyncio.create_task(self.terminate()))

    async def _expire(self) -> None:
        await asyncio.sleep(SESSION_S)
        self.group.members.remove(self)
        await self.group.balance()

    async def _die(self) -> None:
        self.topics.is_dead = True
        self.topics.runs.set()
        current = asyncio.current_task()
        for task in self._tasks | self._working:
            if task is not current:
                task.cancel()
        self.generation = -1
        self.metrics.progress = {}
        with suppress(KafkaError, asyncio.CancelledError):
            await self.lane.stop()

    def _work(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.create_task(work)
        self._working.add(task)
        task.add_done_callback(self._working.discard)
