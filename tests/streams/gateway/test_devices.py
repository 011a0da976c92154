"""What real panels send, from public reports of people who connect them, with invented accounts: each
case, and other forms of its kind. tests/streams/gateway/mutations makes the rest."""

import random
from dataclasses import replace

import pytest

from schemas.topics import ALERTS, HEARTBEATS, PANICS
from streams.dc09 import Frame, decrypt, format_frame, parse, read_key, take_frames
from streams.gateway.accounts import Account, Accounts, all_at, named, near, read_accounts
from streams.gateway.receiver import From
from streams.gateway.watched import Watched
from tests.streams.gateway.dc09_desk import (
    ACCOUNTS,
    AWAY,
    HOME,
    NOW_S,
    SCHOOLS,
    Desk,
    contact,
    encrypted,
    sia,
    there,
)
from tests.streams.gateway.mutations.dc09_frames import KEY, Made
from tests.streams.gateway.parts import until

__all__ = ["there"]  # the fixture


@pytest.mark.parametrize("event", ["NPA1", "OPA1", "NHA1", "Nri1/PA1", "NQA1", "NMA", "PA1"])
@pytest.mark.parametrize("fault", ["crc", "length", "header"])
async def test_a_broken_press_in_the_clear_is_seen_whatever_stands_before_its_code(
    there: Desk, event: str, fault: str
) -> None:
    broken = {
        "crc": sia(event, crc="wrong"),
        "length": sia(event, length="0044"),
        "header": sia(event, prefix="L-"),
    }[fault]
    await there.say(broken)
    ((school, count, _, duress, place),) = there.alerts()
    assert (school, count, duress) == (SCHOOLS["5678"], 1, "HA" in event)
    assert place.startswith("zone 1") or event == "NMA"


@pytest.mark.parametrize("code", [f"12{x}" for x in "0123456789ABCDEF"])
@pytest.mark.parametrize("key", [None, KEY])
async def test_every_code_of_the_class_panic_is_a_press(
    there: Desk, code: str, key: bytes | None
) -> None:
    made = contact(f"1{code} 01 001")
    answer = await there.say(encrypted(made) if key else made)
    assert answer is not None and answer.token == "ACK"
    ((_, count, _, duress, place),) = there.alerts()
    assert (count, duress, place) == (1, code in ("121", "122", "124", "125"), "zone 001")


async def test_a_contact_id_with_its_account_and_message_type_is_read_behind_them(
    there: Desk,
) -> None:
    await there.say(contact("5678 18 1120 01 001"))
    ((_, count, _, _, place),) = there.alerts()
    assert (count, place) == (1, "zone 001")


async def test_a_call_for_a_doctor_is_a_press_that_says_so(there: Desk) -> None:
    for seq, made in enumerate((sia("NMA4"), sia("NQA5"), contact("1100 00 006"))):
        await there.say(replace(made, seq=f"{seq:04d}"))
    places = [one["place"] for one in there.kafka.on(PANICS.name)]
    assert places == [f"zone {zone}, medical call" for zone in ("4", "5", "006")]


@pytest.mark.parametrize(
    "made",
    [
        sia("0|NRP"),
        sia("|NRP"),
        sia("NRP "),
        sia("NRP000"),
        sia("RP"),
        sia("Nri1/RP/"),
        sia("NRX0^manual test^"),
        contact("1602 00 0000"),
        contact("1602  00  000"),
        contact("1602 00 000 "),
        contact("1602 00"),
        contact("1602"),
        contact("160200000"),
        contact("602 00 000"),
        contact("0|1602 00 000"),
        contact("18 1602 00 000"),
        replace(contact("1602 00 000"), token="SIA-DCS"),
        replace(sia("NRP"), token="ADM-CID"),
    ],
)
async def test_a_test_in_an_unusual_form_is_a_test(there: Desk, made: Made) -> None:
    answer = await there.say(made)
    assert answer is not None and answer.token == "ACK"
    assert there.presses() == [("panic.test", SCHOOLS["5678"])]


@pytest.mark.parametrize(
    "made",
    [
        *(
            sia(event)
            for event in ("Nri2/CL1", "NOP12", "0|NCL5", "NCA1/CG2", "NBA5", "NYT", "NPB1")
        ),
        *(sia(event) for event in ("NPR1", "NPH1", "NHR1", "NQR", "Nid001/OP1^name^", "NBC")),
        *(contact(e) for e in ("1401 00 005", "3401 00 005", "3120 00 007", "1130 01 002")),
        *(contact(e) for e in ("1301 00 000", "3402 00 0001", "1570 00 001", "1110 00 009 ")),
    ],
)
async def test_what_is_known_to_be_no_call_is_acknowledged_and_nothing_more(
    there: Desk, made: Made
) -> None:
    answer = await there.say(made)
    assert answer is not None and answer.token == "ACK"
    assert there.presses() == []


@pytest.mark.parametrize("data", ["panic!", "#5678|", "#5678|NP", "#5678|11 0 7", "#5678|N_A", ""])
async def test_what_shows_no_known_event_is_raised(there: Desk, data: str) -> None:
    await there.say(Made("SIA-DCS", data, "5678"))
    assert there.presses() == [("panic.unread", SCHOOLS["5678"])]


@pytest.mark.parametrize(
    ("made", "place"),
    [
        (sia("Nri1/CL1/PA2"), "zone 2"),
        (sia("NBA1|NPA3"), "zone 3"),
        (sia("NRP|#5678|NHA4"), "zone 4"),
        (contact("1401 00 001|1120 00 005"), "zone 005"),
    ],
)
async def test_a_press_among_other_events_of_a_frame_is_one(
    there: Desk, made: Made, place: str
) -> None:
    await there.say(made)
    assert [alert[4] for alert in there.alerts()] == [place]


STAMPS = ("_14:13:20,00-21-2026", "_24:00:00,09-21-2026", "_", "_1790000000", "")


@pytest.mark.parametrize("stamp", STAMPS)
@pytest.mark.parametrize("event", ["1120 00 007", "1121 00 007"])
async def test_an_encrypted_press_without_a_usable_time_is_raised_once(
    there: Desk, stamp: str, event: str
) -> None:
    made = encrypted(contact(event), stamp=stamp)
    for _ in range(3):
        answer = await there.say(made, AWAY)
        assert answer is not None
        assert (answer.token, answer.time_s) == ("NAK", there.now_ms[0] // 1000)
        there.now_ms[0] += 10_000
    duress = event.startswith("1121")
    assert there.alerts() == [(SCHOOLS["1234"], 1, 3 if duress else 1, duress, "zone 007")]
    assert there.presses() == [("panic.unread", SCHOOLS["1234"])]


@pytest.mark.parametrize("seq", ["1", "00001", "ABCD", ""])
@pytest.mark.parametrize("prefix", ["L", "L ", "LX", ""])
async def test_an_encrypted_press_with_an_odd_header_is_raised(
    there: Desk, seq: str, prefix: str
) -> None:
    await there.say(encrypted(sia("NHA1"), seq=seq, prefix=prefix), AWAY)
    assert there.alerts() == [(SCHOOLS["1234"], 1, 3, True, "zone 1")]


@pytest.mark.parametrize("step_s", [5, 61, 170])
@pytest.mark.parametrize("ahead_s", [-3600.0, 61.0, 10.0**8])
@pytest.mark.parametrize("counts_up", [False, True])
@pytest.mark.parametrize("event", ["1120 00 007", "1x20 00 007"])
async def test_a_press_that_is_turned_away_again_and_again_is_one(
    there: Desk, step_s: int, ahead_s: float, counts_up: bool, event: str
) -> None:
    for attempt in range(4):
        made = encrypted(contact(event), ahead_s=ahead_s, seq=f"{attempt * counts_up + 1:04d}")
        answer = await there.say(made, AWAY)
        assert answer is not None and answer.token == "NAK"
        there.now_ms[0] += step_s * 1000
    ((_, count, score, _, _),) = there.alerts()
    assert (count, score) == (1, 1)


async def test_a_panel_that_learns_the_time_after_it_was_raised_is_raised_once(there: Desk) -> None:
    for ahead_s, seq in ((900.0, 1), (900.0, 1), (0.0, 1), (0.0, 1)):
        await there.say(encrypted(sia("NPA1"), ahead_s=ahead_s, seq=f"{seq:04d}"), AWAY)
        there.now_ms[0] += 4_000
    assert [alert[1] for alert in there.alerts()] == [1]
    # The next press is another one.
    await there.say(encrypted(sia("NPA1"), seq="0002"), AWAY)
    assert [alert[1] for alert in there.alerts()] == [2]


async def test_a_press_that_was_damaged_and_then_comes_whole_is_one(there: Desk) -> None:
    await there.say(sia("NHA7", crc="wrong"))
    there.now_ms[0] += 5_000
    answer = await there.say(sia("NHA7"))
    assert answer is not None and answer.token == "ACK"
    assert there.alerts() == [(SCHOOLS["5678"], 1, 3, True, "zone 7")]


async def test_two_buttons_and_two_presses_are_not_taken_for_one(there: Desk) -> None:
    for seq, event in enumerate(("NPA1", "NPA2", "NPA1", "NPA1")):
        await there.say(sia(event, seq=f"{seq:04d}"))
    assert [alert[1] for alert in there.alerts()] == [4]


async def test_a_press_that_got_a_nak_and_does_not_come_again_is_raised(there: Desk) -> None:
    await there.say(encrypted(contact("1120 00 007"), ahead_s=-3600.0), AWAY)
    assert there.presses() == []
    await until(lambda: there.presses() == [("panic.pressed", SCHOOLS["1234"])])


async def test_a_clock_that_stays_off_is_seen_by_an_operator(there: Desk) -> None:
    for _ in range(2):
        await there.say(Made("NULL", "", "5678", seq="0000", ahead_s=900.0))
    await until(lambda: there.kafka.on(ALERTS.name))
    assert "clock" in there.kafka.on(ALERTS.name)[0]["note"]
    assert there.kafka.on(HEARTBEATS.name) == []


@pytest.mark.parametrize("raw", [False, True])
@pytest.mark.parametrize("prefix", ["L", "L0", ""])
@pytest.mark.parametrize("receiver", ["R", "R1", ""])
async def test_a_dialect_is_answered_in_its_own_form(
    there: Desk, raw: bool, prefix: str, receiver: str
) -> None:
    """Trikdis, Lupus and others send the CRC as two bytes; some leave out the digit behind L."""
    null = Made(
        "NULL",
        "",
        "5678",
        seq="0000",
        prefix=prefix,
        receiver=receiver,
        crc="raw" if raw else "hex",
    )
    answer = await there.say(null)
    assert answer is not None
    assert (answer.token, answer.raw_crc) == ("ACK", raw)
    assert len(there.kafka.on(HEARTBEATS.name)) == 1
    late = await there.say(replace(null, ahead_s=3600.0))
    assert late is not None and (late.token, late.raw_crc) == ("NAK", raw)


async def test_the_answer_names_the_account_as_the_panel_wrote_it(there: Desk) -> None:
    there.receiver._accounts = Watched(
        None, read_accounts, read_accounts_of({"ABC1": ACCOUNTS["5678"]})
    )
    null = Made("NULL", "", "abc1", seq="0000")
    said = await there.receiver.answer(null.raw(NOW_S), From(HOME, udp=False))
    assert b'"ACK"0000L0#abc1[]' in said


def read_accounts_of(said: dict[str, dict[str, object]]) -> Accounts:
    return {number: Account.model_validate(one) for number, one in said.items()}


@pytest.mark.parametrize("account", ["7777", "5679"])
@pytest.mark.parametrize("fault", ["crc", "length", "header"])
async def test_a_broken_press_is_of_the_account_that_it_names(
    there: Desk, account: str, fault: str
) -> None:
    made = Made("SIA-DCS", f"#{account}|NPA1", account)
    broken = {
        "crc": replace(made, crc="wrong"),
        "length": replace(made, length="0044"),
        "header": replace(made, hash="*"),
    }[fault]
    await there.say(broken, "10.20.30.2")
    assert there.presses() == [("panic.unread", SCHOOLS[account])]


async def test_a_broken_press_that_names_nobody_is_of_all_who_may_have_said_it(there: Desk) -> None:
    await there.say(Made("SIA-DCS", "|NPA1", "....", crc="wrong"), "10.20.30.2")
    assert sorted(school for _, school in there.presses()) == [SCHOOLS["5679"], SCHOOLS["7777"]]


@pytest.mark.parametrize("address", [HOME, "10.20.30.2", AWAY])
async def test_a_scanner_at_a_schools_address_presses_nothing(there: Desk, address: str) -> None:
    rng = random.Random(1)
    hello = [b"\x16\x03\x01\x02\0\x01\0" + rng.randbytes(500) for _ in range(300)]
    known = [b"GET /?PA HTTP/1.1", b"HA", b"|NPA1]", b"OPTIONS * RTSP/1.0|1120 00 001", b"#1|NPA"]
    for raw in (*hello, *known, *(b"\n" + one for one in known)):
        for piece in take_frames(raw + b"\r"):
            await there.say(piece, address)
    assert there.presses() == []


async def test_it_names_an_account_that_is_not_at_this_address(there: Desk) -> None:
    await there.say(Made("SIA-DCS", "#1234|NPA1", "1234"), "10.20.30.2")
    await there.say(Made("SIA-DCS", "#5678|NPA1", "5678"), "10.20.30.2")
    assert there.presses() == []


@pytest.mark.parametrize("address", ["::ffff:127.0.0.1", "127.0.0.1", "::ffff:7f00:1"])
@pytest.mark.parametrize("network", ["127.0.0.1/32", "::ffff:127.0.0.1/128", "127.0.0.0/8"])
def test_an_ipv4_address_is_one_however_it_is_written(address: str, network: str) -> None:
    accounts = read_accounts_of({"5678": {**ACCOUNTS["5678"], "addresses": [network]}})
    assert accounts["5678"].at(address)
    assert all_at(accounts, address) == ["5678"]
    assert not accounts["5678"].at("::1")


def test_accounts_are_found_by_what_is_left_of_their_number() -> None:
    accounts = read_accounts_of({"12AB": ACCOUNTS["1234"], "5678": ACCOUNTS["5678"]})
    assert named(accounts, "0012ab") == "12AB"
    assert named(read_accounts_of({"000012AB": ACCOUNTS["1234"]}), "12ab") == "000012AB"
    for hurt in ("12A", "12ABB", "12xB", "02AB", "2AB"):
        assert near(accounts, hurt) == ["12AB"]
    assert near(accounts, "9999") == near(accounts, "12AB") == []


async def test_an_encrypted_ack_opens_with_the_key(there: Desk) -> None:
    answer = await there.say(encrypted(sia("NCL1"), crc="raw"), AWAY)
    assert answer is not None and answer.encrypted and answer.raw_crc
    assert isinstance(decrypt(answer, read_key(KEY.hex())), Frame)


def test_our_frames_are_the_panels_frames() -> None:
    """Two codecs that know nothing of each other."""
    for made in (sia("NPA1"), contact("1120 00 007", crc="raw"), encrypted(sia("NHA2"))):
        raw = made.raw(NOW_S)
        frame = parse(raw)
        assert isinstance(frame, Frame) and format_frame(frame) == raw
