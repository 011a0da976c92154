"""ClickHouse as the store needs it: inserts under a token, and what was stored before.

Blocking calls of clickhouse-driver run in threads, each on a client that nobody else has meanwhile.
"""

import asyncio
from collections.abc import AsyncIterator, Iterable, Sequence
from contextlib import asynccontextmanager
from typing import Any, Final

import numpy as np
import structlog
from clickhouse_driver import Client
from clickhouse_driver.columns.exceptions import ColumnException
from clickhouse_driver.columns.service import column_by_type
from clickhouse_driver.columns.uuidcolumn import UUIDColumn
from clickhouse_driver.errors import (
    CannotParseUuidError,
    ErrorCodes,
    LogicalError,
    ServerException,
    TooLargeStringSize,
    TypeMismatchError,
)
from clickhouse_driver.errors import Error as DriverError

from schemas.settings import ClickHouseSettings
from streams.store.mark import Span
from streams.store.rows import Columns, Table
from streams.store.start import Lost

log = structlog.get_logger(__name__)

Place = tuple[int, int]
"""A record of one partition: its offset, and Kafka's time of it in ms. An offset alone would do if no
topic were ever made anew and no log's end ever went back."""

LONGEST_PAUSE_S: Final = 5.0
BUCKETS_PER_STATEMENT: Final = 500

TROUBLE: Final = (DriverError, OSError, EOFError)
"""ClickHouse is away, busy or restarting: try again."""

_POISON_CODES: Final = frozenset(
    {
        ErrorCodes.CANNOT_PARSE_TEXT,
        ErrorCodes.NO_SUCH_COLUMN_IN_TABLE,
        ErrorCodes.CANNOT_READ_ALL_DATA,
        ErrorCodes.UNKNOWN_IDENTIFIER,
        ErrorCodes.TYPE_MISMATCH,
        ErrorCodes.CANNOT_CONVERT_TYPE,
        ErrorCodes.INCORRECT_DATA,
        ErrorCodes.SYNTAX_ERROR,
    }
)


_UNWRITABLE: Final = (
    *(ColumnException, CannotParseUuidError, LogicalError, TooLargeStringSize, TypeMismatchError),
    *(ValueError, TypeError, AttributeError),
)


class Poisoned(Exception):
    """ClickHouse will never take this: what we send and its tables don't agree."""


class _HexUuidColumn(UUIDColumn):  # type: ignore[misc]
    """Packs all ids at once (0.1 us each); the driver makes a UUID of each text (1 us)."""

    def _write_data(self, items: Sequence[Any], buf: Any) -> None:
        try:
            raw = bytes.fromhex("".join(items).replace("-", ""))
        except (TypeError, ValueError):
            raw = b""
        if len(raw) != 16 * len(items):  # not all of them plain texts
            super()._write_data(items, buf)
            return
        buf.write(np.frombuffer(raw, dtype=">u8").astype("<u8").tobytes())


column_by_type["UUID"] = _HexUuidColumn  # the driver has no other way to choose a column's class


class ClickHouse:
    """A pool of clients. Every method waits, with growing pauses, as long as ClickHouse is away."""

    def __init__(self, settings: ClickHouseSettings) -> None:
        self._settings = settings
        self._free: list[Client] = []

    @asynccontextmanager
    async def _client(self) -> AsyncIterator[Client]:
        client = self._free.pop() if self._free else Client(**self._settings.driver_kwargs())
        try:
            yield client
        except BaseException:
            client.disconnect()  # its stream may hold half an answer
            raise
        self._free.append(client)

    async def execute(self, query: str, *arguments: Any, **more: Any) -> Any:
        """One attempt. Raises Poisoned, and any of TROUBLE."""
        async with self._client() as client:
            try:
                return await asyncio.to_thread(client.execute, query, *arguments, **more)
            except ServerException as error:
                if error.code in _POISON_CODES:
                    raise Poisoned(f"{query[:200]}: {error.message[:500]}") from error
                raise
            except _UNWRITABLE as error:
                raise Poisoned(f"{query[:200]}: {error!r}") from error

    async def ask(self, query: str) -> Any:
        """Execute, again and again until ClickHouse answers. Raises Poisoned."""
        pause_s = 0.1
        while True:
            try:
                return await self.execute(query)
            except TROUBLE as trouble:
                log.warning(
                    "clickhouse doesn't answer", trouble=str(trouble)[:300], again_s=pause_s
                )
            await asyncio.sleep(pause_s)
            pause_s = min(LONGEST_PAUSE_S, pause_s * 2)

    async def insert(self, table: str, names: Sequence[str], columns: Columns, token: str) -> None:
        """One attempt to insert the columns as one block under a deduplication token.

        The settings stand in the statement: clickhouse-driver drops those that it doesn't know for the
        server's revision. Raises Poisoned, and any of TROUBLE.
        """
        await self.execute(
            f"INSERT INTO {table} ({', '.join(names)}) SETTINGS "
            f"insert_deduplication_token='{token}', async_insert=0, "
            "deduplicate_blocks_in_dependent_materialized_views=1 VALUES",
            # Fresh lists for every attempt: the driver converts them in place.
            [list(column) for column in columns],
            columnar=True,
        )

    async def newest_ms(self, table: str, topic: str, partition: int, since_ms: int) -> int:
        """Kafka's time of the newest row or dead letter at or after ``since_ms``; -1 without one."""
        newest = 0
        for source in _sources(table, topic):
            [(at_ms,)] = await self.ask(
                f"SELECT if(count() = 0, -1, toUnixTimestamp64Milli(max(kafka_time))) {source} "
                f"AND kafka_partition = {partition} AND {_since(since_ms)}"
            )
            newest = max(newest, at_ms + 1)
        return newest - 1

    async def newest(self, table: str, topic: str, partition: int) -> Place | None:
        """The row or dead letter of the latest Kafka's time."""
        found = [
            (at_ms, offset)
            for source in _sources(table, topic)
            for count, at_ms, offset in await self.ask(
                "SELECT count(), toUnixTimestamp64Milli(max((kafka_time, kafka_offset)).1), "
                f"max((kafka_time, kafka_offset)).2 {source} AND kafka_partition = {partition}"
            )
            if count
        ]
        if not found:
            return None
        at_ms, offset = max(found)
        return offset, at_ms

    async def there(
        self, table: str, topic: str, partition: int, first: int, last: int, since_ms: int
    ) -> tuple[set[Place], set[Place]]:
        """Which records of these offsets are rows, and which are dead letters.

        ``since_ms``: none of them has an earlier Kafka's time. It spares ClickHouse the other days.
        """
        rows, letters = [
            {
                (offset, at_ms)
                for offset, at_ms in await self.ask(
                    f"SELECT DISTINCT kafka_offset, toUnixTimestamp64Milli(kafka_time) {source} "
                    f"AND kafka_partition = {partition} AND {_since(since_ms)} "
                    f"AND kafka_offset BETWEEN {first} AND {last}"
                )
            }
            for source in _sources(table, topic)
        ]
        return rows, letters

    async def ranges(
        self, table: str, partition: int, since_ms: int, but: Span | None
    ) -> list[tuple[str, str, int, int, int]]:
        """(school, device, boot, first, last): stored sequences as ranges (gaps and islands).

        ``but``: not those of these records.
        """
        rows: list[tuple[str, str, int, int, int]] = await self.ask(
            "SELECT school, device, boot, min(seq), max(seq) FROM ("  # noqa: S608
            "SELECT school, device, boot, seq, toInt64(seq) - "
            "toInt64(row_number() OVER (PARTITION BY school, device, boot ORDER BY seq)) AS island "
            f"FROM (SELECT DISTINCT school, device, boot, seq FROM {table} WHERE "
            f"kafka_partition = {partition} AND {_since(since_ms)}{_but(but)})"
            ") GROUP BY school, device, boot, island"
        )
        return rows

    async def ids(
        self, table: str, partition: int, since_ms: int, but: Span | None
    ) -> list[tuple[str, str, int, int, int]]:
        """As ``ranges``, for a topic whose duplicates are told by event id."""
        rows = await self.ask(
            f"SELECT school, toString(id) FROM {table} WHERE kafka_partition = {partition} "  # noqa: S608
            f"AND {_since(since_ms)}{_but(but)}"
        )
        return [(school, id_, 0, 0, 0) for school, id_ in rows]

    async def note_loss(
        self, topic: str, partition: int, lost: Lost, records: int, now_ms: int
    ) -> None:
        """Write it down until it is. The same loss, found again, replaces what was written."""
        last = "NULL" if lost.last is None else str(lost.last)
        await self.ask(
            "INSERT INTO losses (topic, kafka_partition, topic_id, first_offset, last_offset, "
            f"records, why, found) SELECT '{topic}', {partition}, '{lost.topic_id}', {lost.first}, "
            f"{last}, {records}, '{lost.why}', fromUnixTimestamp64Milli(toInt64({now_ms}), 'UTC')"
        )

    async def rebuild_rollups(self, table: Table, partition: int, first: int, last: int) -> None:
        """Make the buckets that these offsets touch anew from the raw table. Bears repetition.

        Only for a block that is half there and can't be repeated under its token: the views may have
        seen a part of it. A school's rows come through its one partition, so nobody else adds to these
        buckets meanwhile. Buckets from before what the raw table keeps stay as they are: it could not
        fill them again.
        """
        for rollup in table.rollups:
            size_s = {"1m": 60, "5m": 300, "1h": 3600}[rollup.rsplit("_", 1)[1]]
            buckets = await self.ask(
                f"SELECT DISTINCT school, intDiv(toUnixTimestamp(time), {size_s}) * {size_s} "  # noqa: S608
                f"FROM {table.name} WHERE kafka_partition = {partition} "
                f"AND kafka_offset BETWEEN {first} AND {last} "
                f"AND time >= now() - INTERVAL {table.kept_days} DAY + INTERVAL 1 HOUR"
            )
            [(select,)] = await self.ask(
                "SELECT as_select FROM system.tables WHERE database = currentDatabase() "  # noqa: S608
                f"AND name = '{rollup}_feed'"
            )
            for some in slices(buckets, BUCKETS_PER_STATEMENT):
                touched = ", ".join(f"('{name}', toDateTime({at}, 'UTC'))" for name, at in some)
                await self.ask(
                    f"ALTER TABLE {rollup} DELETE WHERE (school, bucket) IN ({touched}) "
                    "SETTINGS mutations_sync = 1"
                )
                await self.ask(
                    f"INSERT INTO {rollup} SELECT * FROM ({select}) "  # noqa: S608
                    f"WHERE (school, bucket) IN ({touched}) SETTINGS insert_deduplicate = 0"
                )


def _sources(table: str, topic: str) -> tuple[str, str]:
    """Where a topic's rows are, and where its dead letters."""
    return f"FROM {table} WHERE 1", f"FROM dead_letters WHERE topic = '{topic}'"


def _since(ms: int) -> str:
    return f"kafka_time >= fromUnixTimestamp64Milli(toInt64({ms}), 'UTC')"


def _but(span: Span | None) -> str:
    if span is None:
        return ""
    offsets = f"kafka_offset BETWEEN {span.first} AND {span.last}"
    return f" AND NOT ({offsets} AND {_since(span.first_ms)})"


def slices(items: Sequence[Any], size: int) -> Iterable[Sequence[Any]]:
    """Like itertools.batched, which came with Python 3.12."""
    return (items[at : at + size] for at in range(0, len(items), size))
