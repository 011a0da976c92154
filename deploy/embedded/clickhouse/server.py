"""One thread per client, one engine connection per client: chDB runs one query at a time on each."""

import hmac
import re
import socket
import socketserver
import threading
from collections.abc import Callable, Iterable, Iterator
from typing import Any, Final

import chdb
import structlog

from deploy.embedded.clickhouse import wire
from deploy.embedded.clickhouse.refuse import refusal

log = structlog.get_logger(__name__)

IDLE_S: Final = 3600.0
SILENT_IN_INSERT_S: Final = 60.0
MAX_INSERT_BYTES: Final = 512 * 1024 * 1024

AUTHENTICATION_FAILED, UNKNOWN_DATABASE, ACCESS_DENIED, TOO_LARGE = 516, 81, 497, 396

_INSERT: Final = re.compile(
    r"\s*INSERT\s+INTO\s+(?:TABLE\s+)?(?P<table>[\w.`\"]+)\s*(?:\((?P<columns>[^()]*)\))?\s*"
    r"(?P<settings>SETTINGS\s+.*?)?\s*(?:VALUES|FORMAT\s+\w+)\s*;?\s*\Z",
    re.IGNORECASE | re.DOTALL,
)
_CODE: Final = re.compile(r"Code: (\d+)\. ?(?:DB::Exception: )?(.*)", re.DOTALL)
_STRIPPED: Final = re.compile(r"LowCardinality\(((?:[^()]|\([^()]*\))*)\)")
_SIMPLE: Final = re.compile(r"SimpleAggregateFunction\(\w+, (.*)\)\Z")


class Refused(Exception):
    def __init__(self, code: int, message: str) -> None:
        super().__init__(message)
        self.code = code


class Session:
    """One client, from hello to goodbye."""

    def __init__(self, connection: socket.socket, server: "Server") -> None:
        self._socket = connection
        self._in = wire.Reader(connection)
        self._server = server
        self._engine: Any = None
        self._reader_only = False

    def run(self) -> None:
        self._socket.settimeout(IDLE_S)
        try:
            if self._in.varint() != wire.HELLO:
                raise wire.Malformed("no hello")
            if not self._hello():
                return
            while True:
                self._packet()
        except (EOFError, OSError):
            pass
        except wire.Malformed as trouble:
            log.warning("a client doesn't speak the protocol", trouble=str(trouble))
        finally:
            if self._engine is not None:
                self._engine.close()

    def _hello(self) -> bool:
        self._in.text()
        for _ in range(3):
            self._in.varint()
        database, user, password = self._in.text(), self._in.text(), self._in.text()
        self._in.drop()
        expected = self._server.passwords.get(user or "default")
        if expected is None or not hmac.compare_digest(expected, password):
            self._fail(Refused(AUTHENTICATION_FAILED, f"{user}: Authentication failed"))
            return False
        self._reader_only = user == self._server.reader
        self._engine = chdb.connect(self._server.path)
        try:
            if database and database != "default":
                self._query(f"USE `{database.replace('`', '')}`")
            if self._reader_only:
                self._query("SET readonly = 1")
        except RuntimeError as trouble:
            self._fail(trouble)
            return False
        self._socket.sendall(wire.hello())
        return True

    def _packet(self) -> None:
        kind = self._in.varint()
        if kind == wire.PING:
            self._in.drop()
            self._socket.sendall(wire.varint(wire.S_PONG))
        elif kind == wire.QUERY:
            query, settings = self._read_query()
            try:
                self._answer(query, settings)
            except (Refused, RuntimeError) as trouble:
                self._fail(trouble)
        elif kind == wire.CANCEL:
            self._in.drop()
        elif kind == wire.DATA:
            self._in.block()
        else:
            raise wire.Malformed(f"packet {kind}")

    def _read_query(self) -> tuple[str, dict[str, str]]:
        read = self._in
        read.text()
        if read.byte() != 0:
            for _ in range(3):
                read.text()
            read.byte()
            for _ in range(3):
                read.text()
            for _ in range(3):
                read.varint()
            read.text()
            read.varint()
        settings = {}
        while name := read.text():
            read.byte()
            settings[name] = read.text()
        read.varint()
        if read.varint():
            raise wire.Malformed("compression; connect with compression=False")
        query = read.text()
        read.drop()
        if read.varint() != wire.DATA:
            raise wire.Malformed("no end of external tables")
        read.block()
        return query, settings

    def _answer(self, query: str, settings: dict[str, str]) -> None:
        reason = refusal(query)
        if reason is not None:
            raise Refused(ACCESS_DENIED, reason)
        insert = _INSERT.match(query)
        if insert is not None:
            self._insert(insert)
        elif _returns_rows(query):
            self._select(query, settings)
        else:
            self._query(query)
        self._socket.sendall(wire.varint(wire.S_END_OF_STREAM))

    def _select(self, query: str, settings: dict[str, str]) -> None:
        for name, value in settings.items():
            if re.fullmatch(r"\w+", name) and not self._reader_only:
                self._query(f"SET {name} = '{value}'")
        text = query.strip().rstrip(";")
        if _first_word(text) not in {"SELECT", "WITH"}:
            for columns, block in wire.blocks(self._query(text)):  # chDB streams SELECT alone
                self._send_header(columns)
                self._socket.sendall(wire.data(block))
            return
        # Clients learn names and types from a block without rows.
        self._send_header(_rows(self._query(f"DESCRIBE TABLE ({text}\n)", "TSVRaw")))
        for part in self._engine.send_query(text, "Native"):
            block = bytes(part.bytes())
            if block:
                self._socket.sendall(wire.data(block))

    def _send_header(self, columns: Iterable[tuple[str, str]]) -> None:
        described = [wire.text(name) + wire.text(kind) for name, kind in columns]
        count = wire.varint(len(described)) + wire.varint(0)
        self._socket.sendall(wire.data(count + b"".join(described)))

    def _insert(self, insert: re.Match[str]) -> None:
        if self._reader_only:
            raise Refused(ACCESS_DENIED, "this user only reads")
        table = insert["table"]
        types = {
            name: _plain(kind)
            for name, kind in _rows(self._query(f"DESCRIBE TABLE {table}", "TSVRaw"))
        }
        names = (
            [name.strip(' `"\n') for name in insert["columns"].split(",")]
            if insert["columns"]
            else list(types)
        )
        unknown = [name for name in names if name not in types]
        if unknown:
            raise Refused(16, f"No such column {unknown[0]} in table {table}")
        self._send_header((name, types[name]) for name in names)
        blocks, size = self._read_blocks()
        if size > MAX_INSERT_BYTES:
            raise Refused(TOO_LARGE, f"an insert of {size} bytes; send at most {MAX_INSERT_BYTES}")
        if blocks:
            columns = ", ".join(f"`{name}`" for name in names)
            settings = insert["settings"] or "SETTINGS async_insert=0"
            # Not inside the statement's text: chDB ends it at what looks like a comment in the data.
            inserter = self._engine.send_insert(
                f"INSERT INTO {table} ({columns}) {settings}", "Native"
            )
            for block in blocks:
                inserter.append(block)
            inserter.finish()

    def _read_blocks(self) -> tuple[list[bytes], int]:
        """All blocks up to the empty one. What is too large is read on, but not kept."""
        self._socket.settimeout(SILENT_IN_INSERT_S)
        blocks: list[bytes] = []
        size = 0
        try:
            while True:
                if self._in.varint() != wire.DATA:
                    raise wire.Malformed("no data after INSERT")
                columns, rows, block = self._in.block()
                if not columns and not rows:
                    return blocks, size
                size += len(block)
                if size <= MAX_INSERT_BYTES and rows:
                    blocks.append(block)
        finally:
            self._socket.settimeout(IDLE_S)

    def _query(self, query: str, output: str = "Native") -> bytes:
        return bytes(self._engine._conn.query(query, output).bytes())

    def _fail(self, trouble: Exception) -> None:
        code, message = 1001, str(trouble)
        if isinstance(trouble, Refused):
            code = trouble.code
        elif found := _CODE.search(message):
            code, message = int(found[1]), found[2]
        self._in.drop()
        self._socket.sendall(wire.exception(code, "DB::Exception", f"DB::Exception: {message}"))


def _returns_rows(query: str) -> bool:
    return _first_word(query) in {
        *("SELECT", "WITH", "SHOW", "DESCRIBE", "DESC", "EXISTS", "EXPLAIN", "CHECK"),
    }


def _first_word(query: str) -> str:
    bare = re.sub(r"\A(?:\s|--[^\n]*\n|/\*.*?\*/|\()*", "", query, flags=re.DOTALL)
    return bare.split(None, 1)[0].upper() if bare else ""


def _plain(kind: str) -> str:
    """A type as clients should send it: the engine casts back."""
    while (plain := _STRIPPED.sub(r"\1", kind)) != kind:
        kind = plain
    found = _SIMPLE.match(kind)
    return found[1] if found else kind


def _rows(tsv: bytes) -> Iterator[tuple[str, str]]:
    for line in tsv.decode().splitlines():
        name, kind, *_ = line.split("\t")
        yield name, kind


class _Handler(socketserver.BaseRequestHandler):
    server: "Server"

    def handle(self) -> None:
        self.request.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        Session(self.request, self.server).run()


class Server(socketserver.ThreadingTCPServer):
    """Serves the data folder at ``path``; ``passwords`` by user, ``reader`` may only read."""

    allow_reuse_address = True
    daemon_threads = True
    request_queue_size = 128

    def __init__(
        self, host: str, port: int, path: str, passwords: dict[str, str], reader: str
    ) -> None:
        super().__init__((host, port), _Handler)
        self.path = path
        self.passwords = passwords
        self.reader = reader
        self.first = chdb.connect(path)  # the engine lives as long as one connection does


def serve(server: Server, stopped: threading.Event, ready: Callable[[], None]) -> None:
    thread = threading.Thread(target=server.serve_forever, name="accept", daemon=True)
    thread.start()
    ready()
    stopped.wait()
    server.shutdown()
    server.first.close()
