"""ClickHouse as the store needs it: inserts under a token, and what was stored before.

Blocking calls of clickhouse-driver run in threads, each on a client that nobody else has meanwhile.
"""

import asyncio
from collections.abc import AsyncIterator, Iterable, Sequence
from contextlib import asynccontextmanager
from typing import Any, Final

import structlog
from clickhouse_driver import Client
from clickhouse_driver.errors import Error as DriverError

from schemas.settings import ClickHouseSettings
from streams.store.rows import Row, Table

log = structlog.get_logger(__name__)

LONGEST_PAUSE_S: Final = 5.0
BUCKETS_PER_STATEMENT: Final = 500


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
        """One attempt. Raises clickhouse_driver's Error, OSError or EOFError."""
        async with self._client() as client:
            return await asyncio.to_thread(client.execute, query, *arguments, **more)

    async def ask(self, query: str) -> Any:
        """Execute, again and again until ClickHouse answers."""
        pause_s = 0.1
        while True:
            try:
                return await self.execute(query)
            except (DriverError, OSError, EOFError) as trouble:
                log.warning(
                    "clickhouse doesn't answer", trouble=str(trouble)[:300], again_s=pause_s
                )
            await asyncio.sleep(pause_s)
            pause_s = min(LONGEST_PAUSE_S, pause_s * 2)

    async def insert(
        self, table: str, columns: Sequence[str], rows: Sequence[Row], token: str
    ) -> None:
        """One attempt to insert the rows as one block under a deduplication token.

        The settings stand in the statement: clickhouse-driver drops those that it doesn't know for the
        server's revision. Raises clickhouse_driver's Error, OSError or EOFError.
        """
        await self.execute(
            f"INSERT INTO {table} ({', '.join(columns)}) SETTINGS "
            f"insert_deduplication_token='{token}', async_insert=0, "
            "deduplicate_blocks_in_dependent_materialized_views=1 VALUES",
            # Fresh lists for every attempt: the driver converts them in place.
            [list(column) for column in zip(*rows, strict=True)],
            columnar=True,
        )

    async def first_offset_since(self, table: str, partition: int, since_ms: int) -> int | None:
        """The smallest stored offset with Kafka's time at or after ``since_ms``."""
        [(count, offset)] = await self.ask(
            f"SELECT count(), min(kafka_offset) FROM {table} "  # noqa: S608
            f"WHERE kafka_partition = {partition} "
            f"AND kafka_time >= fromUnixTimestamp64Milli(toInt64({since_ms}), 'UTC')"
        )
        return offset if count else None

    async def ranges(
        self, table: str, partition: int, since: int, before: int
    ) -> list[tuple[str, str, int, int, int]]:
        """(school, device, boot, first, last): stored sequences as ranges (gaps and islands)."""
        rows: list[tuple[str, str, int, int, int]] = await self.ask(
            "SELECT school, device, boot, min(seq), max(seq) FROM ("  # noqa: S608
            "SELECT school, device, boot, seq, toInt64(seq) - "
            "toInt64(row_number() OVER (PARTITION BY school, device, boot ORDER BY seq)) AS island "
            f"FROM (SELECT DISTINCT school, device, boot, seq FROM {table} WHERE "
            f"kafka_partition = {partition} AND kafka_offset >= {since} AND kafka_offset < {before})"
            ") GROUP BY school, device, boot, island"
        )
        return rows

    async def ids(
        self, table: str, partition: int, since: int, before: int
    ) -> list[tuple[str, str, int, int, int]]:
        """As ``ranges``, for a topic whose duplicates are told by event id."""
        rows = await self.ask(
            f"SELECT school, toString(id) FROM {table} WHERE kafka_partition = {partition} "  # noqa: S608
            f"AND kafka_offset >= {since} AND kafka_offset < {before}"
        )
        return [(school, id_, 0, 0, 0) for school, id_ in rows]

    async def offsets_there(
        self, table: str, where: str, partition: int, first: int, last: int
    ) -> set[int]:
        rows = await self.ask(
            f"SELECT DISTINCT kafka_offset FROM {table} WHERE {where} kafka_partition = {partition} "  # noqa: S608
            f"AND kafka_offset BETWEEN {first} AND {last}"
        )
        return {offset for (offset,) in rows}

    async def rebuild_rollups(self, table: Table, rows: Iterable[Row]) -> None:
        """Make the buckets that these rows touch anew from the raw table. Bears repetition.

        Only when the decision version changed between an insert and its repetition: the views may
        then have seen a part of the block.
        """
        school, time = table.all_columns.index("school"), table.all_columns.index("time")
        for rollup in table.rollups:
            size_s = {"1m": 60, "5m": 300, "1h": 3600}[rollup.rsplit("_", 1)[1]]
            buckets = sorted({(row[school], row[time] // 1000 // size_s * size_s) for row in rows})
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


def slices(items: Sequence[Any], size: int) -> Iterable[Sequence[Any]]:
    """Like itertools.batched, which came with Python 3.12."""
    return (items[at : at + size] for at in range(0, len(items), size))
