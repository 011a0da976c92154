"""chDB behind three verbs: run, stream, insert. Errors come as EngineError with ClickHouse's code."""

import re
import threading
from collections.abc import Iterator
from typing import Any

import chdb

QUERY_WAS_CANCELLED = 394
_ERROR = re.compile(r"Code: (\d+)\. ?(.*)", re.DOTALL)
_UNKNOWN_ERROR = 1001
_NOT_STREAMED = "Streaming query is not supported"


class EngineError(Exception):
    """The engine refused or failed a statement."""

    def __init__(self, code: int, message: str) -> None:
        super().__init__(message)
        self.code = code


class Connection:
    """One connection to the engine: one statement at a time. `name` finds its query to kill it."""

    def __init__(self, path: str, name: str) -> None:
        # The outer object must be kept: when it is collected, it frees what the inner one uses.
        self._outer = chdb.connect(path)
        self._chdb: Any = self._outer._conn
        self.name = name
        self.run(f"SET log_comment = {literal(name)}")

    def run(self, statement: str, output: str = "Native") -> bytes:
        """The whole result in the format `output`. Raises EngineError."""
        try:
            return bytes(self._chdb.query(statement, output).bytes())
        except RuntimeError as error:
            raise _engine_error(error) from None

    def stream(self, statement: str) -> Iterator[bytes]:
        """A SELECT's result, one block of FORMAT Native at a time. Raises EngineError.

        A statement that the engine cannot stream is run, and gives its blocks in one piece.
        """
        try:
            result = self._chdb.send_query(statement, "Native")
        except RuntimeError as error:
            if _NOT_STREAMED not in str(error):
                raise _engine_error(error) from None
            yield self.run(statement)
            return
        ended = False
        try:
            while True:
                part = self._chdb.streaming_fetch_result(result)
                if part is None or not part.rows_read():
                    break
                yield part.bytes()
            ended = True
        except RuntimeError as error:
            ended = True
            raise _engine_error(error) from None
        finally:
            if not ended:
                self._chdb.streaming_cancel_query(result)

    def insert(self, statement: str, rows: int) -> None:
        """Run an INSERT of this many rows: all of them, or none. Raises EngineError.

        `statement` names the file with the rows (see statements.Insert). They do not travel in its
        text, which chDB cuts at two newlines, nor through chDB's streaming insert, which says that
        all went well whatever the engine answered (ClickHouse/ClickHouse#5891 and
        chdb-io/chdb-core#98 are two ways to lose rows by that).
        """
        try:
            written = self._chdb.query(statement, "Native").rows_written()
        except RuntimeError as error:
            raise _engine_error(error) from None
        # Views count too, and so do rows that are not stored because their token was there already.
        if written < rows:
            raise EngineError(
                _UNKNOWN_ERROR, f"DB::Exception: the engine read {written} of {rows} rows"
            )

    def close(self) -> None:
        self._outer.close()


class Engine:
    """The engine of one data folder. It lives as long as its first connection."""

    def __init__(self, path: str) -> None:
        self._path = path
        self._own = Connection(path, "server")
        self._lock = threading.Lock()
        self._count = 0
        major, minor, patch = self._own.run("SELECT version()", "TSVRaw").decode().split(".")[:3]
        self.version = (int(major), int(minor), int(patch))

    def connect(self) -> Connection:
        with self._lock:
            self._count += 1
            return Connection(self._path, f"session-{self._count}")

    def kill(self, connection: Connection) -> None:
        """Ask the engine to end what this connection runs now, and come back at once."""
        with self._lock:
            self._own.run(
                f"KILL QUERY WHERE Settings['log_comment'] = {literal(connection.name)} ASYNC"
            )

    def close(self) -> None:
        self._own.close()


def literal(text: str) -> str:
    """A string as SQL."""
    return "'" + text.replace("\\", "\\\\").replace("'", "\\'") + "'"


def _engine_error(error: RuntimeError) -> EngineError:
    found = _ERROR.search(str(error))
    if found is None:
        return EngineError(_UNKNOWN_ERROR, str(error))
    return EngineError(int(found[1]), found[2])
