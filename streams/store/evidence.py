"""Look up what tells which log a commit was of, where the commit does not tell it itself."""

from faust.types import TP

from streams.store.around import Log
from streams.store.clickhouse import ClickHouse
from streams.store.mark import Mark, kafka_ms
from streams.store.rows import TABLE_OF
from streams.store.start import Evidence, needs_last, needs_stored
from streams.transport import LogState


async def evidence(
    consumer: Log, clickhouse: ClickHouse, tp: TP, offset: int | None, mark: Mark, state: LogState
) -> Evidence:
    """Raises RangeUnavailable, and aiokafka's KafkaError."""
    last_ms = stored = here = None
    if offset is not None and needs_last(offset, mark, state):
        last_ms = await _time_at(consumer, tp, offset - 1)
    if needs_stored(offset, mark):
        newest = await clickhouse.newest(TABLE_OF[tp.topic].name, tp.topic, tp.partition)
        if newest is not None:
            stored, at_ms = newest
            if state.begin <= stored < state.end:
                found_ms = await _time_at(consumer, tp, stored)
                here = found_ms is None or kafka_ms(found_ms) == at_ms
            elif stored >= state.end:
                here = False
    return Evidence(last_ms, stored, here)


async def _time_at(consumer: Log, tp: TP, offset: int) -> int | None:
    """Kafka's time of a record, None if it was compacted away."""
    records = await consumer.read_range(tp, offset, offset)
    return records[0].timestamp if records else None
