"""aiokafka's side, in a thread of its own: the group, the fetching, the commits.

Theory of operation. The agents' loop decodes and decides, and may be busy for seconds; this thread's loop
talks to the broker, so that a busy worker isn't taken for a dead one. A poll's batches cross to the agents'
loop in one call. (Faust's queue would cost two hops and two futures per poll, and two hung calls stop it.)

1. An assignment begins a *generation*. Nothing is handed out of its partitions until the lane has said where
   they start (``open``).
2. The pump hands out one batch of each open partition. The next one goes out when the agent has released it:
   a partition whose handling hangs stands still alone, and memory is bounded.
3. A revocation closes all partitions; agents may still commit for a moment. Then the generation is over: a
   commit in it raises Abandoned, and a batch that is out keeps its partition shut until it is released.
4. Once a second the broker is asked where the partitions end. "All was handled up to the end, asked at T"
   proves that nothing else had come by T. Then it is also asked which log each partition is (timeline.py).
5. We stay in the group as long as the agents' loop turns, however long one batch takes.

What is not nice: much of aiokafka is reached by private names, here and in records.py, commits.py, name.py.
"""

import asyncio
import time
from collections.abc import Coroutine, Iterable, Mapping
from typing import Any, TypeVar

from aiokafka import AIOKafkaConsumer
from aiokafka.coordinator.assignors.range import RangePartitionAssignor
from aiokafka.errors import (
    GroupAuthorizationFailedError,
    KafkaError,
    TopicAuthorizationFailedError,
)
from aiokafka.structs import TopicPartition
from faust.transport.drivers import aiokafka as driver
from faust.types import TP

from streams.runtime.kafka import clients
from streams.transport.batch import Abandoned, Batch, Committed, Deliver, Owner, Record
from streams.transport.commits import Committer
from streams.transport.connection import connection, member_of_group
from streams.transport.gate import Gate
from streams.transport.metrics import Metrics, Progress
from streams.transport.name import NameTaken, client_id, elder, members
from streams.transport.records import FetchBuffers, read_range
from streams.transport.timeline import LogState, Timeline, timeline, timelines_of
from streams.transport.waves import Waves

END_OFFSETS_EVERY_S = 1.0
POLL_S = 0.5

_T = TypeVar("_T")


class TopicMadeAnew(Exception):
    """A topic was deleted and created again under a lane that can only begin anew as a process."""


class ConsumerThread(driver.AIOKafkaConsumerThread):  # type: ignore[misc]
    """The consumer of one worker. Everything here runs in the thread, but `run` and `soon`."""

    def __post_init__(self) -> None:
        super().__post_init__()
        self.gate: Gate[TP] = Gate()
        self.metrics = Metrics()
        self.generation_lost = False
        self._waiter: asyncio.Future[None] | None = None
        self._waves = Waves(self.wake)
        self._buffers: FetchBuffers | None = None
        self._agents_alive_s = time.monotonic()
        self._committer: Committer | None = None
        self._name_taken: NameTaken | None = None
        self._stopping = asyncio.Event()
        conf = self.app.conf
        self._client_id = conf.broker_client_id
        if conf.consumer_group_instance_id:
            self._client_id = client_id(conf.broker_client_id, conf.consumer_group_instance_id)
        self._timelines: dict[TP, Timeline] = {}

    def run(self, work: Coroutine[Any, Any, _T]) -> "asyncio.Future[_T]":
        """Run a coroutine in the thread, awaited from the agents' loop."""
        return asyncio.wrap_future(asyncio.run_coroutine_threadsafe(work, self.thread_loop))

    def soon(self, function: Any, *args: Any) -> None:
        """Call a function in the thread, from the agents' loop."""
        if not self.thread_loop.is_closed():
            self.thread_loop.call_soon_threadsafe(function, *args)

    def _create_worker_consumer(self, transport: Any) -> AIOKafkaConsumer:
        self._assignor = RangePartitionAssignor
        self._connection = connection(self.app.conf, self.transport, self._client_id)
        return member_of_group(self.app.conf, self._connection)

    async def on_start(self) -> None:
        await super().on_start()
        consumer = self._ensure_consumer()
        self._buffers = FetchBuffers(clients.fetcher_of(consumer))
        self._committer = Committer(consumer, self.gate, self.metrics)

    async def on_thread_stop(self) -> None:
        self._stopping.set()
        try:
            await super().on_thread_stop()
        except asyncio.CancelledError:
            # aiokafka's fetcher cancels a fetch that waits to be tried again, and lets the
            # cancellation out of its close(). Our task isn't cancelled: go on stopping.
            await clients.client_of(self._ensure_consumer()).close()

    # Rebalances

    async def on_partitions_revoked(self, revoked: set[TP]) -> None:
        generation = self.gate.generation
        # A member whom the group has forgotten can't commit any more; nothing is worth waiting.
        coordinator = clients.coordinator_of(self._ensure_consumer())
        self.generation_lost = coordinator.generation != generation
        self.gate.close()
        self._waves.forget()
        await super().on_partitions_revoked(revoked)
        self.gate.revoke()
        if self.generation_lost and self.app.conf.consumer_group_instance_id:
            await self._leave_name_to_elder()

    async def _leave_name_to_elder(self) -> None:
        """Forgotten by the group: stay out of it when a worker that started earlier has our name."""
        conf, consumer = self.app.conf, self._ensure_consumer()
        try:
            host = elder(self._client_id, await members(consumer, conf.id))
        except KafkaError as error:
            self.log.warning("Who has our name is unknown: %r", error)
            return
        if host is not None:
            self._name_taken = NameTaken(
                f"a worker on {host} is in group {conf.id} under the member name "
                f"{conf.consumer_group_instance_id!r} since before this one started, which ends: "
                "give each worker a SAQSHY_WORKER__MEMBER of its own, or none"
            )
            self.wake()
            await self._stopping.wait()
            raise asyncio.CancelledError  # or aiokafka joins once more, and throws the other out

    async def on_partitions_assigned(self, assigned: set[TP], generation_id: int = 0) -> None:
        assert self._buffers is not None
        self._buffers.clear()
        self._timelines.clear()
        self._waves.forget()
        self.gate.assign(assigned, generation_id)
        self.metrics.rebalances += 1
        self.metrics.progress = {tp: Progress() for tp in assigned}
        await super().on_partitions_assigned(assigned, generation_id)

    async def open(self, starts: Mapping[TP, int | None], generation: int) -> None:
        """Let batches of the partitions go out, from the offsets given.

        None leaves the start to `auto_offset_reset`.
        """
        consumer = self._ensure_consumer()
        for tp, offset in starts.items():
            if not self.gate.holds(tp, generation):
                continue
            state = clients.assignment_of(consumer).state_value(tp)
            if offset is not None and (not state.has_valid_position or state.position != offset):
                consumer.seek(_aio(tp), offset)
            self.gate.open(tp, generation)
        self.wake()

    async def shut(self, tp: TP) -> None:
        """Let no more batches of the partition go out, and forget what is fetched of it."""
        assert self._buffers is not None
        self.gate.shut(tp)
        self._buffers.forget(_aio(tp))

    # Polling

    def wake(self) -> None:
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)

    async def pump(self, owner: Owner, deliver: Deliver) -> None:
        """Hand out batches until cancelled. Raises errors that only an operator can mend."""
        consumer = self._ensure_consumer()
        fetcher = clients.fetcher_of(consumer)
        measuring = asyncio.ensure_future(self._measure())
        try:
            while not measuring.done():
                if self._name_taken is not None:
                    raise self._name_taken
                self._stay_in_group(clients.subscription_of(consumer))
                await self._check_group(clients.coordinator_of(consumer))
                batches = self._take(owner)
                if batches:
                    self.parent_loop.call_soon_threadsafe(deliver, batches)
                waiter = self._waiter = fetcher._create_fetch_waiter()
                await asyncio.wait([waiter], timeout=POLL_S)
                if waiter.done():
                    self._raise_grave(waiter.exception())
                else:
                    waiter.cancel()
            measuring.result()
        finally:
            measuring.cancel()

    def _stay_in_group(self, subscription: Any) -> None:
        """Tell aiokafka that we poll; it leaves the group when nobody does for
        `broker_max_poll_interval`.

        A hung insert is no reason to leave, as the agents' loop goes on; a loop that is stuck is.
        """
        self.parent_loop.call_soon_threadsafe(self._agents_are_alive)
        if time.monotonic() - self._agents_alive_s < self.app.conf.broker_max_poll_interval:
            with subscription.fetch_context():
                pass

    def _agents_are_alive(self) -> None:
        self._agents_alive_s = time.monotonic()

    def _take(self, owner: Owner) -> list[Batch]:
        assert self._buffers is not None
        if not self.consumer.flow_active:
            return []
        taken: list[Batch] = []
        assignment = clients.assignment_of(self._ensure_consumer())
        if assignment is None:  # the subscription has just changed, and we don't know it yet
            return []
        now_s = time.time()
        for tp in list(self.gate.idle()):
            channel = self.consumer.channel_of(tp)
            state = assignment.state_value(tp)
            if channel is None or state is None or not state.has_valid_position:
                continue
            if not self.consumer.is_active(tp) or self._waves.rests(tp):
                continue
            first_offset = state.position
            records, size = self._buffers.take(_aio(tp), channel.max_records, channel.max_bytes)
            if not records:
                continue
            self.gate.hand_out(tp, first_offset)
            batch = Batch(
                tp=tp,
                records=records,
                first_offset=first_offset,
                next_offset=state.position,
                size_bytes=size,
                generation=self.gate.generation,
                owner=owner,
            )
            taken.append(batch)
            self.metrics.batches += 1
            self.metrics.records += len(records)
            self.metrics.bytes += size
            progress = self.metrics.progress[tp]
            progress.delivered_at_s = progress.in_flight_since_s = now_s
            progress.handled(first_offset)
        self._waves.after(taken, self.consumer.channel_of, assignment)
        return taken

    def release(self, batch: Batch) -> None:
        """The agent is through with the batch."""
        self.gate.release(batch.tp)
        progress = self.metrics.progress.get(batch.tp)
        if progress is not None and self.gate.generation == batch.generation:
            progress.in_flight_since_s = None
            progress.handled(batch.next_offset, batch.records[-1].timestamp)
            self.metrics.latency.handled(
                batch.records[0].timestamp, len(batch.records), time.time()
            )
        self.wake()

    async def _check_group(self, coordinator: Any) -> None:
        """Consume the coordinator's error: it stands still until somebody does.

        (Faust's own consumer never does, and hangs.)
        """
        try:
            coordinator.check_errors()
        except KafkaError as exc:
            if coordinator._coordination_task.done():
                raise
            self._raise_grave(exc)
            self.log.warning("Group %s: %r; trying again", coordinator.group_id, exc)
            await asyncio.sleep(POLL_S)

    def _raise_grave(self, error: BaseException | None) -> None:
        if isinstance(error, GroupAuthorizationFailedError | TopicAuthorizationFailedError):
            raise error

    async def _measure(self) -> None:
        """Ask where the partitions end, also of those whose fetches stand still."""
        while True:
            await asyncio.sleep(END_OFFSETS_EVERY_S)
            tps = list(self.metrics.progress)
            if not tps:
                continue
            asked_at_s = time.time()
            try:
                await self._watch_logs(tps)
                ends = await self._ensure_consumer().end_offsets([_aio(tp) for tp in tps])
            except KafkaError as exc:
                self.log.warning("End offsets unknown: %r", exc)
                continue
            for tp in tps:
                progress = self.metrics.progress.get(tp)
                if progress is not None:
                    self._note_position(tp, progress)
                    progress.end_seen(ends[_aio(tp)], asked_at_s)

    async def _watch_logs(self, tps: Iterable[TP]) -> None:
        """Start again what has become another log. A partition from which nothing comes, because
        our position is at or behind the end of its new log, tells by nothing else.

        Raises TopicMadeAnew, and aiokafka's KafkaError.
        """
        for tp, now in (
            await timelines_of(clients.client_of(self._ensure_consumer()), tps)
        ).items():
            if self.gate.is_open(tp):
                self._note_timeline(tp, now)

    def _note_timeline(self, tp: TP, now: Timeline) -> None:
        before = self._timelines.setdefault(tp, now)
        if before == now:
            return
        channel = self.consumer.channel_of(tp)
        if channel is not None and channel.apart:
            self.parent_loop.call_soon_threadsafe(self.consumer.start_again, tp)
        elif now.is_other_topic_than(before.topic_id):
            raise TopicMadeAnew(f"{tp.topic} was deleted and created again: begin anew")
        self._timelines[tp] = now

    def _note_position(self, tp: TP, progress: Progress) -> None:
        """Without a batch in flight, what was skipped (gaps, markers) is handled too."""
        assignment = clients.assignment_of(self._ensure_consumer())
        state = assignment.state_value(tp) if assignment is not None else None
        if (
            state is not None
            and state.has_valid_position
            and self.gate.in_flight_from(tp) is None
            and self.gate.is_open(tp)
        ):
            progress.handled(state.position)

    # Offsets

    async def committed(self, tps: Iterable[TP]) -> dict[TP, Committed]:
        coordinator = clients.coordinator_of(self._ensure_consumer())
        tps = list(tps)
        found = await coordinator.fetch_committed_offsets([_aio(tp) for tp in tps])
        return {
            tp: Committed(found[tp].offset, found[tp].metadata) if tp in found else Committed(None)
            for tp in tps
        }

    async def committed_there(self, tps: Iterable[TP]) -> dict[TP, Committed]:
        """What is committed, and nothing where it lies behind the partition's end: then the topic was
        made anew, and what it holds now was never read."""
        found = await self.committed(tps)
        ends = await self._ensure_consumer().end_offsets([_aio(tp) for tp in found])
        for tp, at in found.items():
            if at.offset is not None and at.offset > ends[_aio(tp)]:
                self.log.error(
                    "%s was made anew: it ends at %s and is read whole, though %s was committed",
                    tp,
                    ends[_aio(tp)],
                    at.offset,
                )
                found[tp] = Committed(None)
        return found

    async def timeline(self, tp: TP, generation: int) -> Timeline:
        """Raises Abandoned when the partition isn't ours in this generation any more."""
        consumer = self._ensure_consumer()
        while self.gate.holds(tp, generation):
            try:
                return await timeline(clients.client_of(consumer), *tp)
            except KafkaError as exc:
                if not exc.retriable:
                    raise
                self.log.warning("Which log %s is: %r", tp, exc)
                await asyncio.sleep(POLL_S)
        raise Abandoned(f"{tp} isn't ours in generation {generation}")

    async def log_state(self, tp: TP, generation: int) -> LogState:
        now = self._timelines[tp] = await self.timeline(tp, generation)
        consumer = self._ensure_consumer()
        begin = (await consumer.beginning_offsets([_aio(tp)]))[_aio(tp)]
        end = (await consumer.end_offsets([_aio(tp)]))[_aio(tp)]
        return LogState(now, begin, end)

    async def commit_at(self, tp: TP, offset: int, metadata: str, generation: int) -> None:
        assert self._committer is not None
        await self._committer.commit(tp, offset, metadata, generation)

    async def read_range(self, tp: TP, first: int, last: int, timeout_s: float) -> list[Record]:
        consumer = clients.consumer(self._connection)
        await consumer.start()
        try:
            return await read_range(consumer, _aio(tp), first, last, timeout_s)
        finally:
            await consumer.stop()


def _aio(tp: TP) -> TopicPartition:
    return TopicPartition(tp.topic, tp.partition)
