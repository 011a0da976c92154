"""ClickHouse's native protocol, as much of it as clients need: reading and writing, no decisions.

Source: ClickHouse's src/Core/ProtocolDefines.h and clickhouse-driver's reader and writer. We announce
revision 54429, the first that sends settings as strings, so that every setting of a client gets through.
"""

import re
import socket
import struct
from collections.abc import Iterator
from typing import Final

REVISION: Final = 54_429

HELLO, QUERY, DATA, CANCEL, PING = 0, 1, 2, 3, 4
S_HELLO, S_DATA, S_EXCEPTION, S_PONG, S_END_OF_STREAM = 0, 1, 2, 4, 5

MAX_STRING_BYTES: Final = 64 * 1024 * 1024
MAX_COLUMNS: Final = 10_000
MAX_ROWS: Final = 10_000_000
BLOCK_INFO: Final = b"\x01\x00\x02\xff\xff\xff\xff\x00"

_SIZES: Final = {
    **dict.fromkeys(("Int8", "UInt8", "Bool", "Enum8"), 1),
    **dict.fromkeys(("Int16", "UInt16", "Date", "Enum16"), 2),
    **dict.fromkeys(("Int32", "UInt32", "Float32", "Date32", "DateTime", "IPv4", "Decimal32"), 4),
    **dict.fromkeys(("Int64", "UInt64", "Float64", "DateTime64", "Decimal64"), 8),
    **dict.fromkeys(("Int128", "UInt128", "UUID", "IPv6", "Decimal128"), 16),
    **dict.fromkeys(("Int256", "UInt256", "Decimal256"), 32),
}


class Malformed(Exception):
    """The peer doesn't speak the protocol, or speaks of impossible sizes."""


class Reader:
    """Buffered reads from a socket. Raises EOFError when the peer is gone, TimeoutError when silent."""

    def __init__(self, connection: socket.socket) -> None:
        self._connection = connection
        self.buffer = bytearray()
        self.at = 0

    def need(self, count: int) -> None:
        """Make so many bytes available after ``at``, which may already stand beyond the buffer."""
        while len(self.buffer) - self.at < count:
            chunk = self._connection.recv(max(65_536, min(count, 1 << 22)))
            if not chunk:
                raise EOFError
            self.buffer += chunk

    def drop(self) -> None:
        """Forget what was read."""
        del self.buffer[: self.at]
        self.at = 0

    def byte(self) -> int:
        self.need(1)
        self.at += 1
        return self.buffer[self.at - 1]

    def varint(self) -> int:
        value = shift = 0
        while True:
            byte = self.byte()
            value |= (byte & 0x7F) << shift
            if byte < 0x80:
                return value
            shift += 7
            if shift > 63:
                raise Malformed("a number of more than 64 bits")

    def skip(self, count: int) -> None:
        self.need(count)
        self.at += count

    def text(self) -> str:
        length = self.varint()
        if length > MAX_STRING_BYTES:
            raise Malformed(f"a string of {length} bytes")
        self.need(length)
        value = bytes(self.buffer[self.at : self.at + length]).decode(errors="replace")
        self.at += length
        return value

    def skip_strings(self, rows: int) -> None:
        """Over a String column; the loop is the hot part of every insert."""
        for _ in range(rows):
            try:
                length = self.buffer[self.at]
            except IndexError:
                self.need(1)
                length = self.buffer[self.at]
            if length < 0x80:
                self.at += 1 + length
            else:
                length = self.varint()
                if length > MAX_STRING_BYTES:
                    raise Malformed(f"a string of {length} bytes")
                self.skip(length)
        self.need(0)

    def skip_column(self, kind: str, rows: int) -> None:
        """Over the data of one column. Raises Malformed for a type that we can't measure."""
        name, inner = _parse(kind)
        if name == "String":
            self.skip_strings(rows)
        elif name == "FixedString":
            self.skip(int(inner) * rows)
        elif name == "Nullable":
            self.skip(rows)
            self.skip_column(inner, rows)
        elif name == "Array":
            self.need(8 * rows)
            total = (
                struct.unpack_from("<Q", self.buffer, self.at + 8 * (rows - 1))[0] if rows else 0
            )
            if total > MAX_ROWS * 100:
                raise Malformed(f"an array column of {total} items")
            self.skip(8 * rows)
            self.skip_column(inner, total)
        elif name == "Tuple":
            for part in _split(inner):
                self.skip_column(part, rows)
        elif name == "Map":
            self.skip_column(f"Array(Tuple({inner}))", rows)
        elif name == "Decimal":
            digits = int(inner.split(",")[0])
            size = 4 if digits <= 9 else 8 if digits <= 18 else 16 if digits <= 38 else 32
            self.skip(size * rows)
        elif name in _SIZES:
            self.skip(_SIZES[name] * rows)
        else:
            raise Malformed(f"a column of type {kind}")

    def block(self) -> tuple[int, int, bytes]:
        """(columns, rows, the block in Native format without its info)."""
        self.text()  # a temporary table's name
        while (field := self.varint()) != 0:
            self.skip({1: 1, 2: 4}.get(field, 0))
        start = self.at
        columns, rows = self.varint(), self.varint()
        if columns > MAX_COLUMNS or rows > MAX_ROWS:
            raise Malformed(f"a block of {columns} columns and {rows} rows")
        for _ in range(columns):
            self.text()
            self.skip_column(self.text(), rows)
        self.need(0)
        data = bytes(self.buffer[start : self.at])
        self.drop()
        return columns, rows, data


def blocks(native: bytes) -> Iterator[tuple[list[tuple[str, str]], bytes]]:
    """The blocks of FORMAT Native, each with the names and types of its columns."""
    here, there = socket.socketpair()
    there.close()
    with here:
        read = Reader(here)
        read.buffer += native
        while read.at < len(native):
            start = read.at
            count, rows = read.varint(), read.varint()
            columns = []
            for _ in range(count):
                name, kind = read.text(), read.text()
                read.skip_column(kind, rows)
                columns.append((name, kind))
            yield columns, native[start : read.at]


_KIND = re.compile(r"\s*(\w+)\s*(?:\((.*)\))?\s*\Z", re.DOTALL)


def _parse(kind: str) -> tuple[str, str]:
    found = _KIND.match(kind)
    if found is None:
        raise Malformed(f"a column of type {kind}")
    return found[1], found[2] or ""


def _split(inner: str) -> list[str]:
    """The types of a Tuple, which may be named."""
    parts, depth, start = [], 0, 0
    for at, character in enumerate(inner + ","):
        depth += {"(": 1, ")": -1}.get(character, 0)
        if character == "," and depth == 0:
            part = inner[start:at].strip()
            named = re.match(r"[`\w]+\s+(\w.*)\Z", part, re.DOTALL)
            parts.append(named[1] if named else part)
            start = at + 1
    return parts


def varint(value: int) -> bytes:
    out = bytearray()
    while value >= 0x80:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    out.append(value)
    return bytes(out)


def text(value: str) -> bytes:
    raw = value.encode()
    return varint(len(raw)) + raw


def hello() -> bytes:
    return (
        varint(S_HELLO)
        + text("ClickHouse")
        + varint(26)
        + varint(9)
        + varint(REVISION)
        + text("UTC")
        + text("saqshy-embedded")
        + varint(0)
    )


def data(block: bytes) -> bytes:
    return varint(S_DATA) + text("") + BLOCK_INFO + block


def exception(code: int, name: str, message: str) -> bytes:
    return (
        varint(S_EXCEPTION)
        + struct.pack("<i", code)
        + text(name)
        + text(message)
        + text("")
        + b"\x00"
    )
