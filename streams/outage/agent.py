"""Feeds the statuses of all schools to the outage decisions, and says what they decide.

One worker reads all partitions, as an outage knows none; a second one in its group only stands by.
On assignment everything that stands in the compacted topic of statuses is read again, so that the
state is what a former owner's was; what it had committed is not judged a second time.
"""

from collections.abc import Collection, Iterable, Mapping
from contextlib import suppress
from functools import partial
from typing import Final

import faust
import structlog
from faust.types import TP
from pydantic import ValidationError

from schemas.alerts import NOTICE, AlertChanged, AlertKind
from schemas.events import EVENT, SchoolRegistered, is_canary
from schemas.settings import Settings
from schemas.topics import ALERTS, REGISTRY, STATUS
from streams.beside import Following, KafkaTopics, Topics, status_of
from streams.lane import Group, Proofs, Reads, handled_ms, named
from streams.lane import app as app_of
from streams.outage.decide import Outages
from streams.outage.merge import Merge
from streams.outage.scope import Place
from streams.outbox import Message, Outbox
from streams.runtime.clock import MACHINE, Clock
from streams.runtime.kafka.newest import Newest
from streams.transport import Batch, Committed, Located

log = structlog.get_logger(__name__)

COMMIT_EVERY_S: Final = 1.0
HOLD_COMMITS_S: Final = 40.0
"""For how long what may yet be said keeps its records from being committed: a successor only recalls those
that are. A burst is named, with who joined, within 30 s; the watchdog finds a group frozen after 60 s."""
COUNTRY_PARTITION: Final = 0
"""The partition of the alerts that belong to no school."""
LASTING_MS: Final = 7 * 86_400_000
"""An outage that was opened earlier is not taken over any more."""


class OutageLane:
    """The state of the whole country, in one worker."""

    name = "outage"
    reads = Reads([STATUS.name])
    sweep_every_s = 0.25
    hopeless = ()

    def __init__(self, topics: Topics, clock: Clock = MACHINE) -> None:
        self._topics = topics
        self._clock = clock
        self._proofs = Proofs(clock)
        self._following = Following(topics)
        self._outages = Outages()
        self._merge = Merge()
        self._speak_from: dict[int, int] = {}
        """By partition; a former owner has said what follows from the records before."""
        self._decided_to: dict[int, int] = {}
        self._read_to: dict[int, int] = {}
        self._committed_to: dict[int, int] = {}
        self._committed_s = 0.0
        self._generation = -1
        self._outbox = Outbox(topics.send)
        self._group: Group | None = None
        self._late = 0

    def counts(self) -> dict[str, float]:
        return {
            "outages_open": len(self._outages.incidents),
            "transitions_total": self._outbox.acknowledged,
            "late_total": self._late,
        }

    async def stop(self) -> None:
        await self._following.stop()
        await self._topics.stop()

    async def begin(self, group: Group, committed: Mapping[TP, Committed]) -> Mapping[TP, int]:
        """Places of the schools, open outages; then all statuses come again."""
        await self._following.stop()
        self._group, committed = await named(group, committed)
        numbers = [tp.partition for tp in committed]
        self._outages, self._merge = Outages(), Merge(numbers)
        self._outbox.clear(COUNTRY_PARTITION)
        self._speak_from = {tp.partition: at.offset or 0 for tp, at in committed.items()}
        self._committed_to = dict(self._speak_from)
        self._committed_s = self._clock.monotonic_s()
        self._decided_to, self._read_to = {}, {}
        if len(numbers) < (await self._topics.counts([STATUS.name]))[STATUS.name]:
            log.error("outages are inferred by one worker: stop the others", partitions=numbers)
        ends: dict[int, int] = {}
        newest = Newest()
        async for record in self._topics.by_stamp(REGISTRY.name, ends):
            newest.takes(record)
            self._register(record)
        for alert in await self._said_before(committed):
            self._outages.restore(alert)
        self._following.begin(REGISTRY.name, ends, partial(self._registered, newest))
        return dict.fromkeys(committed, 0)

    async def _said_before(self, committed: Mapping[TP, Committed]) -> list[AlertChanged]:
        """The outages of late, in the order in which they were said."""
        country, now_ms = TP(ALERTS.name, COUNTRY_PARTITION), self._clock.wall_ms
        said_to_ms = max((handled_ms(at, now_ms) for at in committed.values()), default=0)
        starts = await self._topics.offsets_at({country: max(0, said_to_ms - LASTING_MS)})
        found: list[AlertChanged] = []
        async for record in self._topics.everything(ALERTS.name, [COUNTRY_PARTITION], {}, starts):
            value = record.value or b""
            if b'"outage"' in value:
                with suppress(ValidationError):
                    said = NOTICE.validate_json(value)
                    if isinstance(said, AlertChanged) and said.kind is AlertKind.OUTAGE:
                        found.append(said)
        return found

    def _registered(self, newest: Newest, record: Located) -> None:
        if newest.takes(record):
            self._register(record)

    def _register(self, record: Located) -> None:
        with suppress(ValidationError):
            school = EVENT.validate_json(record.value or b"")
            if not isinstance(school, SchoolRegistered) or record.key != school.school.encode():
                return
            if not is_canary(school.school):
                place = Place(school.provider, school.district, school.region)
                self._outages.register(school.school, place)

    async def take(self, batch: Batch) -> None:
        """Records wait here for those of the other partitions."""
        self._proofs.took(batch)
        number = batch.tp.partition
        self._generation = batch.generation
        for record in batch.records:
            if record.offset < self._read_to.get(number, 0):
                continue
            said = status_of(record.value)
            if said is not None and (said.device or is_canary(said.school)):
                said = None
            self._late += record.timestamp < self._outages.now_ms
            self._merge.put(number, record.offset, record.timestamp, said)
        self._read_to[number] = batch.next_offset

    async def sweep(self) -> None:
        """Decide as far as all partitions have come, and say it.

        Raises aiokafka's KafkaError; what could not be said is said by the next sweep.
        """
        assert self._group is not None
        for tp, proof_ms in self._proofs.of(self._group).items():
            self._merge.prove(tp.partition, proof_ms)
        until_ms = self._merge.watermark_ms()
        for kafka_ms, partition, offset, said in self._merge.take(until_ms):
            if said is not None:
                if offset < self._speak_from.get(partition, 0):
                    self._outages.recall(said, kafka_ms)
                else:
                    self._put(self._outages.change(said, kafka_ms))
            self._decided_to[partition] = offset + 1
        # Only who knows all that a former owner knew may say that something is over.
        if self._merge.is_caught_up:
            self._put(self._outages.advance(until_ms))
        await self._outbox.flush(COUNTRY_PARTITION)
        now_s = self._clock.monotonic_s()
        wait_s = HOLD_COMMITS_S if self._outages.has_unsaid else COMMIT_EVERY_S
        if now_s - self._committed_s > wait_s:
            self._committed_s = now_s
            await self._commit(self._group, until_ms)

    async def forget(self, revoked: Collection[TP]) -> None:
        await self._following.stop()

    async def _commit(self, group: Group, until_ms: int) -> None:
        for number, offset in self._decided_to.items():
            if offset > self._committed_to.get(number, 0):
                tp = TP(STATUS.name, number)
                await group.commit_at(tp, offset, str(until_ms), self._generation)
                self._committed_to[number] = offset

    def _put(self, decided: Iterable[AlertChanged]) -> None:
        for one in decided:
            said = one.model_dump_json()
            log.info("outage", said=said[:300])
            self._outbox.put(COUNTRY_PARTITION, [Message(ALERTS.name, b"", said.encode())])


def app(settings: Settings) -> faust.App:
    """The outage worker."""
    return app_of(OutageLane(KafkaTopics(settings.kafka)), settings)
