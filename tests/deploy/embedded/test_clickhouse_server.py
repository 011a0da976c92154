"""What the server does around the engine: settings, cancelled queries, blocks, stops, owners."""

import socket
import stat
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path

import pytest
from clickhouse_driver import Client
from clickhouse_driver.errors import Error, NetworkError, ServerException

from deploy.embedded.clickhouse import PASSWORD_NAME, READER, READER_PASSWORD_NAME, codec
from deploy.embedded.ports import free_port
from deploy.embedded.secrets import secret, secret_path
from schemas.settings import ClickHouseSettings
from tests.deploy.embedded.processes import clickhouse, part

pytestmark = pytest.mark.broker

UNKNOWN_SETTING, READONLY = 115, 164
HEAVY = "SELECT count() FROM numbers(1000000000000) WHERE sipHash64(number) = 1"


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[ClickHouseSettings, Path]]:
    var = tmp_path_factory.mktemp("engine")
    with clickhouse(var, free_port()) as (settings, _):
        first = Client(**settings.driver_kwargs() | {"database": "default"})
        first.execute("CREATE DATABASE saqshy")
        first.disconnect()
        yield settings, var


@pytest.fixture
def client(place: tuple[ClickHouseSettings, Path]) -> Iterator[Client]:
    made = Client(**place[0].driver_kwargs())
    yield made
    made.disconnect()


def refused(run: Callable[[], object]) -> int:
    """The code of the refusal."""
    with pytest.raises(ServerException) as raised:
        run()
    return int(raised.value.code)


def until(condition: Callable[[], bool], within_s: float = 60.0) -> None:
    deadline = time.monotonic() + within_s
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.02)


def heavy_queries(client: Client) -> int:
    found = client.execute(
        "SELECT count() FROM system.processes WHERE query LIKE %(heavy)s", {"heavy": HEAVY + "%"}
    )
    return int(found[0][0])


def test_an_empty_result_tells_its_columns(client: Client) -> None:
    rows, columns = client.execute("SELECT 1 AS a, 'x' AS b WHERE 0", with_column_types=True)
    assert rows == []
    assert columns == [("a", "UInt8"), ("b", "String")]


def test_a_large_result_comes_whole(client: Client) -> None:
    (numbers,) = client.execute("SELECT number FROM numbers(300000)", columnar=True)
    assert list(numbers) == list(range(300_000))


def test_an_error_amid_a_result_is_an_error(client: Client) -> None:
    late = "SELECT throwIf(number = 199999) FROM numbers(200000)"
    assert refused(lambda: client.execute(late)) == 395
    assert client.execute("SELECT 1") == [(1,)]


def test_settings_hold_for_their_query_only(client: Client) -> None:
    asked = "SELECT getSetting('max_block_size')"
    before = client.execute(asked)
    assert client.execute(asked, settings={"max_block_size": 123}) == [(123,)]
    assert client.execute(asked) == before
    unknown = {"no_such": "1', max_threads = '1"}
    assert refused(lambda: client.execute("SELECT 1", settings=unknown)) == UNKNOWN_SETTING
    assert client.execute("SELECT getSetting('async_insert')") == [(False,)]


def test_a_token_among_the_drivers_settings_reaches_the_engine(client: Client) -> None:
    client.execute(
        "CREATE TABLE tokens (a UInt64) ENGINE = MergeTree ORDER BY a"
        " SETTINGS non_replicated_deduplication_window = 100"
    )
    for token in ("one", "one", "two"):
        token_setting = {"insert_deduplication_token": token}
        client.execute("INSERT INTO tokens VALUES", [(1,), (2,)], settings=token_setting)
    assert client.execute("SELECT count() FROM tokens") == [(4,)]


def test_many_blocks_are_one_insert(client: Client) -> None:
    client.execute("CREATE TABLE parts (a UInt64) ENGINE = MergeTree ORDER BY a")
    rows = ((n,) for n in range(1000))
    client.execute("INSERT INTO parts VALUES", rows, settings={"insert_block_size": 100})
    assert client.execute("SELECT count() FROM parts") == [(1000,)]
    made = "SELECT rows FROM system.parts WHERE table = 'parts'"
    assert client.execute(made) == [(1000,)]


def test_half_an_insert_stores_nothing(
    place: tuple[ClickHouseSettings, Path], client: Client
) -> None:
    client.execute("CREATE TABLE half (a UInt64) ENGINE = MergeTree ORDER BY a")
    broken = Client(**place[0].driver_kwargs())

    def rows() -> Iterator[tuple[int]]:
        yield from ((n,) for n in range(10))
        broken.connection.socket.shutdown(socket.SHUT_RDWR)
        yield (10,)

    with pytest.raises((NetworkError, OSError, EOFError)):
        broken.execute("INSERT INTO half VALUES", rows(), settings={"insert_block_size": 5})
    assert client.execute("SELECT count() FROM half") == [(0,)]


def test_a_cancelled_query_ends_in_the_engine_too(client: Client) -> None:
    client.execute_with_progress(HEAVY)
    client.cancel()
    until(lambda: heavy_queries(client) == 0)


def test_the_query_of_a_client_that_went_away_is_killed(
    place: tuple[ClickHouseSettings, Path], client: Client
) -> None:
    leaving = Client(**place[0].driver_kwargs())
    leaving.execute_with_progress(HEAVY)
    until(lambda: heavy_queries(client) == 1)
    leaving.disconnect()
    until(lambda: heavy_queries(client) == 0)


def test_clients_do_not_wait_for_one_that_is_busy(
    place: tuple[ClickHouseSettings, Path], client: Client
) -> None:
    busy = Client(**place[0].driver_kwargs())
    busy.execute_with_progress(HEAVY)
    until(lambda: heavy_queries(client) == 1)
    assert client.execute("SELECT 1") == [(1,)]
    busy.disconnect()


def test_the_reader_ends_and_stops_nothing(place: tuple[ClickHouseSettings, Path]) -> None:
    settings, var = place
    password = secret(var, READER_PASSWORD_NAME)
    reader = Client(**settings.driver_kwargs() | {"user": READER, "password": password})
    for statement in (
        "KILL QUERY WHERE 1",
        "/**/ kIlL QUERY WHERE 1",
        "SYSTEM STOP MERGES",
        "SYSTEM FLUSH LOGS",
        "OPTIMIZE TABLE parts",
        "(KILL QUERY WHERE 1)",
        "",
    ):
        assert refused(lambda statement=statement: reader.execute(statement)) == READONLY
    assert reader.execute("(SELECT 1)") == [(1,)]
    reader.disconnect()


def test_passwords_are_in_files_of_their_owner_only(
    place: tuple[ClickHouseSettings, Path],
) -> None:
    for name in (PASSWORD_NAME, READER_PASSWORD_NAME):
        assert stat.S_IMODE(secret_path(place[1], name).stat().st_mode) == 0o600


@pytest.mark.parametrize(
    "sent", [b"GET / HTTP/1.1\r\n\r\n", b"\x00" + codec.varint(1 << 60), b"", bytes(range(256))]
)
def test_a_stranger_is_cut_off(place: tuple[ClickHouseSettings, Path], sent: bytes) -> None:
    with socket.create_connection(("127.0.0.1", place[0].port), timeout=60) as stranger:
        stranger.sendall(sent)
        stranger.shutdown(socket.SHUT_WR)
        while stranger.recv(4096):
            pass


def test_a_second_owner_of_the_data_is_refused(
    place: tuple[ClickHouseSettings, Path], capfd: pytest.CaptureFixture[str]
) -> None:
    with part("deploy.embedded.clickhouse", place[1], free_port()) as second:
        assert second.wait(90) != 0
    assert "Another process has" in capfd.readouterr().err


def test_a_stop_lets_a_running_query_end(tmp_path: Path) -> None:
    with clickhouse(tmp_path, free_port()) as (settings, process):
        kwargs = settings.driver_kwargs() | {"database": "default"}
        asked = "SELECT sleep(1.5)"
        answers: list[object] = []

        def ask() -> None:
            """Until it is cut off. On a busy machine a query is over before another one has seen it."""
            with suppress(Error, OSError, EOFError):
                while True:
                    answers.extend(Client(**kwargs).execute(asked))

        asking = threading.Thread(target=ask)
        asking.start()
        watch = Client(**kwargs)
        running = f"SELECT count() FROM system.processes WHERE query = '{asked}'"
        before = 0

        def is_seen() -> bool:
            nonlocal before
            before = len(answers)
            return bool(watch.execute(running) == [(1,)])

        until(is_seen)
        process.terminate()
        assert process.wait(60) == 0
        asking.join(60)
        assert len(answers) > before and set(answers) == {(0,)}
