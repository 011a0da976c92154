"""The embedded ClickHouse as clients see it: through clickhouse-driver and bare sockets."""

import asyncio
import re
import socket
import uuid
from collections.abc import AsyncIterator, Iterator
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio
from clickhouse_driver import Client
from clickhouse_driver.block import ColumnOrientedBlock
from clickhouse_driver.errors import Error, ServerException

from deploy.embedded.clickhouse import READER, READER_PASSWORD_NAME
from schemas.migrations import SQL, migrate
from tests.deploy.embedded.parts import Running, running

pytestmark = [pytest.mark.broker, pytest.mark.asyncio(loop_scope="module")]

UNKNOWN_TABLE, SYNTAX_ERROR, AUTHENTICATION_FAILED, ACCESS_DENIED = 60, 62, 516, 497
NOT_SEEN = 636  # merge() finds no table that it may read
ONCE = (
    "SETTINGS insert_deduplication_token = '{token}', async_insert = 0,"
    " deduplicate_blocks_in_dependent_materialized_views = 1"
)
CLIENTS = 8
DATABASE = "saqshy"  # the one whose published views the reader is granted


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def engine(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Running]:
    async with running(tmp_path_factory.mktemp("clickhouse"), {"clickhouse"}) as engine:
        client = connect(engine, database="default")
        client.execute(f"CREATE DATABASE {DATABASE}")
        client.disconnect()
        yield engine


def connect(engine: Running, **other: Any) -> Client:
    kwargs = engine.settings.clickhouse.driver_kwargs() | {"database": DATABASE} | other
    return Client(**kwargs)


@pytest.fixture
def client(engine: Running) -> Iterator[Client]:
    client = connect(engine)
    yield client
    client.disconnect()


@pytest.fixture
def table(client: Client) -> str:
    """A raw table of a number and bytes, of this test alone."""
    name = f"t_{uuid.uuid4().hex}"
    client.execute(f"CREATE TABLE {name} (n UInt64, s String) ENGINE = MergeTree ORDER BY n")
    return name


def count(client: Client, table: str) -> int:
    return int(client.execute(f"SELECT count() FROM {table}")[0][0])


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
    "login",
    [{"password": "wrong"}, {"password": ""}, {"user": "nobody"}, {"user": READER}],
    ids=["wrong", "none", "unknown user", "another's password"],
)
async def test_it_lets_nobody_in_without_the_password(
    engine: Running, login: dict[str, str]
) -> None:
    with pytest.raises(ServerException) as refused:
        connect(engine, **login).execute("SELECT 1")
    assert refused.value.code == AUTHENTICATION_FAILED


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


HUGE = b"\xff" * 9 + b"\x01"  # 2^64 - 1 as a varint
GARBAGE = {
    "nothing": b"",
    "http": b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n",
    "a huge name": b"\x00" + HUGE + b"x" * 4096,
    "an endless number": b"\xff" * 100_000,
    "noise": bytes(i * 7919 % 251 for i in range(100_000)),
    "a query before the hello": b"\x01\x00\x00",
}
AFTER_LOGIN = {
    "an unknown packet": b"\x7f" * 64,
    "a query of a huge id": b"\x01" + HUGE,
    "a block of huge counts": b"\x02\x00\x01\x00\x02\xff\xff\xff\xff\x00" + HUGE + HUGE,
    "noise": bytes(i * 104_729 % 253 for i in range(1, 50_000)),
}


@pytest.mark.parametrize("sent", GARBAGE.values(), ids=GARBAGE)
async def test_garbage_from_a_stranger_stops_nobody(
    engine: Running, client: Client, sent: bytes
) -> None:
    client.execute("SELECT 1")
    pid = engine.supervisor.pid("clickhouse")
    at = engine.settings.clickhouse
    with socket.create_connection((at.host, at.port), timeout=5) as stranger:
        send_what_is_taken(stranger, sent)
        assert client.execute("SELECT 1") == [(1,)]
    assert connect(engine).execute("SELECT 2") == [(2,)]
    assert engine.supervisor.pid("clickhouse") == pid


@pytest.mark.parametrize("sent", AFTER_LOGIN.values(), ids=AFTER_LOGIN)
async def test_garbage_from_a_client_that_logged_in_stops_nobody(
    engine: Running, client: Client, sent: bytes
) -> None:
    client.execute("SELECT 1")
    pid = engine.supervisor.pid("clickhouse")
    broken = connect(engine)
    broken.execute("SELECT 1")
    send_what_is_taken(broken.connection.socket, sent)
    assert client.execute("SELECT 1") == [(1,)]
    broken.disconnect()
    assert connect(engine).execute("SELECT 2") == [(2,)]
    assert engine.supervisor.pid("clickhouse") == pid


def send_what_is_taken(to: socket.socket, sent: bytes) -> None:
    with suppress(OSError):  # cut off amid it, as it may be
        to.sendall(sent)


@pytest.fixture
def reader(engine: Running) -> Iterator[Client]:
    password = (engine.var / "secrets" / READER_PASSWORD_NAME).read_text().strip()
    reader = connect(engine, user=READER, password=password)
    yield reader
    reader.disconnect()


async def test_the_reader_reads_what_is_published_and_no_table(
    client: Client, reader: Client, table: str
) -> None:
    client.execute(f"INSERT INTO {table} VALUES", [(1, "x")])
    client.execute(
        f"CREATE OR REPLACE VIEW published_{table} DEFINER = CURRENT_USER SQL SECURITY DEFINER "
        f"AS SELECT n FROM {table}"
    )
    assert reader.execute(f"SELECT n FROM published_{table}") == [(1,)]
    for tried in (
        f"SELECT n FROM {table}",
        f"SELECT n FROM published_{table} WHERE n IN (SELECT n FROM {table})",
        f"WITH (SELECT max(n) FROM {table}) AS most SELECT most",
        f"SELECT * FROM merge(currentDatabase(), '^{table}$')",
        f"DESCRIBE TABLE {table}",
        "SELECT * FROM url('http://127.0.0.1:1/', CSV, 'a String')",
    ):
        with pytest.raises(ServerException) as refused:
            reader.execute(tried)
        assert refused.value.code in (ACCESS_DENIED, UNKNOWN_TABLE, NOT_SEEN), tried
    assert reader.execute("SELECT name FROM system.tables WHERE name = %(t)s", {"t": table}) == []


@pytest.mark.parametrize(
    "statement", ["SET ROLE owner", "set /**/ Role ALL", "SET DEFAULT ROLE owner TO default"]
)
async def test_the_reader_takes_no_other_role(
    client: Client, reader: Client, table: str, statement: str
) -> None:
    with pytest.raises(ServerException):
        reader.execute(statement)
    with pytest.raises(ServerException) as refused:
        reader.execute(f"SELECT n FROM {table}")
    assert refused.value.code == ACCESS_DENIED


@pytest.mark.parametrize(
    "statement",
    [
        "INSERT INTO {table} SELECT 2, 'y'",
        "INSERT INTO {table} VALUES (2, 'y')",
        "TRUNCATE TABLE {table}",
        "DROP TABLE {table}",
        "ALTER TABLE {table} DELETE WHERE 1",
        "ALTER TABLE {table} ADD COLUMN m UInt8",
        "CREATE TABLE of_the_reader (n UInt8) ENGINE = Memory",
        "CREATE TEMPORARY TABLE of_the_reader (n UInt8)",
        "SET readonly = 0",
        "sEt/**/`readonly`=0",
        "OPTIMIZE TABLE {table} FINAL",
    ],
)
async def test_the_reader_changes_nothing(
    client: Client, reader: Client, table: str, statement: str
) -> None:
    client.execute(f"INSERT INTO {table} VALUES", [(1, "x")])
    with pytest.raises(ServerException):
        reader.execute(statement.format(table=table))
    assert client.execute(f"SELECT n, s FROM {table}") == [(1, "x")]


async def test_the_reader_sends_no_rows_and_gives_itself_no_rights(
    client: Client, reader: Client, table: str
) -> None:
    with pytest.raises(Error):
        reader.execute(f"INSERT INTO {table} VALUES", [(1, "x")])
    reader.disconnect()
    with pytest.raises(Error):
        reader.execute(
            f"INSERT INTO {table} SELECT 1, 'x'", settings={"readonly": 0, "allow_ddl": 1}
        )
    assert count(client, table) == 0


async def test_the_reader_ends_nobodys_query(
    engine: Running, client: Client, reader: Client
) -> None:
    query = "SELECT sum(sleepEachRow(0.01)) FROM numbers(100) SETTINGS max_block_size = 1"
    running = asyncio.create_task(asyncio.to_thread(client.execute, query))
    while not reader.execute(
        "SELECT count() FROM system.processes WHERE query LIKE '%sleepEach%'"
        " AND query NOT LIKE '%system.processes%'"
    )[0][0]:
        await asyncio.sleep(0.01)
    with pytest.raises(ServerException):
        reader.execute("KILL QUERY WHERE query LIKE '%sleepEachRow%'")
    assert await running == [(0,)]


FORBIDDEN = [
    "SELECT * FROM file('{secret}', 'LineAsString')",
    "SELECT * FROM FiLe/**/('{secret}', LineAsString)",
    "SELECT * FROM `file`('{secret}', 'LineAsString', 's String')",
    "SELECT * FROM \"file\"('{secret}', LineAsString)",
    "SELECT file('{secret}')",
    "SELECT -- a comment\n fIlE\n('{secret}')",
    "SELECT * FROM url('http://127.0.0.1:{port}/', LineAsString, 's String')",
    "SELECT * FROM URL/* */('http://127.0.0.1:{port}/', LineAsString, 's String')",
    "SELECT * FROM `url`('http://127.0.0.1:{port}/', LineAsString, 's String')",
    "SELECT * FROM s3('http://127.0.0.1:{port}/b/k', 'LineAsString', 's String')",
    "SELECT * FROM S3('http://127.0.0.1:{port}/b/k', NOSIGN, 'LineAsString', 's String')",
    "SELECT * FROM remote('127.0.0.1:{port}', system.one)",
    "SELECT * FROM /* a */ ReMoTe('127.0.0.1:{port}', 'system', 'one')",
    "SELECT * FROM remoteSecure('127.0.0.1:{port}', system.one)",
    "SELECT * FROM mysql('127.0.0.1:{port}', 'd', 't', 'u', 'p')",
    "SELECT * FROM postgresql('127.0.0.1:{port}', 'd', 't', 'u', 'p')",
    "SELECT * FROM executable('cat', LineAsString, 's String')",
    "SELECT * FROM Executable/**/('cat', LineAsString, 's String')",
    "SELECT * FROM cluster('default', system.one)",
    "SELECT 1 INTO OUTFILE '{target}'",
    "SELECT 1 iNtO/**/oUtFiLe '{target}' FORMAT TSV",
    "SELECT 1 INTO\n-- a comment\nOUTFILE '{target}' TRUNCATE FORMAT TSV",
    "INSERT INTO FUNCTION file('{target}', 'TSV', 'n UInt8') SELECT 1",
    "INSERT INTO TABLE FUNCTION url('http://127.0.0.1:{port}/', TSV, 'n UInt8') SELECT 1",
    "CREATE TABLE u (s String) ENGINE = URL('http://127.0.0.1:{port}/', LineAsString)",
    "CREATE TABLE u (s String) eNgInE=/**/`URL`('http://127.0.0.1:{port}/', LineAsString)",
    "CREATE TABLE u (s String) ENGINE = File(LineAsString, '{secret}')",
    "CREATE TABLE u (s String) ENGINE = `File`(LineAsString)",
    "CREATE DATABASE u ENGINE = Filesystem('/')",
    "CREATE DICTIONARY u (n UInt64) PRIMARY KEY n SOURCE(FILE(path '{secret}' format 'TSV'))"
    " LAYOUT(FLAT()) LIFETIME(0)",
    "CREATE FUNCTION u AS x -> x",
    "BACKUP TABLE system.one TO File('{target}')",
    "CREATE USER u",
]


@pytest.mark.parametrize("statement", FORBIDDEN)
async def test_nothing_reaches_files_programs_or_the_network(
    client: Client, tmp_path: Path, statement: str
) -> None:
    secret, target = tmp_path / "secret", tmp_path / "target"
    secret.write_text("a secret of this machine")
    with socket.create_server(("127.0.0.1", 0)) as other:
        other.settimeout(0)
        text = statement.format(secret=secret, target=target, port=other.getsockname()[1])
        with pytest.raises(ServerException) as refused:
            client.execute(text)
        assert "a secret of this machine" not in str(refused.value)
        with pytest.raises(BlockingIOError):  # nobody has called
            other.accept()
    assert not target.exists()
    assert client.execute("SELECT 1") == [(1,)]
