import pytest
from hypothesis import given
from hypothesis import strategies as st

from streams.dc09 import (
    Frame,
    FrameFault,
    Refusal,
    ack,
    decrypt,
    encrypt,
    format_frame,
    nak,
    parse,
    read_key,
)

PRESS = Frame("ADM-CID", 12, "12345A", "#12345A|1120 00 001", "789ABC", "579BDF", (), 1_700_000_000)
KEYS = [bytes(range(16)), bytes(range(24)), bytes(range(32))]
NOW_S = 1_700_000_003.5


@pytest.mark.parametrize("key", KEYS)
def test_it_opens_what_it_sealed(key: bytes) -> None:
    raw = format_frame(encrypt(PRESS, key))
    assert b'"*ADM-CID"0012R579BDFL789ABC#12345A[' in raw
    sealed = parse(raw)
    assert isinstance(sealed, Frame)
    assert sealed.encrypted
    assert "1120" not in sealed.data
    assert decrypt(sealed, key) == PRESS


def test_a_full_block_of_padding_stands_before_content_that_fits_its_blocks() -> None:
    # The bar, ten characters, the bracket and the timestamp: 32 characters.
    fits = Frame("SIA-DCS", 1, "1234", "#123|NPA01", time_s=1_700_000_000)
    assert len(bytes.fromhex(encrypt(fits, KEYS[0]).data)) == 48


def test_equal_messages_differ_by_their_padding() -> None:
    assert len({encrypt(PRESS, KEYS[0]).data for _ in range(20)}) > 1


@given(st.binary(min_size=16, max_size=16))
def test_another_key_does_not_open_it(key: bytes) -> None:
    if key != KEYS[0]:
        refusal = decrypt(encrypt(PRESS, KEYS[0]), key)
        assert isinstance(refusal, Refusal)
        assert refusal.reason is FrameFault.KEY


@given(st.binary(max_size=64))
def test_any_ciphertext_is_opened_or_refused(sealed: bytes) -> None:
    frame = Frame("ADM-CID", 1, "1234", sealed.hex(), encrypted=True)
    assert isinstance(decrypt(frame, KEYS[0]), Refusal)


def test_an_encrypted_frame_needs_a_timestamp() -> None:
    with pytest.raises(ValueError, match="timestamp"):
        encrypt(Frame("NULL", 0, "1234"), KEYS[0])


def test_an_encrypted_frame_is_acknowledged_encrypted() -> None:
    answer = parse(ack(PRESS, NOW_S, KEYS[0]))
    assert isinstance(answer, Frame)
    assert (answer.token, answer.encrypted, answer.seq) == ("ACK", True, 12)
    opened = decrypt(answer, KEYS[0])
    assert isinstance(opened, Frame)
    assert (opened.data, opened.time_s) == ("", 1_700_000_003)


def test_an_answer_names_sequence_receiver_prefix_and_account() -> None:
    assert b'"ACK"0012R579BDFL789ABC#12345A[]\r' in ack(PRESS, NOW_S)


def test_a_nak_carries_the_receivers_time() -> None:
    answer = parse(nak(NOW_S))
    assert isinstance(answer, Frame)
    assert (answer.token, answer.seq, answer.time_s) == ("NAK", 0, 1_700_000_003)


def test_a_key_is_read_from_hexadecimal_or_from_its_characters() -> None:
    assert read_key("00" * 16) == bytes(16)
    assert read_key("0f" * 24) == b"\x0f" * 24
    assert read_key("text:" + "A" * 32) == b"A" * 32
    for wrong in ("", "00", "zz" * 16, "text:short"):
        with pytest.raises(ValueError, match="hexadecimal"):
            read_key(wrong)
