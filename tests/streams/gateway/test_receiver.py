"""The DC-09 receiver over real sockets, without a broker."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from schemas.topics import ALERTS, HEARTBEATS, PANICS
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
    read_key,
    take_frame,
)
from streams.gateway.accounts import Accounts, read_accounts
from streams.gateway.metrics import Metrics
from streams.gateway.receiver import From, OverTcp, OverUdp, Receiver
from streams.gateway.watched import Watched
from streams.keys import KeyTrouble
from tests.streams.gateway.parts import BUTTON, NOW_MS, SCHOOL, HeldKafka, desk, until

KEY = "00112233445566778899AABBCCDDEEFF"
NOW_S = NOW_MS // 1000
ACCOUNTS = {
    "1234": {"school": SCHOOL, "device": BUTTON, "key": KEY},
    "5678": {"school": "KZ-75-00002", "device": "panel-1", "addresses": ["127.0.0.1/32"]},
}
HOME, AWAY = From("127.0.0.1", udp=False), From("10.9.9.9", udp=False)


@dataclass
class There:
    kafka: HeldKafka
    receiver: Receiver
    now_ms: list[int] = field(default_factory=lambda: [NOW_MS])

    async def say(self, frame: Frame, source: From = AWAY) -> Frame | None:
        said = await self.receiver.answer(format_frame(frame), source)
        answer = parse(said)
        return answer if isinstance(answer, Frame) else None

    async def sealed(self, frame: Frame) -> Frame | None:
        return await self.say(encrypt(frame, read_key(KEY)))


@asynccontextmanager
async def receiving(folder: Path, *, open_: bool = True) -> AsyncIterator[There]:
    (folder / "accounts.json").write_text(json.dumps(ACCOUNTS))
    accounts: Watched[Accounts] = Watched(folder / "accounts.json", read_accounts, {})
    now_ms = [NOW_MS]
    async with desk(folder, open_=open_) as it:
        receiver = Receiver(
            accounts, it.panics, it.events, it.findings, Metrics(), lambda: now_ms[0]
        )
        yield There(it.kafka, receiver, now_ms)


@pytest.fixture
async def there(tmp_path: Path) -> AsyncIterator[There]:
    async with receiving(tmp_path) as it:
        yield it


def contact(code: str = "120", seq: int = 1, account: str = "1234", qualifier: int = 1) -> Frame:
    data = format_contact_id(account, ContactId(code, qualifier, "00", "007"))
    return Frame("ADM-CID", seq, account, data, "0", "1", (), NOW_S)


def sia(code: str, account: str = "1234") -> Frame:
    return replace(
        contact(account=account), token="SIA-DCS", data=format_sia_dcs(account, SiaDcs(code, "7"))
    )


@pytest.mark.parametrize(
    ("frame", "duress"),
    [(contact("120"), False), (contact("121"), True), (sia("PA"), False), (sia("HA"), True)],
)
async def test_a_press_is_acknowledged_and_in_kafka(
    there: There, frame: Frame, duress: bool
) -> None:
    answer = await there.sealed(frame)
    assert answer is not None
    assert (answer.token, answer.seq, answer.encrypted) == ("ACK", 1, True)
    opened = decrypt(answer, read_key(KEY))
    assert isinstance(opened, Frame)
    assert opened.time_s == NOW_S
    (said,) = there.kafka.on(PANICS.name)
    assert (said["school"], said["device"], said["duress"]) == (SCHOOL, BUTTON, duress)
    assert (said["place"], said["time_ms"]) == (
        "zone 7" if frame.token == "SIA-DCS" else "zone 007",
        NOW_MS,
    )


async def test_a_press_that_kafka_has_not_is_acknowledged_when_the_journal_has_it(
    tmp_path: Path,
) -> None:
    async with receiving(tmp_path, open_=False) as it:
        answer = await it.sealed(contact())
        assert answer is not None
        assert answer.token == "ACK"
        assert (tmp_path / "presses.journal").stat().st_size > 0


async def test_what_is_no_press_is_not_acknowledged_while_kafka_is_down(tmp_path: Path) -> None:
    async with receiving(tmp_path, open_=False) as it:
        assert await it.sealed(replace(contact(), token="NULL", data="", seq=0)) is None


async def test_a_link_test_is_a_heartbeat_and_a_periodic_test_a_test(there: There) -> None:
    null = await there.sealed(replace(contact(), token="NULL", data="", seq=0, time_s=NOW_S - 3))
    assert null is not None
    (beat,) = there.kafka.on(HEARTBEATS.name)
    assert (beat["device"], beat["kind"], beat["clock_offset_ms"]) == (
        BUTTON,
        "panic_button",
        -3000,
    )
    await there.sealed(contact("602", seq=2))
    await there.sealed(sia("RP"))
    assert [said["type"] for said in there.kafka.on(PANICS.name)] == ["panic.test"] * 2


async def test_a_button_let_go_is_acknowledged_and_cancels_nothing(there: There) -> None:
    for frame in (contact("120", qualifier=3), sia("PH")):
        answer = await there.sealed(frame)
        assert answer is not None
        assert answer.token == "ACK"
    assert there.kafka.records == []


@pytest.mark.parametrize("frame", [replace(contact(), token="RSP"), replace(sia("RP"), token="X")])
async def test_a_token_that_it_does_not_know_gets_a_duh(there: There, frame: Frame) -> None:
    answer = await there.sealed(frame)
    assert answer is not None
    assert (answer.token, answer.seq, answer.encrypted) == ("DUH", 1, False)
    assert there.kafka.records == []


@pytest.mark.parametrize(
    "frame", [contact("130"), contact("401"), contact("401", qualifier=3), sia("BA"), sia("CL")]
)
async def test_what_is_known_to_be_no_call_for_help_is_acknowledged(
    there: There, frame: Frame
) -> None:
    """An Ajax hub that gets a DUH hangs or repeats for ever, and the press behind it does not come
    (home-assistant/core#88675, eavanvalkenburg/sia#34)."""
    answer = await there.sealed(frame)
    assert answer is not None
    assert (answer.token, answer.encrypted) == ("ACK", True)
    assert there.kafka.records == []


@pytest.mark.parametrize("off_s", [-41, 21, -100_000])
async def test_a_timestamp_out_of_the_window_gets_a_nak_with_our_time(
    there: There, off_s: int
) -> None:
    answer = await there.sealed(replace(contact(), time_s=NOW_S + off_s))
    assert answer is not None
    assert (answer.token, answer.time_s) == ("NAK", NOW_S)
    assert there.kafka.records == []


async def test_a_panel_that_does_not_learn_the_time_is_not_silenced(there: There) -> None:
    late = replace(contact(), time_s=NOW_S - 3600)
    for _ in range(3):
        await there.sealed(late)
    (said,) = there.kafka.on(PANICS.name)
    assert said["time_ms"] == NOW_MS - 3_600_000


async def test_a_frame_sent_again_is_acknowledged_again_and_counts_once(there: There) -> None:
    await there.sealed(contact())
    there.now_ms[0] += 5_000
    # Some panels stamp each attempt anew.
    answer = await there.sealed(replace(contact(), time_s=NOW_S + 5))
    assert answer is not None
    assert answer.token == "ACK"
    assert len(there.kafka.on(PANICS.name)) == 1
    await there.sealed(contact(seq=2))
    assert len(there.kafka.on(PANICS.name)) == 2


async def test_plaintext_and_udp_come_from_registered_addresses_only(there: There) -> None:
    plain = contact(account="5678")
    assert await there.say(plain, AWAY) is None
    assert await there.say(plain, From("10.9.9.9", udp=True)) is None
    assert await there.say(encrypt(contact(), read_key(KEY)), From("10.9.9.9", udp=True)) is None
    assert there.kafka.on(PANICS.name) == []
    await until(lambda: len(there.kafka.on(ALERTS.name)) == 3)
    for source in (HOME, From("127.0.0.1", udp=True)):
        answer = await there.say(plain, source)
        assert answer is not None
        assert answer.token == "ACK"


async def test_strangers_and_wrong_keys_get_nothing_and_are_seen(there: There) -> None:
    assert await there.say(contact(account="9999"), HOME) is None
    assert await there.say(encrypt(contact(), bytes(16))) is None
    assert await there.receiver.answer(b"GET / HTTP/1.1\r", AWAY) == b""
    await until(lambda: len(there.kafka.on(ALERTS.name)) == 3)
    assert there.kafka.on(PANICS.name) == []


async def test_a_wrong_crc_gets_no_answer(there: There) -> None:
    raw = format_frame(contact("602", account="5678")).replace(b"ADM", b"AMD")
    assert await there.receiver.answer(raw, HOME) == b""
    assert there.kafka.records == []


async def test_a_registered_panels_broken_alarm_is_raised_as_unidentified(there: There) -> None:
    broken = format_frame(contact(account="5678")).replace(b"ADM", b"AMD")
    await there.receiver.answer(broken, HOME)
    answer = await there.say(replace(contact(account="5678"), data="panic!"), HOME)
    assert answer is not None
    assert answer.token == "ACK"
    said = there.kafka.on(PANICS.name)
    assert [(one["type"], one["school"]) for one in said] == [("panic.unread", "KZ-75-00002")] * 2


async def test_it_speaks_over_tcp_and_udp(there: There) -> None:
    tcp, udp = OverTcp(there.receiver), OverUdp(there.receiver)
    await tcp.start("127.0.0.1", 0)
    await udp.start("127.0.0.1", 0)
    try:
        port = tcp.door.sockets[0].getsockname()[1]
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        both = format_frame(contact(seq=1, account="5678")) + format_frame(
            contact(seq=2, account="5678")
        )
        # In pieces, as a network may have it.
        writer.write(both[:20])
        await writer.drain()
        writer.write(both[20:])
        buffer, answers = bytearray(), []
        while len(answers) < 2:
            buffer += await asyncio.wait_for(reader.read(1000), 60)
            while (raw := take_frame(buffer)) is not None:
                answers.append(parse(raw))
        assert [a.seq for a in answers if isinstance(a, Frame)] == [1, 2]
        writer.close()

        heard: asyncio.Queue[bytes] = asyncio.Queue()

        class Panel(asyncio.DatagramProtocol):
            def datagram_received(self, data: bytes, _: object) -> None:
                heard.put_nowait(data)

        assert udp._transport is not None
        there_at = udp._transport.get_extra_info("sockname")
        panel, _ = await asyncio.get_running_loop().create_datagram_endpoint(
            Panel, remote_addr=there_at
        )
        panel.sendto(format_frame(contact(seq=3, account="5678")))
        answer = parse(await asyncio.wait_for(heard.get(), 60))
        assert isinstance(answer, Frame)
        assert (answer.token, answer.seq) == ("ACK", 3)
        panel.close()
    finally:
        await tcp.stop()
        await udp.stop()
    assert len(there.kafka.on(PANICS.name)) == 3


@settings(
    max_examples=150,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(
    token=st.sampled_from(["ADM-CID", "SIA-DCS", "NULL", "ACK", "X"]),
    data=st.text(st.characters(codec="latin-1", exclude_characters="[]\r\n"), max_size=40),
    time_s=st.one_of(st.none(), st.integers(-2_000_000_000, 4_000_000_000), st.just(NOW_S)),
    account=st.sampled_from(["1234", "5678", "", "FFFF"]),
    noise=st.binary(max_size=5),
)
async def test_no_frame_breaks_it(
    there: There, token: str, data: str, time_s: int | None, account: str, noise: bytes
) -> None:
    frame = Frame(token, 1, account, data, time_s=time_s)
    sealed = format_frame(encrypt(frame, read_key(KEY))) if time_s is not None else b""
    for raw in (format_frame(frame), sealed, noise, format_frame(frame) + noise):
        said = await there.receiver.answer(raw, HOME)
        assert said == b"" or isinstance(parse(said), Frame)


@pytest.mark.parametrize(
    "said",
    ["[", '{"1": {"school": "x", "device": "a"}}', '{"1": {"school": "KZ-75-00001", "key": "00"}}'],
)
def test_a_broken_accounts_file_is_said_without_its_keys(tmp_path: Path, said: str) -> None:
    (tmp_path / "a").write_text(said)
    with pytest.raises(KeyTrouble, match="DC-09 accounts"):
        read_accounts(tmp_path / "a")
