"""Every offset of every life of a topic is a row once, a dead letter once, or a loss that is written down.

The real store and the real engine; a log in memory that is truncated, made anew, eaten by retention; a
group that forgets its offsets; workers that die at any step; an engine whose answers are lost and which
forgets tokens. Hypothesis tries orders of all that; a failing order is printed as a program.
"""

import asyncio
import time
from collections import Counter
from dataclasses import dataclass
from typing import Any, Final

import pytest
from clickhouse_driver import Client
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    precondition,
    rule,
    run_state_machine_as_test,
)

from schemas.settings import ClickHouseSettings
from streams.store import store as store_module
from streams.store.mark import mark_of
from streams.store.store import LOOK_AFTER_S, Store
from streams.transport import Abandoned, Batch, Committed, Timeline
from tests.streams.store.world import Entry, Killed, MortalClickHouse, World, started, worker

pytestmark = pytest.mark.broker

FORGETFUL: Final = ("passes", "dead_letters", "flow_1m", "flow_5m", "flow_1h")
HUGE: Final = b"x" * 1_100_000
ABSURD_MS: Final = (-1, 0, 4_323_456_000_000, 10_413_792_000_000)

Place = tuple[int, int]
"""offset, Kafka's time as it is stored: names a record for good"""


Loss = tuple[int, int | None, str, str]
"""first and last offset, why, topic id"""


@dataclass
class Fate:
    """What a record was, and whether Kafka still has it."""

    kind: str
    seq: int
    life: str
    gone: str = ""
    """retention, truncated or recreated: how Kafka lost it"""
    named: bool = False
    """It was in a block that a commit named, and the group still has its offsets."""
    met: bool = False
    """A worker has begun since Kafka deleted it: nobody can tell of what a topic had that is gone."""


class ForgettingClickHouse(MortalClickHouse):
    """Answers are lost, inserts refused, and tokens forgotten, as ``world.trouble`` says."""

    trouble: list[str]
    client: Client
    world: World

    async def insert(self, *arguments: Any) -> None:
        said = self.trouble.pop(0) if self.trouble else ""
        if said == "refused":
            raise OSError("the engine refuses")
        await super().insert(*arguments)
        if said == "late":  # the answer is lost, and by the next attempt the token is forgotten
            forget_tokens(self.client)
            self.world.monotonic_s += LOOK_AFTER_S + 1
            self.world.now_ms += int(LOOK_AFTER_S + 1) * 1000
        if said:
            raise OSError("its answer is lost")


def forget_tokens(client: Client) -> None:
    for window in (0, 10_000):
        for table in FORGETFUL:
            client.execute(
                f"ALTER TABLE {table} MODIFY SETTING non_replicated_deduplication_window = {window}"
            )


class Accounting(RuleBasedStateMachine):
    clickhouse: ClickHouseSettings

    def __init__(self) -> None:
        super().__init__()
        self.client = Client(**self.clickhouse.driver_kwargs())
        self.world = World(self.clickhouse, time.time_ns() // 1_000_000 - 3_600_000)
        self.seq = 0
        self.fates: dict[Place, Fate] = {}
        self.store: Store | None = None
        self.at = 0
        self.trouble: list[str] = []

    # The log

    @rule(
        kinds=st.lists(
            st.sampled_from(["good"] * 5 + ["twice", "garbage", "huge", "stranger", "absurd"]),
            min_size=1,
            max_size=6,
        ),
        apart_ms=st.sampled_from([0, 1, 1_000]),
    )
    def produce(self, kinds: list[str], apart_ms: int) -> None:
        self._pass_ms(1)
        for kind in kinds:
            self._pass_ms(apart_ms)
            self._append(kind)

    def _append(self, kind: str) -> None:
        at_ms, seq = self.world.now_ms, self.seq
        if kind == "twice":
            seq = max(0, seq - 1 - len(self.fates) % 3)
        else:
            self.seq += 1
        if kind == "garbage":
            self.world.append(b"{", at_ms)
        elif kind == "huge":
            self.world.append(HUGE, at_ms)
        elif kind == "stranger":
            self.world.passed(seq, at_ms, school="KZ-99-99999")
        else:
            self.world.passed(seq, at_ms)
        entry = self.world.entries[-1]
        if kind == "absurd":
            entry.timestamp = ABSURD_MS[seq % len(ABSURD_MS)]
        place = (entry.offset, 0 if kind == "absurd" else at_ms)
        if place in self.fates:  # an absurd time at an offset of before: nothing tells them apart
            entry.timestamp, place = at_ms, (entry.offset, at_ms)
            entry.value, kind = b"{", "garbage"
        self.fates[place] = Fate(kind, seq, self.world.timeline.topic_id)

    @rule(
        how=st.sampled_from(
            ["retention", "truncate", "elect", "made anew", "offsets gone", "killed", "waited"]
        ),
        share=st.sampled_from([0.2, 0.5, 1.0]),
        offsets_go=st.booleans(),
    )
    def disaster(self, how: str, share: float, offsets_go: bool) -> None:
        if how == "retention":
            self.retention(share)
        elif how == "truncate":
            self.truncate(round(8 * share))
        elif how == "elect":
            self.elect()
        elif how == "made anew":
            self.make_anew(offsets_go)
        elif how == "offsets gone":
            self.lose_offsets()
        elif how == "killed":
            self.kill()
        else:
            self.wait(1 if offsets_go else 7_200)

    def retention(self, share: float) -> None:
        world = self.world
        begin = world.begin + round(share * (len(world.entries) - world.begin))
        for entry in world.entries[world.begin : begin]:
            self._gone(entry, "retention")
        world.begin = begin

    def truncate(self, records: int) -> None:
        """An unclean election."""
        world = self.world
        end = max(world.begin, len(world.entries) - records)
        for entry in world.entries[end:]:
            self._gone(entry, "truncated")
        del world.entries[end:]
        world.timeline = Timeline(world.timeline.topic_id, world.timeline.leader_epoch + 1)
        self._pass_ms(1)

    def elect(self) -> None:
        """A clean election loses nothing."""
        timeline = self.world.timeline
        self.world.timeline = Timeline(timeline.topic_id, timeline.leader_epoch + 1)

    def make_anew(self, offsets_go: bool) -> None:
        """Kafka mostly deletes the group's offsets with the topic."""
        world = self.world
        for entry in world.entries[world.begin :]:
            self._gone(entry, "recreated")
        world.made_anew()
        if offsets_go:
            self._forget_offsets()
        self._pass_ms(1)

    def _gone(self, entry: Entry, how: str) -> None:
        self.fates[_place(entry)].gone = how

    # The worker and its group

    def kill(self) -> None:
        self.store = None
        self.world.generation += 1

    def lose_offsets(self) -> None:
        self.store = None
        self.world.generation += 1
        self._forget_offsets()

    def _forget_offsets(self) -> None:
        self.world.committed = Committed(None)
        for fate in self.fates.values():
            fate.named = False

    def wait(self, seconds: int) -> None:
        self.world.monotonic_s += seconds
        self._pass_ms(seconds * 1000)
        if seconds > LOOK_AFTER_S:
            forget_tokens(self.client)

    @initialize(most=st.integers(1, 9), later=st.integers(0, 3))
    def begin(self, most: int, later: int) -> None:
        """Something is stored, and something is not."""
        self.produce(["good"] * 4 + ["garbage", "twice"], 1)
        self.work(most, 3, None, [])
        self.produce(["good"] * later, 1)

    @rule(
        most=st.integers(1, 9),
        batches=st.integers(1, 3),
        die_after=st.none() | st.integers(1, 12),
        trouble=st.lists(st.sampled_from(["", "refused", "lost", "late"]), max_size=3),
    )
    def work(self, most: int, batches: int, die_after: int | None, trouble: list[str]) -> None:
        world, self.trouble[:] = self.world, trouble
        world.kill_at = None if die_after is None else world.steps + die_after
        try:
            for _ in range(batches):
                asyncio.run(self._one_batch(most))
        except Killed:
            self.kill()
        finally:
            world.kill_at = None
            self.trouble.clear()
            self._note_named()

    @precondition(lambda self: self.fates)
    @rule()
    def drain(self) -> None:
        asyncio.run(self._drain())
        self.check()

    async def _drain(self) -> None:
        quiet = 0
        while quiet < 2:  # a start again hands out nothing
            quiet = 0 if await self._one_batch(7) else quiet + 1

    async def _one_batch(self, most: int) -> bool:
        world = self.world
        if self.store is None or world.tp in world.again:
            world.again.clear()
            if self.store is None:
                self.store = self._worker()
            self.at = await started(world, self.store)
            for fate in self.fates.values():
                fate.met |= bool(fate.gone) and fate.life == world.timeline.topic_id
        elif self.store._partitions[world.tp].timeline != world.timeline:
            world.again.add(world.tp)  # as the consumer's watch does
            return True
        batch = world.next_batch(most, self.at)
        if batch is None:
            return False
        for client in self.store._clickhouse._free:
            client.disconnect()
        await self._handle(batch)
        return True

    async def _handle(self, batch: Batch) -> None:
        assert self.store is not None
        try:
            await self.store.handle(batch)
        except Abandoned:
            return
        self.at = batch.next_offset

    def _worker(self) -> Store:
        store = worker(self.world)
        clickhouse = ForgettingClickHouse(self.world)
        clickhouse.trouble, clickhouse.client, clickhouse.world = (
            self.trouble,
            self.client,
            self.world,
        )
        for part in (store, store._known, store._losses):
            part._clickhouse = clickhouse  # type: ignore[attr-defined]
        return store

    def _note_named(self) -> None:
        pending = mark_of(self.world.committed.metadata).pending
        if pending is not None:
            for (offset, at_ms), fate in self.fates.items():
                if pending.span.first <= offset <= pending.span.last and (
                    at_ms >= pending.span.first_ms
                ):
                    fate.named = True

    def _pass_ms(self, ms: int) -> None:
        self.world.now_ms += ms

    # What must hold when everything is read

    def check(self) -> None:
        rows = Counter(self._places("passes", "1"))
        letters = Counter(self._places("dead_letters", f"topic = '{self.world.topic.name}'"))
        losses = self._losses()
        for place, fate in self.fates.items():
            stored = (rows[place], letters[place])
            told = f"{place} {fate} rows and letters {stored}, losses {losses}"
            assert sum(stored) <= 1, f"doubled: {told}"
            if not sum(stored):
                assert fate.gone, f"lost in silence: {told}"
                known = fate.named or (fate.gone == "retention" and fate.met)
                assert not known or _covered(place[0], fate, losses), f"a loss not told: {told}"
            elif fate.kind in ("garbage", "huge", "stranger", "absurd"):
                assert letters[place], f"taken though it is none: {told}"
        invented = (rows.keys() | letters.keys()) - self.fates.keys()
        assert not invented, f"invented: {invented}"
        self._check_events(rows, letters)
        sent = {(said.offset, said.kafka_time_ms) for said, _, _ in self.world.sent}
        assert set(letters) <= sent and not sent & set(rows)

    def _check_events(self, rows: Counter[Place], letters: Counter[Place]) -> None:
        """Each event that was ever read is a row, once; and so the rollups count it."""
        events = Counter(self.fates[place].seq for place in rows)
        assert all(count == 1 for count in events.values()), f"an event twice: {events}"
        for place in letters:
            fate = self.fates[place]
            if fate.kind in ("good", "twice"):
                assert fate.seq in events, f"a duplicate of nothing: {place} {fate}"
        for size in ("1m", "5m", "1h"):
            [(counted,)] = self.client.execute(
                f"SELECT sum(came_in) FROM flow_{size} WHERE school = '{self.world.school}'"
            )
            assert counted == rows.total(), f"flow_{size}: {counted} of {rows.total()}"

    def _places(self, table: str, where: str) -> list[Place]:
        places: list[Place] = self.client.execute(
            f"SELECT kafka_offset, toUnixTimestamp64Milli(kafka_time) FROM {table} "
            f"WHERE {where} AND kafka_partition = {self.world.partition}"
        )
        return places

    def _losses(self) -> list[Loss]:
        losses: list[Loss] = self.client.execute(
            "SELECT first_offset, last_offset, why, topic_id FROM losses FINAL "
            f"WHERE kafka_partition = {self.world.partition}"
        )
        return losses

    def teardown(self) -> None:
        try:
            asyncio.run(self._drain())
            self.check()
        finally:
            self.client.disconnect()


def _place(entry: Entry) -> Place:
    believed = store_module.kafka_ms(entry.timestamp)
    return entry.offset, believed


def _covered(offset: int, fate: Fate, losses: list[Loss]) -> bool:
    """Where an end had gone back, nobody can tell how far: all of that life is doubtful then."""
    return any(
        (first <= offset and (last is None or offset <= last))
        or (why == "truncated" and life == fate.life)
        for first, last, why, life in losses
    )


def _run(clickhouse: ClickHouseSettings, examples: int, steps: int) -> None:
    bound = type("Accounting", (Accounting,), {"clickhouse": clickhouse})
    run_state_machine_as_test(
        bound,
        settings=settings(
            max_examples=examples,
            stateful_step_count=steps,
            deadline=None,
            suppress_health_check=list(HealthCheck),
            print_blob=True,
            phases=(Phase.reuse, Phase.generate),  # to shrink what runs an engine takes minutes
        ),
    )


def test_every_offset_of_every_life_is_accounted_for(clickhouse_server: ClickHouseSettings) -> None:
    _run(clickhouse_server, examples=25, steps=12)


@pytest.mark.faults
def test_every_offset_is_accounted_for_in_a_long_campaign(
    clickhouse_server: ClickHouseSettings,
) -> None:
    _run(clickhouse_server, examples=600, steps=30)
