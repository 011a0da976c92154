"""The error policy of all lanes, asked through a lane that is made up here: nothing in the tree knows it."""

import asyncio
from collections.abc import Awaitable, Callable, Collection, Mapping
from pathlib import Path

import pytest
from aiokafka.errors import KafkaConnectionError, KafkaTimeoutError, ProducerFenced
from faust.types import TP
from hypothesis import given
from hypothesis import strategies as st

from schemas.topics import ALERTS, STATUS
from streams.beside import KafkaTopics, Topics
from streams.lane import Group as Membership
from streams.lane import Reads, app, handled_ms, named
from streams.outbox import Message, Outbox
from streams.transport import Abandoned, Batch, Committed
from tests.streams.memory.group import AGAIN_S, Group, Process
from tests.streams.memory.log import Log
from tests.streams.memory.time import in_moved_time, until
from tests.streams.transport.broker import Broker
from tests.streams.transport.cluster import Cluster, eventually
from tests.streams.workers import settings_for

SCHOOL, OTHER = "KZ-11-00001", "KZ-11-00002"


class Wrong(Exception):
    """What this lane calls hopeless."""


Trouble = Callable[[str], Exception | None]
"""By what a lane is asked ("begin", "take KEY", "sweep"): what it raises, if anything."""


def fine(_: str) -> Exception | None:
    return None


class Echo:
    """Says on one topic what it reads on another, and commits what was acknowledged."""

    name = "echo"
    sweep_every_s = 0.5
    hopeless = (Wrong,)

    def __init__(
        self, topics: Topics, trouble: Trouble, read: str = STATUS.name, said: str = ALERTS.name
    ) -> None:
        self.reads = Reads([read], max_records=1, concurrency=2)
        self._said = said
        self._topics = topics
        self._trouble = trouble
        self._outbox = Outbox(topics.send)
        self._group: Membership | None = None
        self._taken: dict[TP, Batch] = {}
        self._taken_to: dict[TP, int] = {}
        self.sweeps = 0

    def counts(self) -> Mapping[str, float]:
        return {"echoed_total": self._outbox.acknowledged}

    async def begin(self, group: Membership, committed: Mapping[TP, Committed]) -> Mapping[TP, int]:
        self._ask("begin")
        self._group, committed = await named(group, committed)
        return {tp: at.offset or 0 for tp, at in committed.items()}

    async def take(self, batch: Batch) -> None:
        for record in batch.records:
            self._ask(f"take {(record.key or b'').decode()}")
            message = Message(self._said, record.key or b"", record.value or b"")
            if record.offset >= self._taken_to.get(batch.tp, 0):
                self._taken_to[batch.tp] = record.offset + 1
                self._outbox.put(batch.tp.partition, [message])
        self._taken[batch.tp] = batch

    async def sweep(self) -> None:
        self.sweeps += 1
        self._ask("sweep")
        assert self._group is not None
        for tp, batch in list(self._taken.items()):
            await self._outbox.flush(tp.partition)
            await self._group.commit_at(tp, batch.next_offset, "", batch.generation)
            del self._taken[tp]

    async def forget(self, revoked: Collection[TP]) -> None:
        self._taken, self._taken_to = {}, {}

    async def stop(self) -> None:
        await self._topics.stop()

    def _ask(self, what: str) -> None:
        trouble = self._trouble(what)
        if trouble is not None:
            raise trouble


async def echoing(trouble: Trouble) -> tuple[Log, Process]:
    log = Log()
    group = Group(log, lambda topics, _: Echo(topics, trouble))
    for n in range(3):
        for school in (SCHOOL, OTHER):
            log.append(STATUS.name, school, f'"{school} {n}"'.encode())
    return log, await group.start()


def said(log: Log) -> list[str]:
    return sorted(row.value.decode() for row in log.rows_of(ALERTS.name) if row.value)


def said_once(count: int = 3) -> list[str]:
    return [f'"{school} {n}"' for school in (SCHOOL, OTHER) for n in range(count)]


def times(most: int, what: str, error: Exception) -> Trouble:
    """It raises so often, then never again."""
    left = [most]

    def trouble(asked: str) -> Exception | None:
        left[0] -= asked == what and left[0] > 0
        return error if asked == what and left[0] > 0 else None

    return trouble


ASKED = ("begin", f"take {SCHOOL}", "sweep")
PASSES: list[tuple[str, Exception]] = [(asked, KafkaConnectionError("away")) for asked in ASKED]
PASSES += [(asked, Abandoned("another owner")) for asked in ("begin", "sweep")]


@pytest.mark.parametrize(("asked", "error"), PASSES)
def test_what_may_pass_is_tried_again_until_it_has_passed(asked: str, error: Exception) -> None:
    @in_moved_time
    async def course() -> None:
        log, worker = await echoing(times(30, asked, error))
        await until(lambda: said(log) == said_once())
        assert worker.ended is None

    course()


@pytest.mark.parametrize("asked", ["begin", f"take {SCHOOL}"])
@in_moved_time
async def test_a_bug_that_one_batch_or_start_meets_comes_again_for_ever(asked: str) -> None:
    log, worker = await echoing(times(200, asked, ZeroDivisionError()))
    await asyncio.sleep(100 * AGAIN_S)
    # Its own partition stands still; the other goes on, but for a start that both share.
    others = [] if asked == "begin" else [one for one in said_once() if OTHER in one]
    assert said(log) == others and worker.ended is None
    await until(lambda: said(log) == said_once(), 200 * AGAIN_S)


@pytest.mark.parametrize("asked", ASKED)
@pytest.mark.parametrize("error", [ProducerFenced(), Wrong()], ids=lambda e: type(e).__name__)
def test_what_no_attempt_can_better_ends_the_process(asked: str, error: Exception) -> None:
    @in_moved_time
    async def course() -> None:
        log, worker = await echoing(times(2, asked, error))
        await until(lambda: worker.ended is not None)
        assert worker.ended is error
        await until(lambda: not worker.group.members)
        await worker.group.start()
        await until(lambda: said(log) == said_once())

    course()


@in_moved_time
async def test_a_start_that_timed_out_is_no_reason_to_end() -> None:
    log, worker = await echoing(times(30, "begin", KafkaTimeoutError()))
    await until(lambda: said(log) == said_once())
    assert worker.ended is None


@in_moved_time
async def test_a_sweep_that_fails_by_a_bug_ends_the_process() -> None:
    log, worker = await echoing(times(2, "sweep", ZeroDivisionError()))
    await until(lambda: isinstance(worker.ended, ZeroDivisionError))
    await until(lambda: not worker.group.members)
    await worker.group.start()
    await until(lambda: said(log) == said_once())


@in_moved_time
async def test_a_worker_without_partitions_is_not_asked_to_sweep() -> None:
    log, first = await echoing(fine)
    await until(lambda: said(log) == said_once())
    others = [await first.group.start() for _ in range(4)]
    idle = [p for p in (first, *others) if not p.metrics.progress]
    assert len(idle) == 1
    [lane] = [p.lane for p in idle]
    assert isinstance(lane, Echo)
    before = lane.sweeps
    await asyncio.sleep(10.0)
    assert lane.sweeps == before


FAULTS: dict[str, Callable[[Group, Process], Awaitable[object]]] = {}


async def _killed(group: Group, worker: Process) -> None:
    await worker.kill()
    await group.start()


async def _paused(group: Group, worker: Process) -> None:
    await worker.pause(15.0)


async def _joined(group: Group, worker: Process) -> None:
    await group.start()


async def _away(group: Group, worker: Process) -> None:
    group.log.away = True
    await asyncio.sleep(20.0)
    group.log.away = False


async def _spent(group: Group, worker: Process) -> None:
    group.log.refuses = ProducerFenced()
    group.log.append(STATUS.name, SCHOOL, b'"spent"')
    await asyncio.sleep(5.0)
    group.log.refuses = None
    if not group.members:
        await group.start()


async def _grown(group: Group, worker: Process) -> None:
    group.log.grow(len(group.log.topics[STATUS.name]) + 1, [STATUS.name, ALERTS.name])


async def _made_anew(group: Group, worker: Process) -> None:
    """With as many records as were committed, so that the offset alone tells nothing."""
    count = len(group.log.topics[STATUS.name])
    group.log.make_anew([STATUS.name], count)
    for n in range(6):
        for number in range(count):
            value = f'"anew {group.log.lives[STATUS.name]} {number} {n}"'.encode()
            group.log.append(STATUS.name, SCHOOL, value, number)
    await asyncio.sleep(3.0)
    if not group.members:
        await group.start()


FAULTS |= {
    "m": _made_anew,
    "k": _killed,
    "p": _paused,
    "j": _joined,
    "a": _away,
    "s": _spent,
    "g": _grown,
}


@given(st.text("kpjasgm", min_size=1, max_size=5))
def test_whatever_happens_each_record_is_said_and_committed_then(course: str) -> None:
    @in_moved_time
    async def whole() -> None:
        log, worker = await echoing(fine)
        group = worker.group
        for n, fault in enumerate(course):
            log.append(STATUS.name, SCHOOL, f'"before {n}"'.encode())
            await FAULTS[fault](group, group.members[0])
            log.append(STATUS.name, OTHER, f'"after {n}"'.encode())
        wanted = {row.value for row in log.rows_of(STATUS.name)}
        await until(lambda: {row.value for row in log.rows_of(ALERTS.name)} >= wanted)

        def is_committed() -> bool:
            tops = {TP(STATUS.name, n): len(rows) for n, rows in enumerate(log.topics[STATUS.name])}
            at = {tp: log.committed.get(("echo", tp), Committed(None)).offset for tp in tops}
            return all(at[tp] == top for tp, top in tops.items() if top)

        await until(is_committed)
        await group.stop()

    whole()


@in_moved_time
async def test_a_topic_made_anew_while_nobody_ran_is_read_from_its_first_record() -> None:
    log, worker = await echoing(fine)
    await until(lambda: ("echo", TP(STATUS.name, 1)) in log.committed)
    await worker.terminate()
    await _made_anew(worker.group, worker)
    await until(lambda: len([one for one in said(log) if "anew" in one]) == 6 * log.partitions)


@pytest.mark.parametrize(
    ("metadata", "expected"), [("", 7), ("1790", 1790), ("1790 22", 1790), ("none", 7), ("-3", 7)]
)
def test_commits_say_in_their_first_word_how_far_the_group_has_spoken(
    metadata: str, expected: int
) -> None:
    assert handled_ms(Committed(5, metadata), 7) == expected


@pytest.mark.broker
async def test_a_lane_from_outside_the_tree_runs_on_a_broker_by_its_class_alone(
    broker: Broker, tmp_path: Path
) -> None:
    settings = settings_for(broker, tmp_path)
    async with Cluster(settings.kafka, tmp_path) as cluster:
        read, says = await cluster.topic(), await cluster.topic()
        echo = Echo(
            KafkaTopics(settings.kafka),
            times(3, "take x", KafkaConnectionError("passes")),
            read,
            says,
        )
        running = app(echo, settings)
        await running.start()
        try:
            await cluster.produce(read, [b"1", b"2"], key=b"x")
            await eventually(lambda: echo.counts() == {"echoed_total": 2}, 60)
        finally:
            await running.stop()
        ends: dict[int, int] = {}
        found = KafkaTopics(settings.kafka)
        assert [row.value async for row in found.everything(says, [0], ends)] == [b"1", b"2"]
        await found.stop()
