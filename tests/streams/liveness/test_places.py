"""Schools whose heartbeats come in other partitions than before, as after partitions were added."""

from dataclasses import dataclass, field

from hypothesis import given, settings
from hypothesis import strategies as st

from schemas.alerts import Action, AlertChanged, AlertKind, Status, StatusChanged
from streams.liveness.feed import Feed
from streams.liveness.places import Places
from streams.liveness.school import Decision
from tests.streams.liveness.test_decide import T0, TIMEOUT_MS, liveness
from tests.streams.liveness.test_feed import Row, heartbeat

SCHOOLS = tuple(f"KZ-75-{number:05}" for number in range(1, 5))
PARTITIONS = 4
PERIOD_MS = 15_000


@dataclass
class Worker:
    """Owns some partitions. What it says reaches the other one, as through the topic of statuses."""

    owned: tuple[int, ...]
    feeds: dict[int, Feed] = field(default_factory=dict)
    said: list[Decision] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.places = Places({n: liveness() for n in self.owned}, liveness())
        self.feeds = {n: Feed(it, places=self.places) for n, it in self.places.owned.items()}

    def put(self, said: list[Decision], partition: int, others: "list[Worker]") -> None:
        self.said += said
        for status in said:
            if isinstance(status, StatusChanged):
                for other in others:
                    if other is not self:
                        other.hears_of(status, partition)

    def hears_of(self, said: StatusChanged, partition: int) -> None:
        self.places.claimed(said.school, partition)
        if said.school in self.places.elsewhere.schools:
            self.places.elsewhere.restore(said)


@dataclass
class Country:
    workers: list[Worker]
    now_ms: int = T0
    offset: int = 0

    def __post_init__(self) -> None:
        for worker in self.workers:
            for number, school in enumerate(SCHOOLS):
                holder = worker.places.holder(school, number % 2)
                holder.register(school, [("gateway-1", "gateway", 15)])

    def beats(self, school: str, partition: int) -> None:
        self.offset += 1
        value = heartbeat(school=school, time_ms=self.now_ms, seq=self.offset)
        row = Row(self.offset, self.now_ms, school.encode(), value)
        for worker in self.workers:
            if partition in worker.feeds:
                worker.put(worker.feeds[partition].hear([row]), partition, self.workers)

    def passes(self, pause_ms: int) -> None:
        until_ms = self.now_ms + pause_ms
        while self.now_ms < until_ms:
            self.now_ms += 1_000
            for worker in self.workers:
                for number, its in worker.places.owned.items():
                    worker.put(its.advance(self.now_ms), number, self.workers)

    def alerts(self, action: Action) -> list[str]:
        of = [d for w in self.workers for d in w.said if isinstance(d, AlertChanged)]
        said = {(a.id, a.number): a for a in of if a.kind is AlertKind.SCHOOL_OFFLINE}
        return sorted(a.school for a in said.values() if a.action is action)


owners = st.sampled_from([[(0, 1, 2, 3)], [(0, 1), (2, 3)], [(0, 2), (1, 3)], [(0,), (1, 2, 3)]])
wheres = st.lists(
    st.tuples(*[st.integers(0, PARTITIONS - 1)] * len(SCHOOLS)), min_size=1, max_size=12
)


@settings(deadline=None, max_examples=150)
@given(owners, wheres, st.sets(st.sampled_from(SCHOOLS)))
def test_wherever_heartbeats_come_nobody_is_accused_and_the_silent_are_found_once(
    owned: list[tuple[int, ...]], rounds: list[tuple[int, ...]], falls: set[str]
) -> None:
    country = Country([Worker(its) for its in owned])
    for where in rounds:
        for school, partition in zip(SCHOOLS, where, strict=True):
            country.beats(school, partition)
        country.passes(PERIOD_MS)
    assert country.alerts(Action.OPENED) == []
    for _ in range(TIMEOUT_MS // PERIOD_MS + 2):
        for school, partition in zip(SCHOOLS, rounds[-1], strict=True):
            if school not in falls:
                country.beats(school, partition)
        country.passes(PERIOD_MS)
    assert country.alerts(Action.OPENED) == sorted(falls)
    for school in sorted(falls):
        country.beats(school, (rounds[-1][0] + 1) % PARTITIONS)
    assert country.alerts(Action.RESOLVED) == sorted(falls)
    held = [
        sum(school in its.schools for w in country.workers for its in w.places.owned.values())
        for school in SCHOOLS
    ]
    assert held == [1] * len(SCHOOLS)


def test_a_record_that_is_sent_again_into_another_partition_moves_nobody() -> None:
    country = Country([Worker((0, 1, 2, 3))])
    [worker] = country.workers
    value = heartbeat(school=SCHOOLS[0], time_ms=T0, seq=1)
    for offset in range(20):
        row = Row(offset, country.now_ms, SCHOOLS[0].encode(), value)
        worker.put(worker.feeds[offset % 4].hear([row]), offset % 4, [])
        country.passes(5_000)
    assert SCHOOLS[0] in country.alerts(Action.OPENED)
    statuses = [d for d in worker.said if isinstance(d, StatusChanged) and not d.device]
    assert [s.status for s in statuses if s.school == SCHOOLS[0]] == [
        Status.ONLINE,
        Status.OFFLINE,
    ]


@settings(deadline=None)
@given(st.integers(0, 3), st.integers(0, 3))
def test_what_a_former_owner_left_open_is_ended_wherever_the_school_returns(
    was: int, returns: int
) -> None:
    """Before anything was proven of the partition in which it was spoken of."""
    before = Country([Worker((0, 1, 2, 3))])
    before.beats(SCHOOLS[0], was)
    before.passes(TIMEOUT_MS + 1_000)
    heir = Worker((0, 1, 2, 3))
    for said in before.workers[0].said:
        if isinstance(said, StatusChanged):
            heir.places.holder(said.school, was).restore(said)
    value = heartbeat(school=SCHOOLS[0], time_ms=before.now_ms, seq=99)
    row = Row(99, before.now_ms, SCHOOLS[0].encode(), value)
    heir.put(heir.feeds[returns].hear([row]), returns, [])
    ended = [d for d in heir.said if isinstance(d, AlertChanged) and d.action is Action.RESOLVED]
    assert {(a.school, a.kind) for a in ended} == {
        (SCHOOLS[0], AlertKind.SCHOOL_OFFLINE),
        (SCHOOLS[0], AlertKind.PANIC_BLIND),
    }
