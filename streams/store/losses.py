"""What Kafka has deleted before we stored it: counted, written down, said."""

from collections.abc import Callable, MutableMapping

import structlog
from faust.types import TP

from streams.store.clickhouse import ClickHouse
from streams.store.mark import Span
from streams.store.rows import TABLE_OF
from streams.store.start import Lost

log = structlog.get_logger(__name__)


class Losses:
    """``counts`` gets ``lost_total``: at least so many records of this process's partitions."""

    def __init__(
        self, clickhouse: ClickHouse, counts: MutableMapping[str, float], now_ms: Callable[[], int]
    ) -> None:
        self._clickhouse = clickhouse
        self._counts = counts
        self._now_ms = now_ms
        counts["lost_total"] = 0

    async def note(self, tp: TP, lost: Lost, known: Span | None = None) -> None:
        """Returns when ClickHouse has it: before the offsets are committed. Found again, it replaces
        what was written. ``known``: records that were read, of those whose end nobody knows."""
        last = known.last if lost.last is None and known is not None else lost.last
        records = 0
        if last is not None and last >= lost.first:
            span = (tp.partition, lost.first, last, lost.since_ms)
            rows, letters = await self._clickhouse.there(TABLE_OF[tp.topic].name, tp.topic, *span)
            records = last - lost.first + 1 - len({offset for offset, _ in rows | letters})
        if not records and lost.last is not None:
            return  # they are stored
        await self._clickhouse.note_loss(tp.topic, tp.partition, lost, records, self._now_ms())
        self._counts["lost_total"] += max(records, 1)
        log.error(
            "records are lost: Kafka deleted them before they were stored",
            topic=tp.topic,
            partition=tp.partition,
            why=lost.why,
            first_offset=lost.first,
            last_offset=lost.last,
            records=records,
        )
