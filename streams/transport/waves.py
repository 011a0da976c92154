"""Waves: a topic where nobody waits is fetched in all partitions at once, and then rests in all of them.

aiokafka has one fetch in flight per broker, and the first record ends it: a busy topic would be fetched some
hundred times a second for a record or two each, and a partition that rests by itself would find a fetch
under way that leaves it out. So all partitions of a topic rest together, are not fetched meanwhile, and one
request then brings all that has come. A record that comes while nobody rests is handed out at once.
"""

import asyncio
from collections.abc import Callable, Iterable
from typing import Any

from faust.types import TP

from streams.transport.batch import Batch
from streams.transport.channel import BatchChannel


class Waves:
    """Which partitions rest now. ``wake`` is called when those of a topic have rested."""

    def __init__(self, wake: Callable[[], None]) -> None:
        self._wake = wake
        self._behind: set[TP] = set()
        self._resting: dict[str, dict[TP, Any]] = {}
        self._timers: dict[str, asyncio.TimerHandle] = {}

    def rests(self, tp: TP) -> bool:
        return tp in self._resting.get(tp.topic, ())

    def after(
        self,
        batches: Iterable[Batch],
        channel_of: Callable[[TP], BatchChannel | None],
        assignment: Any,
    ) -> None:
        """These are handed out: let their topics rest that are to be gathered, but for partitions whose
        last batch was large, as those are behind. ``assignment``: aiokafka's, of all partitions."""
        for batch in batches:
            topic, channel = batch.tp.topic, channel_of(batch.tp)
            if channel is None or not channel.gather_s.get(topic):
                continue
            if len(batch) >= channel.max_records // 2:
                self._behind.add(batch.tp)
                continue
            self._behind.discard(batch.tp)
            if topic not in self._timers:
                loop = asyncio.get_running_loop()
                self._timers[topic] = loop.call_later(channel.gather_s[topic], self._rested, topic)
        for tp in map(TP._make, assignment.tps):
            if tp.topic in self._timers and tp not in self._behind and not self.rests(tp):
                state = self._resting.setdefault(tp.topic, {})[tp] = assignment.state_value(tp)
                state.pause()

    def _rested(self, topic: str) -> None:
        del self._timers[topic]
        for state in self._resting.pop(topic, {}).values():
            state.resume()
        self._wake()

    def forget(self) -> None:
        """Of an assignment that is over: what is paused goes with it."""
        for timer in self._timers.values():
            timer.cancel()
        self._timers.clear()
        self._resting.clear()
        self._behind.clear()
