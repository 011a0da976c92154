"""pysiaalarm, a receiver that others wrote, understands our frames, and we its answers."""

from datetime import UTC, datetime

import pytest
from pysiaalarm import SIAAccount
from pysiaalarm.event import SIAEvent
from pysiaalarm.utils import ResponseType

from streams.dc09 import (
    ContactId,
    Frame,
    SiaDcs,
    decrypt,
    encrypt,
    format_contact_id,
    format_frame,
    format_sia_dcs,
    parse,
)

ACCOUNT = "12345A"
KEY = "A1B2C3D4E5F60718"


def theirs(frame: Frame) -> SIAEvent:
    accounts = {ACCOUNT: SIAAccount(ACCOUNT, KEY)}
    return SIAEvent.from_line(format_frame(frame).decode("ascii").strip(), accounts)


def stamped(token: str, data: str) -> Frame:
    now_s = int(datetime.now(UTC).timestamp())
    return Frame(token, 17, ACCOUNT, data, "0", "1", (), now_s)


PANIC = format_contact_id(ACCOUNT, ContactId("120", zone="007"))
HOLDUP = format_sia_dcs(ACCOUNT, SiaDcs("HA", "4", "1"))


@pytest.mark.parametrize("encrypted", [False, True])
@pytest.mark.parametrize(
    ("token", "data", "code"), [("ADM-CID", PANIC, "PA"), ("SIA-DCS", HOLDUP, "HA")]
)
def test_they_read_our_press_and_we_their_ack(
    token: str, data: str, code: str, encrypted: bool
) -> None:
    frame = stamped(token, data)
    event = theirs(encrypt(frame, KEY.encode()) if encrypted else frame)
    assert event.valid_message
    assert (event.code, event.account, event.sequence) == (code, ACCOUNT, "0017")
    assert event.response is ResponseType.ACK
    answer = parse(event.create_response())
    assert isinstance(answer, Frame)
    assert (answer.token, answer.seq, answer.encrypted) == ("ACK", 17, encrypted)
    if encrypted:
        opened = decrypt(answer, KEY.encode())
        assert isinstance(opened, Frame)
        assert opened.time_s is not None


def test_they_decline_our_old_press_and_we_read_their_nak() -> None:
    late = Frame("ADM-CID", 17, ACCOUNT, PANIC, receiver="1", time_s=1_700_000_000)
    answer = parse(theirs(encrypt(late, KEY.encode())).create_response())
    assert isinstance(answer, Frame)
    assert answer.token == "NAK"
    assert answer.time_s is not None


def test_they_read_our_link_test() -> None:
    event = theirs(encrypt(stamped("NULL", ""), KEY.encode()))
    assert event.valid_message
    assert event.response is ResponseType.ACK
