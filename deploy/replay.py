"""Time travel: the topics of a span again through the same decisions, against what was said then.

Nothing is written. A lane's state at the beginning of the span is rebuilt as its worker does it; the
records of all partitions then come in the order of the broker's stamps. Where no record came, the
broker is taken to have said so, as it does every second; in a span without any record at all it was
away.
"""

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final, Literal

from pydantic import ValidationError

from schemas.alerts import NOTICE, AlertChanged, AlertKind, StatusChanged
from schemas.events import EVENT, SchoolRegistered, is_canary
from schemas.settings import KafkaSettings, Settings
from schemas.topics import (
    ALERTS,
    HEARTBEATS,
    PANICS,
    PASSES,
    REGISTRY,
    REPLAY_OF_HEADER,
    STATUS,
)
from streams.arrivals import feed as arrivals_feed
from streams.arrivals import places as arrivals_places
from streams.arrivals.decide import Arrivals
from streams.arrivals.feed import KINDS as ARRIVALS_KINDS
from streams.arrivals.feed import Feed as ArrivalsFeed
from streams.arrivals.feed import school_of
from streams.arrivals.school import school_day_before_ms
from streams.liveness.decide import MAX_GAP_MS, Liveness
from streams.liveness.feed import Feed, register, tested
from streams.liveness.places import Places
from streams.outage.decide import Outages
from streams.outage.scope import Place
from streams.panic.decide import REBUILD_MS, PanicState, decide
from streams.runtime.kafka.bounded import in_order, partitions_of

Lane = Literal["liveness", "outage", "arrivals", "panic"]
KINDS: Final[Mapping[Lane, frozenset[AlertKind]]] = {
    "liveness": frozenset({AlertKind.SCHOOL_OFFLINE, AlertKind.PANIC_BLIND}),
    "outage": frozenset({AlertKind.OUTAGE}),
    "arrivals": ARRIVALS_KINDS,
    "panic": frozenset({AlertKind.PANIC}),
}
PROOF_EVERY_MS: Final = 500
WINDOW_MS: Final = 3_600_000
LONGEST_PROOF_MS: Final = 30_000


@dataclass(frozen=True, slots=True)
class Span:
    """``from_ms`` to ``to_ms`` by the moments at which it was decided, both included."""

    from_ms: int
    to_ms: int

    def holds(self, alert: AlertChanged) -> bool:
        return self.from_ms <= alert.decided_ms <= self.to_ms


@dataclass(frozen=True, slots=True)
class Difference:
    """A transition as it stands in Kafka and as it comes out of the replay; None where it is not."""

    stands: str | None
    replayed: str | None


@dataclass(frozen=True, slots=True)
class Compared:
    records: int
    stand: int
    replayed: int
    differences: list[Difference]

    @property
    def identical(self) -> bool:
        return not self.differences


def replay(settings: Settings, lane: Lane, span: Span) -> Compared:
    """Raises aiokafka's KafkaError when the topics can't be read."""
    return asyncio.run(compare(settings, lane, span))


async def compare(settings: Settings, lane: Lane, span: Span) -> Compared:
    stand = await _said(settings.kafka, KINDS[lane], span)
    records = 0
    replayed: dict[tuple[str, int], str] = {}
    async for decided in _LANES[lane](settings, span):
        records += 1
        for alert in decided:
            if alert.kind in KINDS[lane] and span.holds(alert):
                replayed.setdefault((alert.id, alert.number), alert.model_dump_json())
    return Compared(records, len(stand), len(replayed), differences(stand, replayed))


def differences(
    stand: Mapping[tuple[str, int], str], replayed: Mapping[tuple[str, int], str]
) -> list[Difference]:
    """In the order in which they stand, then what was not said at all."""
    keys = [*stand, *(key for key in replayed if key not in stand)]
    return [
        Difference(stand.get(key), replayed.get(key))
        for key in keys
        if stand.get(key) != replayed.get(key)
    ]


async def _said(
    kafka: KafkaSettings, kinds: frozenset[AlertKind], span: Span
) -> dict[tuple[str, int], str]:
    """What stands on the topic of alerts, by id and number; the first of equal ones counts."""
    found: dict[tuple[str, int], str] = {}
    async for record in in_order(kafka, ALERTS.name, span.from_ms, None):
        try:
            said = NOTICE.validate_json(record.value or b"")
        except ValidationError:
            continue
        if isinstance(said, AlertChanged) and said.kind in kinds and span.holds(said):
            found.setdefault((said.id, said.number), record.value.decode())
    return found


async def _liveness(settings: Settings, span: Span) -> AsyncIterator[list[AlertChanged]]:
    kafka, its = settings.kafka, settings.liveness
    feeds = {
        number: Feed(Liveness(misses=its.misses, grace_ms=int(its.grace_s * 1000)))
        for number in (await partitions_of(kafka, [HEARTBEATS.name]))[HEARTBEATS.name]
    }
    places = Places({number: feed.liveness for number, feed in feeds.items()}, feeds[0].liveness)
    for feed in feeds.values():
        feed.places = places
    async for record in in_order(kafka, STATUS.name, 0, span.from_ms):
        said = _status(record.value)
        if said is not None:
            places.holder(said.school, record.partition).restore(said)
    later: deque[Any] = deque()
    async for record in in_order(kafka, REGISTRY.name, 0, span.to_ms):
        if record.timestamp < span.from_ms:
            _registered(places, record)
        else:
            later.append(record)
    tests = [r async for r in in_order(kafka, PANICS.name, span.from_ms - WINDOW_MS, span.to_ms)]
    for test in tests:
        tested(places.holder((test.key or b"").decode(errors="replace"), test.partition), test)
    proven_ms = 0
    async for record in in_order(
        kafka, HEARTBEATS.name, span.from_ms - WINDOW_MS, span.to_ms + WINDOW_MS
    ):
        now_ms = record.timestamp
        decided: list[AlertChanged] = []
        while later and later[0].timestamp <= now_ms:
            one = later.popleft()
            decided += _alerts(_registered(places, one))
        if proven_ms and now_ms - proven_ms <= MAX_GAP_MS:
            if now_ms - proven_ms > PROOF_EVERY_MS:
                for feed in feeds.values():
                    decided += _alerts(feed.liveness.advance(now_ms - 1))
                proven_ms = now_ms
        else:
            proven_ms = now_ms
        feed = feeds[record.partition]
        if now_ms < span.from_ms:
            feed.speak_from = record.offset + 1
        decided += _alerts(feed.hear([record]))
        yield decided
        if proven_ms > span.to_ms and now_ms > span.to_ms + MAX_GAP_MS:
            return
    yield [a for feed in feeds.values() for a in _alerts(feed.liveness.advance(span.to_ms + 1))]


def _registered(places: Places, record: Any) -> list[Any]:
    school = (record.key or b"").decode(errors="replace")
    return register(places.holder(school, record.partition), record.key, record.value)


async def _outage(settings: Settings, span: Span) -> AsyncIterator[list[AlertChanged]]:
    outages = Outages()
    async for record in in_order(settings.kafka, REGISTRY.name, 0, span.to_ms):
        try:
            school = EVENT.validate_json(record.value or b"")
        except ValidationError:
            continue
        if isinstance(school, SchoolRegistered) and not is_canary(school.school):
            place = Place(school.provider, school.district, school.region)
            outages.register(school.school, place)
    async for record in in_order(settings.kafka, STATUS.name, 0, span.to_ms + 1):
        said = _status(record.value)
        if said is not None and not said.device:
            yield outages.change(said, record.timestamp)
    yield outages.advance(span.to_ms)


async def _panic(settings: Settings, span: Span) -> AsyncIterator[list[AlertChanged]]:
    state = PanicState()
    async for record in in_order(
        settings.kafka, PANICS.name, span.from_ms - REBUILD_MS, span.to_ms + 1
    ):
        replayed = any(name == REPLAY_OF_HEADER for name, _ in record.headers)
        yield decide(
            state,
            record.key,
            record.value,
            record.timestamp,
            replayed=replayed,
        )


async def _arrivals(settings: Settings, span: Span) -> AsyncIterator[list[AlertChanged]]:
    """The broker is taken to have answered all the time: nights are without any pass."""
    kafka = settings.kafka
    numbers = (await partitions_of(kafka, [PASSES.name]))[PASSES.name]
    owned = {number: Arrivals(said_to_ms=span.from_ms - 1) for number in numbers}
    places = arrivals_places.Places(owned, Arrivals())
    feeds = {number: ArrivalsFeed(arrivals, places) for number, arrivals in owned.items()}

    def beside(record: Any) -> list[AlertChanged]:
        if record.topic == STATUS.name:
            arrivals_feed.status(places.holder(school_of(record), record.partition), record)
            return []
        holder = places.holder(school_of(record), record.partition % len(numbers))
        return arrivals_feed.register(holder, record)

    later: list[Any] = []
    for topic in (REGISTRY.name, STATUS.name):
        async for record in in_order(kafka, topic, 0, span.to_ms + 1):
            if record.timestamp < span.from_ms:
                beside(record)
            else:
                later.append(record)
    following = deque(sorted(later, key=lambda record: record.timestamp))
    async for record in in_order(kafka, ALERTS.name, 0, span.from_ms):
        arrivals_feed.restore(
            places.holder(school_of(record), record.partition % len(numbers)), record
        )
    proven_ms = 0
    began_ms = school_day_before_ms(span.from_ms)
    async for record in in_order(kafka, PASSES.name, began_ms, span.to_ms + 1):
        decided: list[AlertChanged] = []
        while following and following[0].timestamp <= record.timestamp:
            decided += beside(following.popleft())
        proven_ms = proven_ms or record.timestamp
        while record.timestamp - proven_ms > PROOF_EVERY_MS:
            proven_ms = min(record.timestamp - 1, proven_ms + LONGEST_PROOF_MS)
            for arrivals in owned.values():
                decided += arrivals.advance(proven_ms)
        yield [*decided, *feeds[record.partition].hear([record])]
    while proven_ms and proven_ms <= span.to_ms:
        proven_ms = min(span.to_ms + 1, proven_ms + LONGEST_PROOF_MS)
        yield [a for arrivals in owned.values() for a in arrivals.advance(proven_ms)]


_LANES: Final = {
    "liveness": _liveness,
    "outage": _outage,
    "arrivals": _arrivals,
    "panic": _panic,
}


def _alerts(decided: Iterable[Any]) -> Iterator[AlertChanged]:
    return (one for one in decided if isinstance(one, AlertChanged))


def _status(value: bytes | None) -> StatusChanged | None:
    try:
        said = NOTICE.validate_json(value or b"")
    except ValidationError:
        return None
    return said if isinstance(said, StatusChanged) else None
