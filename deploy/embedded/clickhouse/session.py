"""One client, from its hello to its end: what it sends is read, checked, run and answered."""

import hmac
import json
import re
import select
import socket
import threading
from collections.abc import Callable, Iterable
from concurrent.futures import Future, ThreadPoolExecutor
from concurrent.futures import TimeoutError as NotYet
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, TypeVar

import structlog

from deploy.embedded.clickhouse import codec, statements
from deploy.embedded.clickhouse.blocks import (
    Block,
    empty_block,
    layout_of,
    read_block,
    split,
)
from deploy.embedded.clickhouse.codec import ClientPacket, ProtocolError, Reader
from deploy.embedded.clickhouse.config import PUT_OFF_OWNER
from deploy.embedded.clickhouse.engine import (
    QUERY_WAS_CANCELLED,
    Connection,
    Engine,
    EngineError,
    literal,
)
from deploy.embedded.clickhouse.spool import InsertMemory, Spool

log = structlog.get_logger(__name__)

READONLY, ACCESS_DENIED, AUTHENTICATION_FAILED, UNKNOWN_DATABASE = 164, 497, 516, 81
UNEXPECTED_PACKET, WRONG_COLUMNS, NOT_IMPLEMENTED = 101, 10, 48

PACKET_BYTES = codec.MAX_QUERY_BYTES + (1 << 20)
OUR_SETTINGS = frozenset({"log_comment", "readonly"})
# The engine's readonly mode lets KILL and SYSTEM through, and SET ROLE would take the owner's rights back.
READER_STATEMENTS = frozenset(
    ("select", "with", "from", "show", "describe", "desc", "exists", "explain", "use", "set")
)
_SETTING = re.compile(r"[A-Za-z_]\w{0,127}")
_WATCH_EVERY_S = 0.1

T = TypeVar("T")


@dataclass(frozen=True)
class Login:
    """A user that may log in; a `reader` may only read, and the published views alone."""

    password: str
    reader: bool = False


@dataclass(frozen=True)
class Bounds:
    """What one client may take."""

    hello_s: float = 10.0
    silence_s: float = 60.0
    """Within a packet or between the blocks of an insert; an idle client may stay."""
    insert_bytes: int = 256 << 20
    all_inserts_bytes: int = 1 << 30
    """Of all clients together, waiting to be inserted."""


class Cancelled(Exception):
    """The client asked to end the query that runs."""


class Session:
    """One client's connection. `run` serves it to its end, in a thread of its own."""

    def __init__(
        self,
        client: socket.socket,
        engine: Engine,
        logins: dict[str, Login],
        memory: InsertMemory,
        bounds: Bounds,
    ) -> None:
        self._client = client
        self._engine = engine
        self._logins = logins
        self._memory = memory
        self._bounds = bounds
        self._reader = Reader(client.recv)
        self._revision = 0
        self._connection: Connection | None = None
        self._read_only = False
        self._stopping = threading.Event()
        self._idle = threading.Lock()
        # chDB blocks its caller; the socket is watched meanwhile for a client that goes away.
        self._worker = ThreadPoolExecutor(1, thread_name_prefix="engine")

    def run(self) -> None:
        try:
            if self._greet():
                while self._serve_packet():
                    pass
        except (codec.Disconnected, OSError):
            pass  # gone, or silent for too long: nobody to tell
        except ProtocolError as error:
            log.warning("a client broke the protocol", reason=str(error))
            with suppress(OSError):  # the connection ends anyway
                self._client.sendall(codec.exception(UNEXPECTED_PACKET, str(error)))
        except Exception:
            # A fault of ours: the client is cut off, and the others go on.
            log.exception("a session failed")
        finally:
            self._worker.shutdown(wait=True)
            if self._connection is not None:
                self._connection.close()
            self._client.close()

    def stop(self) -> None:
        """End the session: at once when it is idle, else after the query that runs."""
        self._stopping.set()
        if self._idle.acquire(blocking=False):
            self.cut()
            self._idle.release()

    def cut(self) -> None:
        """Close the client's connection whatever goes on."""
        with suppress(OSError):  # closed already
            self._client.shutdown(socket.SHUT_RDWR)

    def _greet(self) -> bool:
        self._client.settimeout(self._bounds.hello_s)
        self._reader.begin(8 * codec.MAX_HELLO_STRING_BYTES)
        hello = codec.read_hello(self._reader)
        self._revision = hello.revision
        login = self._logins.get(hello.user)
        expected = login.password if login else ""
        same = hmac.compare_digest(expected.encode(), hello.password.encode())
        if login is None or not same:
            self._client.sendall(
                codec.exception(
                    AUTHENTICATION_FAILED,
                    f"{hello.user}: Authentication failed: password is incorrect, or there is no "
                    "user with such name.",
                )
            )
            return False
        try:
            self._connection = self._open(hello.database, login.reader)
        except EngineError as error:
            self._client.sendall(codec.exception(error.code, str(error)))
            return False
        self._client.sendall(codec.hello("ClickHouse", self._engine.version, self._revision))
        return True

    def _open(self, database: str, reader: bool) -> Connection:
        connection = self._engine.connect()
        try:
            if "`" in database or "\\" in database:
                raise EngineError(UNKNOWN_DATABASE, f"Database {database} does not exist")
            if database and database != "default":
                connection.run(f"USE `{database}`")
            if reader:
                connection.run("SET readonly = 1")
                connection.run(PUT_OFF_OWNER)
        except EngineError:
            connection.close()
            raise
        self._read_only = reader
        return connection

    def _serve_packet(self) -> bool:
        """Answer one packet of a client; False when the session is to end."""
        self._client.settimeout(None)
        self._reader.begin(PACKET_BYTES)
        self._reader.need(1)
        if not self._idle.acquire(blocking=False):
            return False  # being stopped just now
        try:
            self._client.settimeout(self._bounds.silence_s)
            packet = self._reader.varint()
            if packet == ClientPacket.PING:
                self._client.sendall(codec.PONG)
            elif packet == ClientPacket.QUERY:
                self._serve_query()
            elif packet == ClientPacket.DATA:
                self._read_data()  # of a query that failed before it was read
            elif packet != ClientPacket.CANCEL:  # nothing runs any more
                raise ProtocolError(f"an unknown packet ({packet})")
        finally:
            self._idle.release()
        return not self._stopping.is_set()

    def _serve_query(self) -> None:
        query = codec.read_query(self._reader, self._revision)
        if self._reader.varint() != ClientPacket.DATA or self._read_data().columns:
            raise ProtocolError("external tables are not served here")
        if query.compressed:
            raise ProtocolError("compression is not served here: connect with compression=False")
        try:
            self._answer(query)
        except Cancelled:
            pass  # as a real server: what was sent stands, and the stream ends
        except statements.StatementRefused as error:
            self._client.sendall(codec.exception(ACCESS_DENIED, f"DB::Exception: {error}"))
            return
        except EngineError as error:
            self._client.sendall(codec.exception(error.code, str(error)))
            return
        self._client.sendall(codec.END_OF_STREAM)

    def _answer(self, query: codec.Query) -> None:
        found = statements.tokens(query.text)
        statements.check(found)
        first = next((token.name for token in found if token.text != "("), "")
        if self._read_only and (first not in READER_STATEMENTS or statements.sets_role(found)):
            raise EngineError(READONLY, "DB::Exception: this user may only read (READONLY)")
        insert = statements.client_insert(query.text, found)
        text = statements.without_format(query.text, found).rstrip().rstrip(";")
        with self._settings(query.settings):
            if insert is not None:
                self._insert(insert)
            elif first in ("select", "with", "from"):
                self._select(text)
            else:
                self._send_blocks(self._run(text))

    def _settings(self, settings: dict[str, str]) -> "_Settings":
        wanted = {}
        for name, value in settings.items():
            if not _SETTING.fullmatch(name):
                raise EngineError(115, f"Unknown setting {name!r}")
            if name not in OUR_SETTINGS:
                wanted[name] = value
        return _Settings(self._run, wanted)

    def _select(self, text: str) -> None:
        assert self._connection is not None
        parts = iter(self._connection.stream(text))
        first = True
        while True:
            try:
                part = self._watched(lambda: next(parts, b""))
            except BaseException:
                self._worker.submit(lambda: getattr(parts, "close", lambda: None)())
                raise
            if not part:
                break
            if first:
                self._send_blocks(part)
            else:
                self._client.sendall(codec.DATA_HEAD + part)
            first = False
        if first:
            with suppress(EngineError):  # it ran; what cannot be described has no columns
                self._send_header(self._describe(f"({text}\n)"))

    def _send_blocks(self, native: bytes) -> None:
        """Send one or more blocks, the first after one without rows: drivers learn the names
        and types of columns from that."""
        try:
            blocks = list(split(native))
        except ProtocolError as error:
            raise EngineError(NOT_IMPLEMENTED, f"DB::Exception: {error}") from None
        for block in blocks:
            self._send_header(block.columns)
            self._client.sendall(codec.DATA_HEAD + block.native)

    def _send_header(self, columns: Iterable[tuple[str, str]]) -> None:
        self._client.sendall(codec.DATA_HEAD + empty_block(list(columns)))

    def _describe(self, what: str) -> list[tuple[str, str]]:
        lines = self._run(f"DESCRIBE {what}", "JSONCompactEachRow").splitlines()
        return [(name, kind) for name, kind, *_ in map(json.loads, lines)]

    def _insert(self, insert: statements.Insert) -> None:
        # Through a SELECT, so that columns that cannot be inserted are left out of "*".
        columns = self._describe(f"(SELECT {insert.columns} FROM {insert.table})")  # noqa: S608
        try:
            for _, kind in columns:
                layout_of(kind)
        except ProtocolError as error:
            raise EngineError(NOT_IMPLEMENTED, f"DB::Exception: {error}") from None
        self._send_header(columns)
        with Spool(self._memory, self._bounds.insert_bytes) as spool:
            self._receive(spool, [name for name, _ in columns])
            if spool.rows:
                connection, statement = self._connection, insert.from_file(spool.path)
                assert connection is not None
                # Not watched: the client sent all of it, and half an insert helps nobody.
                self._worker.submit(lambda: connection.insert(statement, spool.rows)).result()

    def _receive(self, spool: Spool, names: list[str]) -> None:
        """Take the blocks of an insert up to the one that ends it."""
        refused: EngineError | None = None
        while True:
            if self._reader.varint() != ClientPacket.DATA:
                raise ProtocolError("an INSERT that goes on with something else than data")
            block = self._read_data()
            if not block.columns:
                break
            if refused:  # read on, so that the client hears the reason
                continue
            try:
                if [name for name, _ in block.columns] != names:
                    raise EngineError(WRONG_COLUMNS, f"DB::Exception: these are not {names}")
                spool.add(block)
            except EngineError as error:
                spool.clear()
                refused = error
        if refused:
            raise refused

    def _read_data(self) -> Block:
        """A data packet after its type."""
        self._reader.begin(self._bounds.insert_bytes + PACKET_BYTES)
        self._reader.string(codec.MAX_HELLO_STRING_BYTES)  # the name of an external table
        block = read_block(self._reader)
        self._reader.begin(self._bounds.insert_bytes + PACKET_BYTES)
        return block

    def _run(self, statement: str, output: str = "Native") -> bytes:
        connection = self._connection
        assert connection is not None
        return self._watched(lambda: connection.run(statement, output))

    def _watched(self, work: Callable[[], T]) -> T:
        """Do `work` in the engine's thread. When the client cancels or goes away meanwhile, the
        engine's query is killed. Raises Cancelled, Disconnected, and what `work` raises."""
        future: Future[T] = self._worker.submit(work)
        ended: Exception | None = None
        while True:
            try:
                value = future.result(timeout=_WATCH_EVERY_S)
            except NotYet:
                if future.done():
                    raise
                if ended is None:
                    ended = self._client_ended()
                if ended is not None and self._connection is not None:
                    self._engine.kill(self._connection)
            except EngineError as error:
                if ended is not None and error.code == QUERY_WAS_CANCELLED:
                    raise ended from None
                raise
            else:
                if ended is not None:
                    raise ended
                return value

    def _client_ended(self) -> Exception | None:
        if not self._reader.unread() and not select.select([self._client], [], [], 0)[0]:
            return None
        try:
            cancelled = self._reader.byte() == ClientPacket.CANCEL
        except (codec.Disconnected, OSError) as gone:
            return gone
        return Cancelled() if cancelled else ProtocolError("a packet while a query runs")


class _Settings:
    """The settings of one query: set before it, back to the engine's own after it."""

    def __init__(self, run: Callable[[str], bytes], settings: dict[str, str]) -> None:
        self._run = run
        self._settings = settings

    def __enter__(self) -> None:
        if self._settings:
            words = (f"{name} = {literal(value)}" for name, value in self._settings.items())
            self._run("SET " + ", ".join(words))

    def __exit__(self, kind: object, error: object, trace: Any) -> None:
        if self._settings and not isinstance(error, (OSError, codec.Disconnected)):
            self._run("SET " + ", ".join(f"{name} = DEFAULT" for name in self._settings))
