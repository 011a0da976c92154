"""The embedded ClickHouse keeps what clients give it: each block once, each value as it went."""

import asyncio
import re
import socket
import uuid
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

import pytest
from clickhouse_driver import Client
from clickhouse_driver.block import ColumnOrientedBlock
from clickhouse_driver.errors import ServerException

from schemas.migrations import SQL, migrate
from tests.deploy.embedded.clients import SYNTAX_ERROR, UNKNOWN_TABLE, connect, count
from tests.deploy.embedded.parts import Running

pytestmark = [pytest.mark.broker, pytest.mark.asyncio(loop_scope="package")]

ONCE = (
    "SETTINGS insert_deduplication_token = '{token}', async_insert = 0,"
    " deduplicate_blocks_in_dependent_materialized_views = 1"
)
CLIENTS = 8


@pytest.fixture
def fed(client: Client) -> str:
    """A raw table ``<name>`` and its rollup ``<name>_sum``, fed by a materialized view."""
    name = f"f_{uuid.uuid4().hex}"
    window = "SETTINGS non_replicated_deduplication_window = 100"
    for statement in (
        f"CREATE TABLE {name} (k UInt8, n UInt64) ENGINE = MergeTree ORDER BY k {window}",
        f"CREATE TABLE {name}_sum (k UInt8, n UInt64) ENGINE = SummingMergeTree ORDER BY k {window}",
        f"CREATE MATERIALIZED VIEW {name}_feed TO {name}_sum AS"
        f" SELECT k, sum(n) AS n FROM {name} GROUP BY k",
    ):
        client.execute(statement)
    return name


def insert_once(client: Client, table: str, token: str) -> None:
    client.execute(
        f"INSERT INTO {table} (k, n) {ONCE.format(token=token)} VALUES", [(1, 10), (1, 20), (2, 5)]
    )


def held(client: Client, table: str) -> tuple[int, list[tuple[int, int]]]:
    """Raw rows, and the rollup's sums."""
    sums = client.execute(f"SELECT k, sum(n) FROM {table}_sum GROUP BY k ORDER BY k")
    return count(client, table), sums


async def test_it_holds_a_block_once_that_was_inserted_twice(client: Client, fed: str) -> None:
    insert_once(client, fed, "a")
    insert_once(client, fed, "a")
    assert held(client, fed) == (3, [(1, 30), (2, 5)])


async def test_it_holds_equal_rows_of_two_tokens_twice(client: Client, fed: str) -> None:
    insert_once(client, fed, "a")
    insert_once(client, fed, "b")
    assert held(client, fed) == (6, [(1, 60), (2, 10)])


async def test_it_knows_the_block_again_after_it_was_killed(
    engine: Running, client: Client, fed: str
) -> None:
    insert_once(client, fed, "a")
    client.disconnect()
    await engine.kill("clickhouse")
    again = connect(engine)
    assert held(again, fed) == (3, [(1, 30), (2, 5)])
    insert_once(again, fed, "a")
    assert held(again, fed) == (3, [(1, 30), (2, 5)])
    insert_once(again, fed, "b")
    assert held(again, fed) == (6, [(1, 60), (2, 10)])
    again.disconnect()


@pytest.mark.parametrize(
    "text",
    [
        "a\n\nb",
        "\n\n",
        ";",
        "-- not a comment",
        "/* nor this",
        "'\"`",
        "\\'",
        "\x00",
        "Қ\u2028",
        "",
    ],
)
async def test_it_keeps_text_that_looks_like_sql(client: Client, table: str, text: str) -> None:
    client.execute(f"INSERT INTO {table} VALUES", [(1, text), (2, f"{text};\n\n--{text}")])
    rows = client.execute(f"SELECT n, s FROM {table} ORDER BY n")
    assert rows == [(1, text), (2, f"{text};\n\n--{text}")]


async def test_it_keeps_numbers_that_are_line_ends_on_the_wire(client: Client) -> None:
    client.execute("CREATE TABLE tens (n UInt8) ENGINE = MergeTree ORDER BY tuple()")
    client.execute("INSERT INTO tens VALUES", [(10,), (10,), (59,), (45,), (45,), (10,), (10,)])
    assert [n for (n,) in client.execute("SELECT n FROM tens")] == [10, 10, 59, 45, 45, 10, 10]


TABLES = re.findall(
    r"^CREATE TABLE IF NOT EXISTS (\w+)",
    "\n".join(path.read_text(encoding="utf-8") for path in sorted(SQL.glob("*.sql"))),
    re.MULTILINE,
)
NOW = datetime.now(UTC).replace(microsecond=123_000)
WRAPPED = re.compile(r"(?:LowCardinality|SimpleAggregateFunction)\((?:\w+, )?(.+)\)")
VALUES: dict[str, Any] = {
    "String": "Мектеп;\n\n--'",
    "Bool": True,
    "Float64": -71.430_411,
    "UUID": uuid.UUID("01890a5d-ac96-774b-bcce-b302099a8057"),
    "Date": NOW.date(),
    "Date32": NOW.date(),
    "DateTime('UTC')": NOW.replace(microsecond=0),
    "DateTime64(3, 'UTC')": NOW,
}


def value_of(kind: str, null: bool) -> Any:
    """A value that is hard for its ClickHouse type."""
    if wrapped := WRAPPED.fullmatch(kind):
        return value_of(wrapped[1], null)
    if kind.startswith("Nullable("):
        return None if null else value_of(kind[9:-1], null)
    if kind.startswith("Array("):
        return [] if null else [value_of(kind[6:-1], null)] * 2
    if kind.startswith("FixedString("):
        return "x" * int(kind[12:-1])
    if kind.startswith("Enum"):
        return re.findall(r"'(\w+)' = ", kind)[-1]
    if number := re.fullmatch(r"(U?)Int(\d+)", kind):
        bits = int(number[2])
        return 2**bits - 1 if number[1] else -(2 ** (bits - 1))
    return VALUES[kind]


@pytest.fixture(scope="module")
def migrated(engine: Running) -> Iterator[Client]:
    migrate(engine.settings.clickhouse)
    client = Client(**engine.settings.clickhouse.driver_kwargs())
    yield client
    client.disconnect()


@pytest.mark.parametrize("null", [False, True], ids=["full", "empty"])
@pytest.mark.parametrize("table", TABLES)
async def test_a_row_of_each_table_comes_back_as_it_went(
    migrated: Client, table: str, null: bool
) -> None:
    columns = migrated.execute(
        "SELECT name, type FROM system.columns WHERE database = 'saqshy' AND table = %(table)s"
        " AND default_kind NOT IN ('MATERIALIZED', 'ALIAS') ORDER BY position",
        {"table": table},
    )
    assert columns
    row = tuple(value_of(kind, null) for _, kind in columns)
    names = ", ".join(name for name, _ in columns)
    migrated.execute(f"TRUNCATE TABLE {table}")
    migrated.execute(f"INSERT INTO {table} ({names}) VALUES", [row])
    [found] = migrated.execute(f"SELECT {names} FROM {table}")
    assert tuple(map(in_utc, found)) == row


def in_utc(value: Any) -> Any:
    """The column's zone is UTC everywhere; whether the driver is told so is another test's."""
    return value.replace(tzinfo=UTC) if isinstance(value, datetime) else value


@pytest.mark.xfail(
    strict=True, reason="the embedded engine names the column DateTime, a server DateTime('UTC')"
)
async def test_seconds_say_their_zone_as_those_of_a_server_do(client: Client) -> None:
    [(found,)] = client.execute("SELECT toDateTime(0, 'UTC')")
    assert found == datetime(1970, 1, 1, tzinfo=UTC)


@pytest.mark.parametrize(
    ("statement", "code"),
    [
        ("SELECT * FROM no_such_table", UNKNOWN_TABLE),
        ("INSERT INTO no_such_table (n) SELECT 1", UNKNOWN_TABLE),
        ("SELEC 1", SYNTAX_ERROR),
        ("SELECT (1", SYNTAX_ERROR),
    ],
)
async def test_an_error_comes_with_its_code_and_the_connection_stays(
    client: Client, statement: str, code: int
) -> None:
    with pytest.raises(ServerException) as failed:
        client.execute(statement)
    assert failed.value.code == code
    assert client.execute("SELECT 1") == [(1,)]


async def test_rows_for_a_table_that_is_not_there_are_an_error_with_its_code(
    client: Client,
) -> None:
    with pytest.raises(ServerException) as failed:
        client.execute("INSERT INTO no_such_table (n) VALUES", [(1,)])
    assert failed.value.code == UNKNOWN_TABLE


async def test_it_serves_eight_clients_at_once(engine: Running, client: Client, table: str) -> None:
    def work(number: int) -> int:
        own = connect(engine)
        for _ in range(10):
            own.execute(f"INSERT INTO {table} VALUES", [(number, "x")] * 50)
        found = own.execute(f"SELECT count() FROM {table} WHERE n = %(n)s", {"n": number})
        own.disconnect()
        return int(found[0][0])

    async with asyncio.timeout(60):
        found = await asyncio.gather(*(asyncio.to_thread(work, n) for n in range(CLIENTS)))
    assert found == [500] * CLIENTS
    assert count(client, table) == 500 * CLIENTS


def begin_insert(client: Client, table: str) -> ColumnOrientedBlock:
    """Up to where the rows are to be sent; returns a block of them."""
    client.connection.force_connect()
    client.connection.send_query(f"INSERT INTO {table} VALUES")
    client.connection.send_external_tables([])
    sample = client.receive_sample_block()
    return ColumnOrientedBlock(sample.columns_with_types, [[7] * 1000, ["half"] * 1000])


@pytest.mark.parametrize("torn", [False, True], ids=["between blocks", "inside a block"])
async def test_a_client_that_vanishes_amid_an_insert_leaves_nothing(
    engine: Running, client: Client, table: str, torn: bool
) -> None:
    gone = connect(engine)
    gone.connection.send_data(begin_insert(gone, table))
    if torn:
        gone.connection.socket.sendall(b"\x02\x00\x01\x00\x02\xff\xff\xff\xff\x00\x02\x05\x01n")
    gone.connection.socket.shutdown(socket.SHUT_RDWR)
    gone.disconnect()
    for _ in range(20):
        assert count(client, table) == 0
        await asyncio.sleep(0.05)
    client.execute(f"INSERT INTO {table} VALUES", [(1, "whole")])
    assert client.execute(f"SELECT n, s FROM {table}") == [(1, "whole")]
