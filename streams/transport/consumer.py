"""The agents' side: batches out, acknowledgements in, rebalances, and the Faust transport.

Why this hook. Faust's consumer fetches whole polls already, then creates four asyncio tasks per
record to pass them on (`Consumer._drain_messages`, 75 us a record). That method is replaced, so
all around it stays Faust's: the Fetcher service that runs it, the Conductor that subscribes, the
rebalance callbacks of App, pause and resume, sensors, the order of shutdown. Faust's commits are
switched off altogether, as they write empty metadata over ours and are off by one.
"""

import asyncio
import dataclasses
from collections.abc import Coroutine, Iterable, Mapping
from typing import Any

from faust.exceptions import ImproperlyConfigured
from faust.transport.consumer import Fetcher as FaustFetcher
from faust.transport.drivers import aiokafka as driver
from faust.types import TP

from streams.transport.batch import Abandoned, Batch, Committed, Record
from streams.transport.channel import BatchChannel
from streams.transport.metrics import Metrics
from streams.transport.thread import ConsumerThread
from streams.transport.timeline import LogState, Timeline

RETRY_AFTER_S = 1.0
GRACE_S = 5.0


class Consumer(driver.Consumer):  # type: ignore[misc]
    """Hands out batches and owns the offsets of one worker."""

    _thread: ConsumerThread

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.grace_s = GRACE_S
        """How long batches in flight may take to finish when partitions are revoked, and when
        the worker stops. Below the group's rebalance timeout."""
        self._in_flight: dict[TP, Batch] = {}
        self._left_behind: set[Batch] = set()
        self._generation = -1
        self._channels: dict[str, BatchChannel] = {}
        self._preparing: set[asyncio.Task[None]] = set()
        self._starting_again: set[TP] = set()
        self._last_committed: dict[TP, int] = {}
        self._closing = False
        self._settled = asyncio.Event()

    def _new_consumer_thread(self) -> ConsumerThread:
        return ConsumerThread(self, loop=self.loop, beacon=self.beacon)

    @property
    def metrics(self) -> Metrics:
        """Counters and progress, readable at any time."""
        metrics = self._thread.metrics
        metrics.in_flight = len(self._in_flight)
        return metrics

    # Offsets

    async def committed(self, tps: Iterable[TP]) -> dict[TP, Committed]:
        """Offset and metadata that the group has committed (aiokafka's own drops the metadata)."""
        return await self._thread.run(self._thread.committed(tps))

    async def commit_at(self, tp: TP, offset: int, metadata: str, generation: int) -> None:
        """Commit any offset with metadata, such as the old one with a pending block's name.

        Waits as long as the broker is away. Raises Abandoned when the partition isn't ours in
        `generation`, and aiokafka's KafkaError when the broker refuses.
        """
        if generation != self._generation:
            raise Abandoned(f"{tp} isn't ours in generation {generation}")
        await self._thread.run(self._thread.commit_at(tp, offset, metadata, generation))
        self._last_committed[tp] = offset
        self.app.monitor.on_tp_commit({tp: offset})

    async def read_range(
        self, tp: TP, first: int, last: int, timeout_s: float = 30.0
    ) -> list[Record]:
        """The records with `first` <= offset <= `last`, exactly.

        Raises RangeUnavailable when they were deleted or don't come in time.
        """
        return await self._thread.run(self._thread.read_range(tp, first, last, timeout_s))

    async def timeline(self, tp: TP) -> Timeline:
        """Which log the partition is now, by its leader.

        Waits as long as no leader answers. Raises Abandoned when the partition isn't ours any more.
        """
        return await self._thread.run(self._thread.timeline(tp, self._generation))

    async def log_state(self, tp: TP) -> LogState:
        """Which log the partition is now, and between which offsets. Waits and raises as above."""
        return await self._thread.run(self._thread.log_state(tp, self._generation))

    @property
    def generation(self) -> int:
        """The group's generation, for `commit_at`; -1 outside of one."""
        return self._generation

    @property
    def ready(self) -> bool:
        """In the group, with every partition that it gave us prepared. A worker to which it gave
        none, as there are more workers than partitions, is ready to take over."""
        return self._generation >= 0 and self._thread.gate.all_open()

    # Batches

    async def _drain_messages(self, fetcher: Any) -> None:
        pump = self._thread.run(self._thread.pump(self, self._deliver))
        try:
            await pump
        except self.consumer_stopped_errors:
            if not self.app.should_stop:
                raise

    def channel_of(self, tp: TP) -> BatchChannel | None:
        return self._channels.get(tp.topic)

    def is_active(self, tp: TP) -> bool:
        """Whether Faust wants records of the partition: it isn't paused."""
        return tp in self._active_partitions

    def _deliver(self, batches: list[Batch]) -> None:
        for batch in batches:
            if batch.generation != self._generation or self._closing or not self.flow_active:
                self._give_up(batch)
                continue
            self._in_flight[batch.tp] = batch
            self._channels[batch.tp.topic].queue.put_nowait(batch)

    def _give_up(self, batch: Batch) -> None:
        """Take back a batch that no agent works on."""
        batch.finished = True
        batch.abandoned.set()
        self._forget(batch)
        self._thread.soon(self._thread.gate.release, batch.tp)

    def finish(self, batch: Batch) -> None:
        self._forget(batch)
        self._thread.soon(self._thread.release, batch)

    def _forget(self, batch: Batch) -> None:
        self._left_behind.discard(batch)
        if self._in_flight.get(batch.tp) is batch:
            del self._in_flight[batch.tp]
            self._settled.set()

    def hand_out_again(self, batch: Batch) -> None:
        if self._closing or batch.abandoned.is_set():
            self._give_up(batch)
            return
        self._thread.metrics.retries += 1
        again = dataclasses.replace(batch, abandoned=asyncio.Event(), finished=False, task=None)
        self._in_flight[batch.tp] = again
        self.loop.call_later(RETRY_AFTER_S, self._put_again, again)

    def _put_again(self, batch: Batch) -> None:
        if not batch.finished:
            self._channels[batch.tp.topic].queue.put_nowait(batch)

    async def on_task_error(self, exc: BaseException) -> None:
        """An agent raised: what it had taken is handed out again."""
        task = asyncio.current_task()
        for batch in [*self._in_flight.values(), *self._left_behind]:
            if batch.task is task:
                batch.retry()

    # Rebalances and shutdown

    async def subscribe(self, topics: Iterable[str]) -> None:
        """Subscribe to the topics of all batch channels.

        Raises ImproperlyConfigured for a topic that isn't read in batches, or by two channels.
        """
        self._channels = {}
        for channel in self.app.topics:
            if not isinstance(channel, BatchChannel):
                raise ImproperlyConfigured(
                    f"{channel} isn't read in batches: with broker='batch://…' give agents a "
                    "channel of streams.transport.batches(), and set topic_disable_leader=True"
                )
            for topic in channel.topics:
                if topic in self._channels:
                    raise ImproperlyConfigured(f"Two channels read {topic}: a topic has one")
                self._channels[topic] = channel
        await super().subscribe(topics)

    async def on_partitions_revoked(self, revoked: set[TP]) -> None:
        await self.settle(0.0 if self._thread.generation_lost else self.grace_s)
        await super().on_partitions_revoked(revoked)

    async def settle(self, grace_s: float) -> None:
        """End the generation: wait for what agents work on, then abandon it.

        What no agent has taken yet is taken back at once. Commits are allowed while waiting,
        and refused afterwards.
        """
        self._closing = True
        for batch in [batch for batch in self._in_flight.values() if batch.task is None]:
            self._give_up(batch)
        for channel in set(self._channels.values()):
            channel.queue.remove_all()
        try:
            async with asyncio.timeout(grace_s):
                while self._in_flight or self._preparing:
                    self._settled.clear()
                    await self._settled.wait()
        except TimeoutError:
            self.log.warning(
                "Abandoning %s after %s s", sorted(self._in_flight) or "a start", grace_s
            )
        self._generation = -1
        self._starting_again.clear()
        for task in self._preparing:
            task.cancel()
        for batch in self._in_flight.values():
            batch.abandoned.set()
            self._left_behind.add(batch)
            self._thread.metrics.abandoned += 1
        self._in_flight.clear()

    async def on_partitions_assigned(self, assigned: set[TP], generation_id: int = 0) -> None:
        self._generation = generation_id
        self._last_committed.clear()
        self._closing = False
        await super().on_partitions_assigned(assigned, generation_id)
        if self.app.should_stop:
            return
        # Not awaited: the group waits for this callback without heartbeats, and a pending
        # block may take longer than a session.
        for channel in set(self._channels.values()):
            tps = {tp for tp in assigned if tp.topic in channel.topics}
            for some in [{tp} for tp in tps] if channel.apart else [tps] if tps else []:
                self._begin(self._prepare(channel, some, generation_id))

    def _begin(self, preparing: Coroutine[Any, Any, None]) -> None:
        task = asyncio.create_task(preparing)
        self._preparing.add(task)
        task.add_done_callback(self._prepared)

    def start_again(self, tp: TP) -> None:
        """Begin a partition anew, as after an assignment: its log has become another one.

        Only for a channel that starts its partitions apart. What is out is let finish first.
        """
        channel = self._channels.get(tp.topic)
        if channel is None or self._closing or tp in self._starting_again:
            return
        self._starting_again.add(tp)
        self._begin(self._start_again(channel, tp, self._generation))

    async def _start_again(self, channel: BatchChannel, tp: TP, generation: int) -> None:
        await self._thread.run(self._thread.shut(tp))
        while tp in self._in_flight:
            self._settled.clear()
            await self._settled.wait()
        self._starting_again.discard(tp)
        self._last_committed.pop(tp, None)
        await self._prepare(channel, {tp}, generation)

    def _prepared(self, task: "asyncio.Task[None]") -> None:
        self._preparing.discard(task)
        self._settled.set()

    async def _prepare(self, channel: BatchChannel, tps: set[TP], generation: int) -> None:
        """Find where the partitions start, then let their batches out."""
        while True:
            try:
                # Who starts partitions apart knows by the commit's metadata which log it is of.
                find = self._thread.committed if channel.apart else self._thread.committed_there
                committed = await self._thread.run(find(tps))
                starts: Mapping[TP, int] = {}
                if channel.on_assigned is not None:
                    starts = await channel.on_assigned(committed) or {}
                break
            except Exception:
                of = ", ".join(f"{tp.topic}/{tp.partition}" for tp in sorted(tps))
                self.log.exception("Start of %s failed; again in %s s", of, RETRY_AFTER_S)
                await asyncio.sleep(RETRY_AFTER_S)
                if self._closing:
                    return
        offsets = {
            tp: starts.get(tp, self._last_committed.get(tp, committed[tp].offset)) for tp in tps
        }
        await self._thread.run(self._thread.open(offsets, generation))

    def resume_flow(self) -> None:
        super().resume_flow()
        self._thread.soon(self._thread.wake)

    def resume_partitions(self, tps: Iterable[TP]) -> None:
        super().resume_partitions(tps)
        self._thread.soon(self._thread.wake)

    # Of Faust's own, switched off

    async def commit(self, topics: Any = None, start_new_transaction: bool = True) -> bool:
        return False

    async def perform_seek(self) -> None:
        """Partitions start where `_prepare` says."""

    async def wait_empty(self) -> None:
        """`settle` has waited already."""

    def verify_event_path(self, now: float, tp: TP) -> None:
        """Progress tells better; Faust compares the wall clock with the monotonic one here."""

    def close(self) -> None:
        """Faust closes the thread's connections on the wrong loop here; its stop does it well."""


class Fetcher(FaustFetcher):  # type: ignore[misc]
    """Runs the pump; when it stops, with the agents still alive, lets them finish."""

    async def on_stop(self) -> None:
        consumer: Consumer = self.app.consumer
        await consumer.settle(consumer.grace_s)
        await super().on_stop()


class Transport(driver.Transport):  # type: ignore[misc]
    """Faust transport for `broker="batch://host:port"`."""

    Consumer = Consumer
    Fetcher = Fetcher
