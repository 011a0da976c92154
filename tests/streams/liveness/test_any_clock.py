"""Alive is who sends new heartbeats, by Kafka's clock; what a device's own clock says is a finding."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from schemas.alerts import Action, AlertKind, Status
from schemas.events import MAX_EXACT
from streams.liveness.feed import Feed
from streams.liveness.school import Decision
from tests.streams.liveness.test_decide import T0 as KAFKA_MS
from tests.streams.liveness.test_decide import TIMEOUT_MS, actions, liveness, statuses
from tests.streams.liveness.test_feed import Row, heartbeat

PERIOD_MS = 15_000
HOUR_MS = 3_600_000
IN_1970, IN_2107 = 5_000, 4_323_110_400_000


@dataclass
class World:
    """One gateway; Kafka's time is ``now_ms``, and ``sent`` what it has sent, to be sent again."""

    feed: Feed = field(default_factory=lambda: Feed(liveness()))
    now_ms: int = KAFKA_MS
    offset: int = 0
    sent: list[bytes] = field(default_factory=list)
    said: list[Decision] = field(default_factory=list)

    def passes(self, pause_ms: int) -> None:
        """Idle proofs of the broker."""
        until_ms = self.now_ms + pause_ms
        while self.now_ms < until_ms:
            self.now_ms = min(until_ms, self.now_ms + 1_000)
            self.said += self.feed.liveness.advance(self.now_ms)

    def comes(self, value: bytes) -> None:
        self.said += self.feed.hear([Row(self.offset, self.now_ms, b"KZ-75-00001", value)])
        self.offset += 1

    def sends(self, time_ms: int, boot: int, seq: int, **fields: Any) -> None:
        self.sent.append(heartbeat(time_ms=time_ms, boot=boot, seq=seq, **fields))
        self.comes(self.sent[-1])

    def is_(self, status: Status) -> bool:
        its = self.feed.liveness.schools["KZ-75-00001"].devices["gateway-1"]
        return its.status is status

    def beats(self, times_ms: Iterable[int]) -> None:
        for time_ms in times_ms:
            self.passes(PERIOD_MS)
            self.sends(time_ms, 1, self.offset)


@dataclass
class Clock:
    """A device's: what each error makes of it, tick by tick. Kafka's time is right."""

    error: str
    at_ms: int = KAFKA_MS

    def tick(self, kafka_ms: int, n: int) -> int:
        of = {
            "right": kafka_ms,
            "stands": self.at_ms,
            "back": self.at_ms - PERIOD_MS,
            "slow": self.at_ms + PERIOD_MS // 3,
            "fast": self.at_ms + 3 * PERIOD_MS,
            "1970": IN_1970 + n,
            "2107": IN_2107 + n,
            "an hour behind": kafka_ms - HOUR_MS,
            "a minute ahead": kafka_ms + 61_000,
            "alternates": kafka_ms - HOUR_MS * (1 + n % 2),
            "alternates with right": kafka_ms - HOUR_MS * (n % 2),
        }
        self.at_ms = min(max(of[self.error], 0), MAX_EXACT)
        return self.at_ms


ERRORS = (
    *("right", "stands", "back", "slow", "fast", "1970", "2107", "an hour behind"),
    *("a minute ahead", "alternates", "alternates with right"),
)
errors = st.lists(st.tuples(st.sampled_from(ERRORS), st.integers(1, 12)), min_size=1, max_size=6)


@settings(deadline=None, max_examples=150)
@given(errors, st.sets(st.integers(0, 60), max_size=6), st.lists(st.integers(-3_000, 3_000)))
def test_who_sends_new_heartbeats_is_never_silent_whatever_its_clock_says(
    spells: list[tuple[str, int]], starts_anew: set[int], jitter_ms: list[int]
) -> None:
    world, clock, n, boot, seq = World(), Clock("right"), 0, 1, 0
    world.sends(KAFKA_MS, boot, seq)
    for error, ticks in spells:
        clock.error = error
        for _ in range(ticks):
            n, seq = n + 1, seq + 1
            if n in starts_anew:
                boot, seq = boot * 7 % 1_000 + 1, 0
            world.passes(PERIOD_MS + (jitter_ms[n % len(jitter_ms)] if jitter_ms else 0))
            world.sends(clock.tick(world.now_ms, n), boot, seq)
            assert world.is_(Status.ONLINE), (error, n)
    assert actions(world.said, AlertKind.SCHOOL_OFFLINE) == []


@settings(deadline=None, max_examples=150)
@given(
    st.lists(st.tuples(st.sampled_from(ERRORS), st.integers(0, 3)), min_size=1, max_size=12),
    st.lists(st.tuples(st.integers(0, 40), st.integers(0, 20_000)), max_size=40),
    st.booleans(),
)
def test_who_sends_nothing_new_is_found_by_the_timeout(
    beats: list[tuple[str, int]], again: list[tuple[int, int]], was_away: bool
) -> None:
    """A proxy that sends again what it has, in any order and at any pace, keeps nobody alive."""
    world, clock = World(), Clock("right")
    for n, (error, boot) in enumerate(beats):
        clock.error = error
        world.passes(PERIOD_MS)
        world.sends(clock.tick(world.now_ms, n), boot, n)
    silent_since_ms = world.now_ms
    if was_away:
        world.passes(2 * TIMEOUT_MS)
    for which, pause_ms in again:
        world.passes(pause_ms)
        world.comes(world.sent[which % len(world.sent)])
    world.passes(max(0, silent_since_ms + TIMEOUT_MS + 1 - world.now_ms))
    assert world.is_(Status.OFFLINE)
    assert statuses(world.said, "gateway-1").count(Status.OFFLINE) == 1
    assert actions(world.said, AlertKind.SCHOOL_OFFLINE) == [Action.OPENED]


@pytest.mark.parametrize(
    "error", ["stands", "back", "slow", "1970", "2107", "an hour behind", "alternates"]
)
def test_a_clock_that_is_off_is_a_finding(error: str) -> None:
    world, clock = World(), Clock("right")
    world.sends(KAFKA_MS, 1, 0)
    clock.error = error
    world.beats(clock.tick(world.now_ms + PERIOD_MS, n) for n in range(20))
    assert actions(world.said, AlertKind.CLOCK_SKEW) == [Action.OPENED]
    world.beats(world.now_ms + PERIOD_MS for _ in range(10))
    assert actions(world.said, AlertKind.CLOCK_SKEW) == [Action.OPENED, Action.RESOLVED]
    assert statuses(world.said, "gateway-1") == [Status.ONLINE] + [Status.ONLINE] * 2


def test_a_device_that_returns_with_a_clock_that_stands_is_back_with_its_second_heartbeat() -> None:
    """The first one may be the begin of a buffer that is drained."""
    world = World()
    world.sends(KAFKA_MS, 1, 0)
    world.passes(2 * TIMEOUT_MS)
    assert world.is_(Status.OFFLINE)
    world.beats([KAFKA_MS, KAFKA_MS])
    assert world.is_(Status.ONLINE)


PERIODS = st.integers(1, 86_400)


@settings(deadline=None)
@given(st.lists(PERIODS, min_size=1, max_size=20))
def test_no_claim_of_a_device_moves_the_deadline_that_the_registry_sets(claims: list[int]) -> None:
    world = World()
    world.feed.liveness.register("KZ-75-00001", [("gateway-1", "gateway", 15)])
    for n, period_s in enumerate(claims):
        world.passes(PERIOD_MS)
        world.sends(world.now_ms, 1, n, period_s=period_s)
    assert statuses(world.said, "gateway-1") == [Status.ONLINE, *[Status.ONLINE] * changes(world)]
    world.passes(TIMEOUT_MS)
    assert not world.is_(Status.OFFLINE)
    world.passes(1)
    assert world.is_(Status.OFFLINE)


def changes(world: World) -> int:
    return len(actions(world.said, AlertKind.LONG_PERIOD))


def test_a_longer_claim_than_the_registrys_is_a_finding_and_a_shorter_one_is_none() -> None:
    world = World()
    world.feed.liveness.register("KZ-75-00001", [("gateway-1", "gateway", 15)])

    def claims(period_s: int) -> list[Action]:
        for _ in range(3):
            world.passes(PERIOD_MS)
            world.sends(world.now_ms, 1, world.offset, period_s=period_s)
        return actions(world.said, AlertKind.LONG_PERIOD)

    assert claims(5) == []
    assert claims(3_600) == [Action.OPENED]
    assert claims(15) == [Action.OPENED, Action.RESOLVED]


def test_of_a_device_that_the_registry_does_not_list_its_last_claim_counts() -> None:
    world = World()
    world.sends(KAFKA_MS, 1, 0, period_s=86_400)
    world.passes(PERIOD_MS)
    world.sends(world.now_ms, 1, 1, period_s=15)
    world.passes(TIMEOUT_MS + 1)
    assert world.is_(Status.OFFLINE)
