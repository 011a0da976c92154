"""Blocks as clickhouse-driver writes them: each is passed over to its very end."""

from types import SimpleNamespace
from typing import Any

import pytest
from clickhouse_driver.block import ColumnOrientedBlock
from clickhouse_driver.bufferedwriter import BufferedSocketWriter
from clickhouse_driver.context import Context
from clickhouse_driver.streams.native import BlockOutputStream
from hypothesis import given
from hypothesis import strategies as st

from deploy.embedded.clickhouse.blocks import empty_block, layout_of, read_block, split
from deploy.embedded.clickhouse.codec import (
    BLOCK_INFO,
    REVISION,
    Disconnected,
    ProtocolError,
    Reader,
)
from tests.deploy.embedded.feed import feed

text = st.text(st.characters(codec="utf-8"), max_size=200)
LEAVES: dict[str, st.SearchStrategy[Any]] = {
    "String": text,
    "UInt8": st.integers(0, 255),
    "Int64": st.integers(-(1 << 63), (1 << 63) - 1),
    "UInt128": st.integers(0, (1 << 128) - 1),
    "Float64": st.floats(allow_nan=False),
    "Bool": st.booleans(),
    "UUID": st.uuids(),
    "FixedString(5)": st.text("abc", min_size=5, max_size=5),
    "Enum8('a' = 1)": st.just("a"),
}


def nested(children: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    """Types with a strategy of their values: as deep and as empty as the driver can write."""
    return st.one_of(
        children.map(lambda t: (f"Array({t[0]})", st.lists(t[1], min_size=1, max_size=3))),
        st.lists(children, min_size=1, max_size=3).map(
            lambda ts: (f"Tuple({', '.join(t[0] for t in ts)})", st.tuples(*(t[1] for t in ts)))
        ),
    )


flat = st.one_of(
    st.sampled_from([*LEAVES.items()]),
    st.sampled_from([*LEAVES.items()]).map(lambda t: (f"Nullable({t[0]})", t[1] | st.none())),
    st.sampled_from(
        [
            ("LowCardinality(String)", text),
            ("LowCardinality(Nullable(String))", text | st.none()),
            ("LowCardinality(UInt8)", st.integers(0, 255)),
        ]
    ),
)
maps = st.sampled_from([*LEAVES.items()]).map(
    lambda t: (f"Map(String, {t[0]})", st.dictionaries(text, t[1], max_size=2))
)
empty_arrays = flat.map(lambda t: (f"Array({t[0]})", st.lists(t[1], max_size=2)))
columns = st.recursive(flat, nested, max_leaves=4) | maps | empty_arrays


def written(types: list[str], values: list[list[Any]]) -> bytes:
    sent: list[bytes] = []
    out = BufferedSocketWriter(SimpleNamespace(sendall=sent.append), 1 << 16)
    context = Context()
    context.server_info = SimpleNamespace(used_revision=REVISION)
    context.settings = {}
    context.client_settings = dict.fromkeys(
        ("strings_as_bytes", "use_numpy", "input_format_null_as_default"), False
    ) | {"strings_encoding": "utf-8", "opentelemetry_traceparent": None}
    block = ColumnOrientedBlock([(f"c{n}", kind) for n, kind in enumerate(types)], values)
    BlockOutputStream(out, context).write(block)
    return b"".join(bytes(part) for part in sent)


@given(st.data(), st.lists(columns, min_size=1, max_size=3), st.integers(1, 4), st.integers(1, 99))
def test_any_block_ends_where_the_driver_ended_it(
    data: st.DataObject, chosen: list[Any], rows: int, piece: int
) -> None:
    values = [data.draw(st.lists(strategy, min_size=rows, max_size=rows)) for _, strategy in chosen]
    types = [kind for kind, _ in chosen]
    wire = written(types, values)
    reader = Reader(feed(wire + b"\x2a", piece))
    reader.begin(1 << 20)
    block = read_block(reader)
    assert reader.byte() == 0x2A
    assert (block.rows, block.native) == (rows, wire[len(BLOCK_INFO) :])
    assert [kind for _, kind in block.columns] == types
    assert list(split(block.native * 2)) == [block, block]

    cut = data.draw(st.integers(0, len(wire) - 1))
    short = Reader(feed(wire[:cut], piece))
    short.begin(1 << 20)
    with pytest.raises(Disconnected):
        read_block(short)


@given(st.binary(max_size=300))
def test_garbage_is_no_block_but_never_a_crash(data: bytes) -> None:
    reader = Reader(feed(data))
    reader.begin(1000)
    try:
        read_block(reader)
    except (ProtocolError, Disconnected):
        return


@given(st.text("()`',ArrayTupleMapNullableLowCardinality 0123", max_size=60))
def test_a_type_made_up_is_refused_not_a_crash(kind: str) -> None:
    try:
        layout_of(kind)
    except ProtocolError:
        return


@pytest.mark.parametrize(
    "kind", [r"Enum8('a' = 1, 'b, (\'' = 2)", "Tuple(a Int8, `b (,` String)", "Decimal(38, 3)"]
)
def test_types_with_names_in_them_are_understood(kind: str) -> None:
    layout_of(kind)
    layout_of(f"Array({kind})")


def test_types_nested_without_end_are_refused() -> None:
    with pytest.raises(ProtocolError):
        layout_of("Array(" * 500 + "UInt8" + ")" * 500)


@pytest.mark.parametrize("kind", ["AggregateFunction(sum, UInt8)", "JSON", "Dynamic", "Foo"])
def test_types_that_cannot_be_measured_are_refused(kind: str) -> None:
    with pytest.raises(ProtocolError):
        layout_of(kind)


def test_an_empty_block_tells_its_columns() -> None:
    named = [("a", "UInt8"), ("b c", "Array(LowCardinality(String))")]
    [block] = split(empty_block(named))
    assert (block.columns, block.rows) == (named, 0)


@pytest.mark.parametrize(
    "head",
    [b"\xff\xff\x03\x01", b"\x01\xff\xff\xff\xff\x0f", b"\x01\x01\x01a\x0fArray(Array(Int8))"],
)
def test_a_block_of_impossible_size_is_refused(head: bytes) -> None:
    reader = Reader(feed(BLOCK_INFO + head + b"\xff" * 64))
    reader.begin(1 << 20)
    with pytest.raises((ProtocolError, Disconnected)):
        read_block(reader)
