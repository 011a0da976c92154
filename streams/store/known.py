"""What is known before a block is formed: which schools there are, and which sequences are stored."""

from collections.abc import Sequence

from faust.types import TP

from schemas.topics import BY_NAME, PANICS, REGISTRY, Topic
from streams.store.around import Registered
from streams.store.block import Knows, of_canary
from streams.store.clickhouse import ClickHouse
from streams.store.judge import NOTICE_TOPICS
from streams.store.mark import Keys, Span
from streams.store.rows import TABLE_OF
from streams.store.seen import MAX_RANGES, Seen
from streams.transport import Record


class Known:
    """Of the partitions of one worker."""

    def __init__(self, clickhouse: ClickHouse, registry: Registered) -> None:
        self._clickhouse = clickhouse
        self._registry = registry

    async def unknown(self, tp: TP, records: Sequence[Record]) -> str:
        """Which keys of the records are no schools (``Keys.marked``), once the registry is read to its
        end for them. Raises aiokafka's KafkaError."""
        if not _of_schools(BY_NAME[tp.topic]):
            return ""
        keys = _keys(records)
        knows = self._registry.knows
        if not all(map(knows, keys.names)):
            await self._registry.catch_up(tp.partition)
        return keys.marked(name for name in keys.names if not knows(name))

    async def sequences(self, tp: TP, since_ms: int, before_ms: int) -> Seen:
        """All that are stored since then, or since later when they are too many for the memory."""
        seen = await self.sequences_but(tp, since_ms, None)
        while seen.ranges > MAX_RANGES and since_ms < before_ms:  # remember half as far back
            since_ms = (since_ms + before_ms + 1) // 2
            seen = await self.sequences_but(tp, since_ms, None)
        return seen

    async def sequences_but(self, tp: TP, since_ms: int, but: Span | None) -> Seen:
        """Those that are stored since then, but for those of these records."""
        topic = BY_NAME[tp.topic]
        if topic.name in NOTICE_TOPICS:  # our own notices have none
            return Seen(since_ms)
        ask = self._clickhouse.ids if topic is PANICS else self._clickhouse.ranges
        return Seen(since_ms, await ask(TABLE_OF[tp.topic].name, tp.partition, since_ms, but))


def knows(topic: Topic, records: Sequence[Record], unknown: str) -> Knows:
    """Whether a school is registered. It is asked about the schools that are the records' keys."""
    if not unknown or not _of_schools(topic):
        return lambda _: True
    return _keys(records).without(unknown).__contains__


def _of_schools(topic: Topic) -> bool:
    return topic.name not in NOTICE_TOPICS and topic is not REGISTRY


def _keys(records: Sequence[Record]) -> Keys:
    return Keys(key for key in {record.key for record in records} if not of_canary(key))
