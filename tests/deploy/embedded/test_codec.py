import io

import pytest
from clickhouse_driver.clientinfo import ClientInfo
from clickhouse_driver.context import Context
from clickhouse_driver.settings.writer import write_settings
from clickhouse_driver.varint import write_varint
from clickhouse_driver.writer import write_binary_str
from hypothesis import given
from hypothesis import strategies as st

from deploy.embedded.clickhouse import codec
from deploy.embedded.clickhouse.codec import Disconnected, ProtocolError, Reader
from tests.deploy.embedded.feed import feed

BUDGET = 1 << 20
short_text = st.text(st.characters(codec="utf-8"), max_size=40)


def reader(data: bytes, piece: int = 1 << 16, budget: int = BUDGET) -> Reader:
    made = Reader(feed(data, piece))
    made.begin(budget)
    return made


@given(st.integers(0, (1 << 64) - 1), st.integers(1, 5))
def test_a_number_is_read_as_it_was_written(number: int, piece: int) -> None:
    written = codec.varint(number)
    by_driver = io.BytesIO()
    write_varint(number, by_driver)
    assert written == by_driver.getvalue()
    assert reader(written, piece).varint() == number


@given(short_text, st.integers(1, 5))
def test_a_string_is_read_as_it_was_written(text: str, piece: int) -> None:
    assert reader(codec.string(text), piece).string(200) == text


@given(st.lists(st.binary(max_size=300), max_size=30), st.integers(1, 400))
def test_strings_are_passed_over_to_their_very_end(values: list[bytes], piece: int) -> None:
    column = b"".join(codec.varint(len(value)) + value for value in values)
    over = reader(column + b"\x2a", piece)
    over.skip_strings(len(values))
    assert over.byte() == 0x2A


@given(st.binary(max_size=60), st.integers(0, 30), st.integers(1, 60))
def test_garbage_for_strings_never_gets_past_the_budget(
    data: bytes, count: int, budget: int
) -> None:
    over = reader(data, budget=budget)
    try:
        over.skip_strings(count)
    except (ProtocolError, Disconnected):
        return
    assert over.position <= min(budget, len(data))


def test_a_number_of_more_than_64_bits_is_refused() -> None:
    with pytest.raises(ProtocolError):
        reader(b"\xff" * 9 + b"\x02").varint()
    with pytest.raises(ProtocolError):
        reader(b"\x80" * 11).varint()


def test_a_huge_length_is_refused_before_anything_is_received_for_it() -> None:
    asked: list[int] = []

    def receive(most: int) -> bytes:
        asked.append(most)
        return codec.varint(1 << 40) if len(asked) == 1 else b"x" * most

    endless = Reader(receive)
    endless.begin(BUDGET)
    with pytest.raises(ProtocolError):
        endless.string(limit=1 << 50)
    assert len(asked) == 1


@given(st.binary(max_size=200))
def test_garbage_is_no_hello_and_no_query_but_never_a_crash(data: bytes) -> None:
    for read in (
        codec.read_hello,
        lambda garbage: codec.read_query(garbage, codec.REVISION),
    ):
        try:
            read(reader(data))
        except (ProtocolError, Disconnected):
            continue


def query_packet(text: str, settings: dict[str, str]) -> bytes:
    """As clickhouse-driver writes it, after the packet's type."""
    out = io.BytesIO()
    write_binary_str("an-id", out)
    context = Context()
    context.client_settings = {
        "opentelemetry_traceparent": None,
        "opentelemetry_tracestate": "",
        "quota_key": "",
    }
    info = ClientInfo("driver", context, client_revision=54468)
    info.query_kind = ClientInfo.QueryKind.INITIAL_QUERY
    info.write(codec.REVISION, out)
    write_settings(settings, out, True, 0)
    write_varint(2, out)  # stage: complete
    write_varint(0, out)  # no compression
    write_binary_str(text, out)
    return out.getvalue()


@given(
    short_text,
    st.dictionaries(st.text("abc_", min_size=1, max_size=8), short_text, max_size=4),
    st.integers(1, 64),
)
def test_a_drivers_query_is_read_with_all_its_settings(
    text: str, settings: dict[str, str], piece: int
) -> None:
    read = codec.read_query(reader(query_packet(text, settings), piece), codec.REVISION)
    assert (read.text, read.settings, read.compressed) == (text, settings, False)


@given(st.data())
def test_a_query_cut_short_is_a_client_that_is_gone(data: st.DataObject) -> None:
    packet = query_packet("SELECT 1", {"max_threads": "1"})
    cut = data.draw(st.integers(0, len(packet) - 1))
    with pytest.raises(Disconnected):
        codec.read_query(reader(packet[:cut]), codec.REVISION)
