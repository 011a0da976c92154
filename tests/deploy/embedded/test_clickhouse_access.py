"""Who gets into the embedded ClickHouse, what a reader may, and that garbage stops nobody."""

import asyncio
import socket
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest
from clickhouse_driver import Client
from clickhouse_driver.errors import Error, ServerException

from deploy.embedded.clickhouse import READER, READER_PASSWORD_NAME
from tests.deploy.embedded.clients import (
    ACCESS_DENIED,
    AUTHENTICATION_FAILED,
    NOT_SEEN,
    UNKNOWN_TABLE,
    connect,
    count,
)
from tests.deploy.embedded.parts import Running

pytestmark = [pytest.mark.broker, pytest.mark.asyncio(loop_scope="package")]


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
    with socket.create_connection((at.host, at.port), timeout=60) as stranger:
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
        if running.done():  # on a busy machine it is over before anybody has seen it
            running = asyncio.create_task(asyncio.to_thread(client.execute, query))
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
