"""An insert that the engine failed is an error to the client, and is stored once when tried again.

ClickHouse/ClickHouse#5891, #8348, #24932 and chdb-io/chdb-core#98: what fails after the rows were read
must not be acknowledged. The raw table of these tests feeds two rollups, so that an insert can fail
before, between and after them. It has two partitions: ClickHouse stores an insert partition by partition and
table by table, so one that failed may have left a part of its rows, which its token keeps from being doubled.
"""

import asyncio
import threading
import uuid
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import pytest
from clickhouse_driver import Client
from clickhouse_driver.block import ColumnOrientedBlock
from clickhouse_driver.errors import ServerException
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.deploy.embedded.clients import UNKNOWN_TABLE, connect, count
from tests.deploy.embedded.parts import Running
from tests.deploy.embedded.trouble import TROUBLES, slow_view, trouble

pytestmark = [pytest.mark.broker, pytest.mark.asyncio(loop_scope="package")]

ROWS = [(n, "a\n\nb;\n\n--") for n in range(3)]
TOO_MANY_PARTS, TIMEOUT, MEMORY, CANCELLED, CANNOT_PARSE, WRONG_COLUMNS = 252, 159, 241, 394, 6, 10
SLOW_S = 0.95
"""A row; the engine lets nobody sleep for more than 3 s a block. A busy machine must see it at work."""
TABLES = ("{raw}", "{raw}_a", "{raw}_b")


@dataclass(frozen=True)
class Fed:
    """A raw table that feeds the sums `<raw>_a` and `<raw>_b`, by a client."""

    client: Client
    raw: str

    def insert(self, token: str, settings: str = "", client: Client | None = None) -> None:
        (client or self.client).execute(
            f"INSERT INTO {self.raw} (n, s) SETTINGS insert_deduplication_token = '{token}',"
            " async_insert = 0, deduplicate_blocks_in_dependent_materialized_views = 1"
            f"{settings} VALUES",
            ROWS,
        )

    def stored(self) -> list[int]:
        """Rows in each of the three tables."""
        counts = [count(self.client, self.raw)]
        for name in ("a", "b"):
            counts += self.client.execute(f"SELECT toUInt64(sum(c)) FROM {self.raw}_{name}")[0]
        return counts

    def fails(self, code: int, insert: Callable[[], None]) -> list[int]:
        """What is stored after an insert that raises `code`."""
        with pytest.raises(ServerException) as failed:
            insert()
        assert failed.value.code == code, failed.value.message
        assert self.client.execute("SELECT 1") == [(1,)]
        return self.stored()

    def stores_once(self, token: str) -> None:
        for _ in range(2):
            self.insert(token)
            assert self.stored() == [len(ROWS)] * 3


@pytest.fixture(scope="module")
def raw(engine: Running) -> str:
    """The raw table, its rollups and their views."""
    client, raw = connect(engine), "fed"
    window = "SETTINGS non_replicated_deduplication_window = 1000"
    client.execute(
        f"CREATE TABLE {raw} (n UInt64, s String) ENGINE = MergeTree"
        f" PARTITION BY n % 2 ORDER BY n {window}"
    )
    for name in (f"{raw}_a", f"{raw}_b"):
        client.execute(
            f"CREATE TABLE {name} (n UInt64, c UInt64) ENGINE = SummingMergeTree ORDER BY n {window}"
        )
        client.execute(
            f"CREATE MATERIALIZED VIEW {name}_feed TO {name} AS"
            f" SELECT n, count() AS c FROM {raw} GROUP BY n"
        )
    client.disconnect()
    return raw


@pytest.fixture
def fed(client: Client, raw: str) -> Fed:
    """The three tables, empty."""
    for table in TABLES:
        client.execute(f"TRUNCATE TABLE {table.format(raw=raw)}")
    return Fed(client, raw)


@pytest.fixture
def token() -> str:
    return uuid.uuid4().hex


@pytest.mark.parametrize("table", TABLES, ids=["raw", "first rollup", "second rollup"])
@pytest.mark.parametrize("name", TROUBLES)
async def test_a_table_that_refuses_fails_the_insert(
    fed: Fed, name: str, table: str, token: str
) -> None:
    with trouble(fed.client, table.format(raw=fed.raw), name):
        for _ in range(2):  # the second finds the first one's token, where it got so far
            stored = fed.fails(TROUBLES[name].code, lambda: fed.insert(token))
            if table == "{raw}" and name != "a view that throws":
                assert stored == [0, 0, 0]
    fed.stores_once(token)


@pytest.mark.parametrize(
    ("bound", "code"),
    [
        ("max_partitions_per_insert_block = 1", TOO_MANY_PARTS),
        ("max_memory_usage = 1000", MEMORY),
        ("max_execution_time = 0.1", TIMEOUT),
    ],
)
async def test_a_bound_of_the_query_fails_the_insert(
    fed: Fed, bound: str, code: int, token: str
) -> None:
    with slow_view(fed.client, fed.raw, 0.1):
        fed.fails(code, lambda: fed.insert(token, f", {bound}"))
    fed.stores_once(token)


async def test_more_than_a_hundred_partitions_fail_the_insert(client: Client, table: str) -> None:
    client.execute(
        f"CREATE TABLE {table}_p AS {table} ENGINE = MergeTree PARTITION BY n ORDER BY n"
    )
    with pytest.raises(ServerException) as failed:
        client.execute(f"INSERT INTO {table}_p VALUES", [(n, "") for n in range(101)])
    assert failed.value.code == TOO_MANY_PARTS
    assert count(client, f"{table}_p") == 0


async def test_a_killed_insert_is_an_error(engine: Running, fed: Fed, token: str) -> None:
    other = connect(engine)
    raised: list[int] = []

    def insert() -> None:
        try:
            fed.insert(token, client=other)
        except ServerException as error:
            raised.append(error.code)

    with slow_view(fed.client, fed.raw, SLOW_S):
        inserting = threading.Thread(target=insert)
        inserting.start()
        while running(fed.client, fed.raw) == 0:
            await asyncio.sleep(0.01)
        fed.client.execute(f"KILL QUERY WHERE query LIKE 'INSERT INTO {fed.raw}%' SYNC")
        inserting.join(120)
    assert raised == [CANCELLED]
    other.disconnect()
    fed.stores_once(token)


def running(client: Client, table: str) -> int:
    """Inserts into the table that the engine runs now."""
    asked = "SELECT count() FROM system.processes WHERE query LIKE %(begins)s"
    return int(client.execute(asked, {"begins": f"INSERT INTO {table}%"})[0][0])


async def test_an_engine_killed_amid_an_insert_is_an_error(
    engine: Running, client: Client, fed: Fed, token: str
) -> None:
    raised: list[BaseException] = []

    def insert() -> None:
        try:
            fed.insert(token, client=gone)
        except (OSError, EOFError) as error:
            raised.append(error)

    gone = connect(engine)
    name = f"{fed.raw}_slow"
    with pytest.raises((OSError, EOFError)), slow_view(client, fed.raw, SLOW_S):
        inserting = threading.Thread(target=insert)
        inserting.start()
        while running(client, fed.raw) == 0:
            await asyncio.sleep(0.01)
        client.disconnect()
        await engine.kill("clickhouse")
        inserting.join(120)
        raise EOFError  # the view is dropped below, by a client of the new engine
    assert len(raised) == 1
    again = connect(engine)
    again.execute(f"DROP TABLE IF EXISTS {name} SYNC")
    Fed(again, fed.raw).stores_once(token)
    again.disconnect()


async def test_a_rollup_that_is_gone_fails_the_insert(fed: Fed, token: str) -> None:
    made = fed.client.execute(f"SHOW CREATE TABLE {fed.raw}_b")[0][0]
    fed.client.execute(f"DROP TABLE {fed.raw}_b SYNC")
    with pytest.raises(ServerException) as failed:
        fed.insert(token)
    assert failed.value.code == UNKNOWN_TABLE
    fed.client.execute(made)
    fed.stores_once(token)


def begin(client: Client, table: str) -> list[tuple[str, str]]:
    """Begin an insert; the columns that the engine asks for."""
    client.connection.force_connect()
    client.connection.send_query(f"INSERT INTO {table} (n, s) VALUES")
    client.connection.send_external_tables([])
    columns: list[tuple[str, str]] = client.receive_sample_block().columns_with_types
    return columns


def end(client: Client, columns: list[tuple[str, str]], data: list[list[Any]]) -> None:
    client.connection.send_data(ColumnOrientedBlock(columns, data))
    client.connection.send_data(ColumnOrientedBlock())
    client.receive_end_of_query()


async def test_a_table_dropped_amid_an_insert_is_an_error(
    engine: Running, client: Client, table: str
) -> None:
    other = connect(engine)
    columns = begin(other, table)
    client.execute(f"DROP TABLE {table} SYNC")
    with pytest.raises(ServerException) as failed:
        end(other, columns, [[1], ["x"]])
    assert failed.value.code == UNKNOWN_TABLE
    other.disconnect()


async def test_a_value_that_cannot_be_cast_is_an_error(
    engine: Running, client: Client, table: str
) -> None:
    other = connect(engine)
    begin(other, table)
    with pytest.raises(ServerException) as failed:
        end(other, [("n", "String"), ("s", "String")], [["1", "many"], ["x", "x"]])
    assert failed.value.code == CANNOT_PARSE
    assert count(client, table) == 0
    other.disconnect()


@pytest.mark.parametrize(
    "columns", [[("n", "UInt64"), ("nowhere", "String")], [("n", "UInt64")]], ids=["other", "fewer"]
)
async def test_columns_of_another_table_are_an_error(
    engine: Running, client: Client, table: str, columns: list[tuple[str, str]]
) -> None:
    other = connect(engine)
    begin(other, table)
    with pytest.raises(ServerException) as failed:
        end(other, columns, [[1], ["x"]][: len(columns)])
    assert failed.value.code == WRONG_COLUMNS
    assert count(client, table) == 0
    other.disconnect()


async def test_a_block_without_rows_does_not_end_an_insert(
    engine: Running, client: Client, table: str
) -> None:
    other = connect(engine)
    columns = begin(other, table)
    other.connection.send_data(ColumnOrientedBlock(columns, [[], []]))
    end(other, columns, [[1], ["x"]])
    assert count(client, table) == 1
    other.disconnect()


@pytest.mark.parametrize("wait", [0, 1])
async def test_an_asynchronous_insert_that_fails_is_an_error(fed: Fed, wait: int) -> None:
    with trouble(fed.client, fed.raw, "too many parts"), pytest.raises(ServerException) as failed:
        fed.client.execute(
            f"INSERT INTO {fed.raw} (n, s)"
            f" SETTINGS async_insert = 1, wait_for_async_insert = {wait} VALUES",
            ROWS,
        )
    assert failed.value.code == TOO_MANY_PARTS


STEPS = st.lists(
    st.tuples(
        st.integers(0, 2),
        st.none() | st.tuples(st.sampled_from(sorted(TROUBLES)), st.sampled_from(TABLES)),
    ),
    min_size=1,
    max_size=5,
)


@settings(
    max_examples=8,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(steps=STEPS)
async def test_what_was_acknowledged_is_stored_once_whatever_failed(fed: Fed, steps: Any) -> None:
    """Tokens are tried with and without trouble: none is acknowledged without its rows, and in the end
    each that was ever tried is stored once in all three tables."""
    tokens = [uuid.uuid4().hex for _ in range(3)]
    before = fed.stored()[0]
    acknowledged: set[int] = set()
    for number, fault in steps:
        try:
            if fault is None:
                fed.insert(tokens[number])
            else:
                name, table = fault
                with trouble(fed.client, table.format(raw=fed.raw), name):
                    fed.insert(tokens[number])
            acknowledged.add(number)
        except ServerException as error:
            assert fault is not None and error.code == TROUBLES[fault[0]].code
        assert all(rows >= before + len(ROWS) * len(acknowledged) for rows in fed.stored())
    tried = {number for number, _ in steps}
    for number in tried:
        fed.insert(tokens[number])
    assert fed.stored() == [before + len(ROWS) * len(tried)] * 3
