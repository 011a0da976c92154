"""Blocks of columns in the native format: finding their end, and making empty ones.

A block carries no length. To cut a stream of blocks without decoding values, each column is
passed over by its type. Source of the layouts: ClickHouse's `src/DataTypes/Serializations/`.
"""

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import lru_cache

from deploy.embedded.clickhouse.codec import ProtocolError, Reader, string, varint

MAX_COLUMNS = 4096
MAX_BLOCK_ROWS = 1 << 24
MAX_TYPE_BYTES = 1 << 16
MAX_TYPE_DEPTH = 32


@dataclass(frozen=True)
class Layout:
    """How to pass over a column: once its prefix, then the values of so many rows."""

    prefix: Callable[[Reader], None]
    values: Callable[[Reader, int], None]

    def skip(self, reader: Reader, rows: int) -> None:
        if rows:  # a column without rows has no prefix either
            self.prefix(reader)
            self.values(reader, rows)


_WIDTH_BYTES = {
    **{f"{sign}Int{bits}": bits // 8 for sign in ("", "U") for bits in (8, 16, 32, 64, 128, 256)},
    **dict.fromkeys(("Bool", "Nothing", "Enum8"), 1),
    **dict.fromkeys(("Date", "Enum16", "BFloat16"), 2),
    **dict.fromkeys(("Float32", "Date32", "DateTime", "IPv4", "Time", "Decimal32"), 4),
    **dict.fromkeys(("Float64", "DateTime64", "Time64", "Decimal64"), 8),
    **dict.fromkeys(("UUID", "IPv6", "Decimal128"), 16),
    "Decimal256": 32,
}
_NAME = re.compile(r"\w+")
_NAMED_ELEMENT = re.compile(r"(?:\w+|`(?:[^`\\]|\\.)*`)\s+(?=[A-Z])")


@dataclass(frozen=True)
class Block:
    """One block: its columns' names and types, and all of it in FORMAT Native.

    One without columns ends a stream of blocks; one without rows does not.
    """

    columns: list[tuple[str, str]]
    rows: int
    native: bytes


def read_block(reader: Reader) -> Block:
    """One block after its packet type and table name. Raises ProtocolError."""
    while field := reader.varint():  # block info
        if field == 1:
            reader.skip(1)
        elif field == 2:
            reader.skip(4)
        else:
            raise ProtocolError(f"unknown field {field} of a block's info")
    return _read_native(reader)


def _read_native(reader: Reader) -> Block:
    start = reader.position
    count, rows = reader.varint(), reader.varint()
    if count > MAX_COLUMNS or rows > MAX_BLOCK_ROWS:
        raise ProtocolError(f"a block of {count} columns and {rows} rows is too large")
    columns = []
    for _ in range(count):
        name, kind = reader.string(MAX_TYPE_BYTES), reader.string(MAX_TYPE_BYTES)
        columns.append((name, kind))
        layout_of(kind).skip(reader, rows)
    return Block(columns, rows, bytes(memoryview(reader.buffer)[start : reader.position]))


def split(native: bytes) -> Iterator[Block]:
    """The blocks that FORMAT Native gave in one piece. Raises ProtocolError."""
    reader = Reader(lambda _: b"")
    reader.buffer += native
    reader.begin(len(native))
    while reader.position < len(native):
        yield _read_native(reader)


def empty_block(columns: list[tuple[str, str]]) -> bytes:
    """A block of no rows that tells names and types: before a result, or what to insert."""
    body = b"".join(string(name) + string(kind) for name, kind in columns)
    return varint(len(columns)) + varint(0) + body


@lru_cache(maxsize=1024)
def layout_of(kind: str, depth: int = 0) -> Layout:
    """How a column of this type lies in a block. Raises ProtocolError for types unknown here."""
    if depth > MAX_TYPE_DEPTH:
        raise ProtocolError("a type nested too deeply")
    head, inside = _parts(kind)
    if head == "String":
        return Layout(_nothing, Reader.skip_strings)
    if head in _WIDTH_BYTES:
        return _fixed(_WIDTH_BYTES[head])
    if head == "FixedString" and inside and inside[0].isdigit():
        return _fixed(int(inside[0]))
    if head == "Decimal" and inside and inside[0].isdigit():
        return _fixed(next(width for most, width in _DECIMALS if int(inside[0]) <= most))
    if head == "SimpleAggregateFunction" and len(inside) == 2:
        return layout_of(inside[1], depth + 1)
    if head == "LowCardinality" and len(inside) == 1:
        # The dictionary holds the bare type: its first key stands for NULL.
        outer, of = _parts(inside[0])
        return _dictionary(layout_of(of[0] if outer == "Nullable" else inside[0], depth + 1))
    if head == "Nullable" and len(inside) == 1:
        return _nullable(layout_of(inside[0], depth + 1))
    if head == "Array" and len(inside) == 1:
        return _array(layout_of(inside[0], depth + 1))
    if head in ("Tuple", "Map", "Nested") and inside:
        elements = [layout_of(_element_type(part), depth + 1) for part in inside]
        return _sequence(elements) if head == "Tuple" else _array(_sequence(elements))
    raise ProtocolError(f"columns of type {kind[:200]} are not served by the embedded engine")


_DECIMALS = ((9, 4), (18, 8), (38, 16), (1 << 62, 32))
_INDEX_BYTES = (1, 2, 4, 8)
_HAS_KEYS = 1 << 9


def _nothing(reader: Reader) -> None:
    pass


def _fixed(width_bytes: int) -> Layout:
    return Layout(_nothing, lambda reader, rows: reader.skip(rows * width_bytes))


def _nullable(inner: Layout) -> Layout:
    def values(reader: Reader, rows: int) -> None:
        reader.skip(rows)  # one byte a row: is it NULL
        inner.values(reader, rows)

    return Layout(inner.prefix, values)


def _array(inner: Layout) -> Layout:
    def values(reader: Reader, rows: int) -> None:
        if not rows:
            return
        reader.skip(8 * (rows - 1))
        total = reader.uint64()  # the last offset: how many elements there are in all
        if total > MAX_BLOCK_ROWS:
            raise ProtocolError(f"arrays of {total} elements in one block are too large")
        inner.values(reader, total)

    return Layout(inner.prefix, values)


def _sequence(elements: list[Layout]) -> Layout:
    def prefix(reader: Reader) -> None:
        for element in elements:
            element.prefix(reader)

    def values(reader: Reader, rows: int) -> None:
        for element in elements:
            element.values(reader, rows)

    return Layout(prefix, values)


def _dictionary(keys: Layout) -> Layout:
    """LowCardinality: a version, then granules of distinct keys and of indexes into them."""

    def prefix(reader: Reader) -> None:
        if reader.uint64() != 1:
            raise ProtocolError("an unknown version of LowCardinality")

    def values(reader: Reader, rows: int) -> None:
        while rows:
            flags = reader.uint64()
            width = flags & 0xFF
            if width >= len(_INDEX_BYTES) or not flags & _HAS_KEYS:
                raise ProtocolError("an unknown kind of LowCardinality")
            count = reader.uint64()
            if count > MAX_BLOCK_ROWS:
                raise ProtocolError(f"a dictionary of {count} keys is too large")
            keys.values(reader, count)
            granule = reader.uint64()
            if not 0 < granule <= rows:
                raise ProtocolError("a LowCardinality of another number of rows than its block")
            reader.skip(granule * _INDEX_BYTES[width])
            rows -= granule

    return Layout(prefix, values)


def _element_type(part: str) -> str:
    name = _NAMED_ELEMENT.match(part)
    return part[name.end() :] if name else part


def _parts(kind: str) -> tuple[str, list[str]]:
    """Split `Head(a, b)` into its head and its arguments, each with its own parentheses."""
    name = _NAME.match(kind)
    if name is None:
        raise ProtocolError(f"not a type: {kind[:200]!r}")
    head, rest = name.group(), kind[name.end() :].strip()
    if not rest:
        return head, []
    if not (rest.startswith("(") and rest.endswith(")")):
        raise ProtocolError(f"not a type: {kind[:200]!r}")
    arguments, depth, start, quote, escaped = [], 0, 1, "", False
    for position, character in enumerate(rest[1:-1], 1):
        if quote:
            if escaped:
                escaped = False
            elif character == "\\":
                escaped = True
            elif character == quote:
                quote = ""
        elif character in "'`":
            quote = character
        elif character == "(":
            depth += 1
        elif character == ")":
            depth -= 1
        elif character == "," and depth == 0:
            arguments.append(rest[start:position].strip())
            start = position + 1
    arguments.append(rest[start:-1].strip())
    return head, arguments
