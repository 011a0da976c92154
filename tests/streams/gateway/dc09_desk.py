"""A DC-09 receiver without a broker, and panels that speak to it."""

import json
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path

import pytest

from schemas.topics import PANICS
from streams.dc09 import Frame, parse
from streams.gateway.accounts import Accounts, read_accounts
from streams.gateway.metrics import Metrics
from streams.gateway.receiver import From, Receiver
from streams.gateway.watched import Watched
from streams.panic.decide import PanicState, decide
from tests.streams.gateway.mutations.dc09_frames import KEY, Made
from tests.streams.gateway.parts import NOW_MS, HeldKafka, desk

NOW_S = NOW_MS // 1000
HOME, AWAY = "127.0.0.1", "10.9.9.9"
SCHOOLS = {number: f"KZ-75-0{number}" for number in ("1234", "5678", "5679", "7777")}
ACCOUNTS: dict[str, dict[str, object]] = {
    "1234": {"school": SCHOOLS["1234"], "device": "panel-1", "key": KEY.hex()},
    "5678": {"school": SCHOOLS["5678"], "device": "panel-1", "addresses": ["127.0.0.1/32"]},
    "7777": {"school": SCHOOLS["7777"], "device": "panel-1", "addresses": ["10.20.30.0/29"]},
    "5679": {"school": SCHOOLS["5679"], "device": "panel-1", "addresses": ["10.20.30.0/29"]},
}


class Desk:
    """A receiver, the Kafka behind it and its clock."""

    def __init__(self, receiver: Receiver, kafka: HeldKafka, now_ms: list[int]) -> None:
        self.receiver, self.kafka, self.now_ms = receiver, kafka, now_ms

    async def say(self, made: Made | bytes, address: str = HOME) -> Frame | None:
        raw = made if isinstance(made, bytes) else made.raw(self.now_ms[0] / 1000)
        answer = parse(await self.receiver.answer(raw, From(address, udp=False)))
        return answer if isinstance(answer, Frame) else None

    def presses(self) -> list[tuple[str, str]]:
        return [(one["type"], one["school"]) for one in self.kafka.on(PANICS.name)]

    def alerts(self) -> list[tuple[str, int, int | None, bool, str]]:
        """School, presses, score, duress and place that the panic workers make of it at last."""
        state, last = PanicState(), {}
        for topic, key, value in self.kafka.records:
            for alert in decide(state, key, value, self.now_ms[0]) if topic == PANICS.name else ():
                last[alert.school] = alert
        return [(a.school, a.count, a.score, a.duress, a.place) for a in last.values()]


@pytest.fixture
async def there(tmp_path: Path) -> AsyncIterator[Desk]:
    (tmp_path / "accounts.json").write_text(json.dumps(ACCOUNTS))
    accounts: Watched[Accounts] = Watched(tmp_path / "accounts.json", read_accounts, {})
    now_ms = [NOW_MS]
    async with desk(tmp_path) as it:
        receiver = Receiver(
            accounts, it.panics, it.events, it.findings, Metrics(), lambda: now_ms[0], alone_s=0.05
        )
        yield Desk(receiver, it.kafka, now_ms)
        await receiver.stop()


def sia(event: str, **other: object) -> Made:
    return replace(Made("SIA-DCS", f"#5678|{event}", "5678"), **other)  # type: ignore[arg-type]


def contact(event: str, **other: object) -> Made:
    return replace(Made("ADM-CID", f"#5678|{event}", "5678"), **other)  # type: ignore[arg-type]


def encrypted(made: Made, **other: object) -> Made:
    data = made.data.replace("5678", "1234")
    return replace(made, account="1234", key=KEY, data=data, **other)  # type: ignore[arg-type]
