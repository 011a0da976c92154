"""Every press that came by DC-09, changed in one thing, is raised, once, with its duress and place as far
as its bytes still say them; what is no press raises nothing."""

import json
import random
from collections import Counter
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from schemas.topics import PANICS
from streams.dc09 import take_frames
from streams.gateway.accounts import Account, Accounts, read_accounts
from streams.gateway.direct import Direct
from streams.gateway.events import Events
from streams.gateway.findings import Findings
from streams.gateway.heard import Heard
from streams.gateway.keeper import Keeper
from streams.gateway.known import Known
from streams.gateway.limit import Limit
from streams.gateway.metrics import Metrics
from streams.gateway.panics import Panics
from streams.gateway.receiver import From, Receiver
from streams.gateway.watched import Watched
from streams.panic.decide import PanicState, decide
from tests.streams.gateway.mutations.dc09_changes import CHANGES, Mutation, said
from tests.streams.gateway.mutations.dc09_frames import KEY, Made, others, presses
from tests.streams.gateway.mutations.dc09_oracle import Owed
from tests.streams.gateway.parts import NOW_MS, HeldKafka

HOUR_MS = 3_600_000


def account(number: str, **there: object) -> Account:
    said = {"school": f"KZ-75-0{number}", "device": "panel-1"}
    return Account.model_validate({**said, **there})


ACCOUNTS: Accounts = {
    "1234": account("1234", key=KEY.hex()),
    "5678": account("5678", addresses=["127.0.0.1/32"]),
    "4321": account("4321", key=KEY.hex(), addresses=["10.1.1.1/32"]),
    "7001": account("7001", addresses=["10.2.2.0/29"]),
    "7002": account("7002", addresses=["10.2.2.0/29"]),
}


class AtOnce(Heard):
    """Panic workers that speak of each press the moment Kafka has it."""

    async def within(self, events: Iterable[str], timeout_s: float) -> bool:
        return True


@dataclass
class Bench:
    kafka: HeldKafka
    panics: Panics
    events: Events
    findings: Findings
    now_ms: list[int] = field(default_factory=lambda: [NOW_MS])

    async def raised(
        self, mutation: Mutation, attempts: int = 3
    ) -> dict[str, tuple[int, bool, str]]:
        """Presses, duress and place by school, after the panel sent it so often, 10 s apart."""
        receiver = Receiver(
            Watched(None, read_accounts, ACCOUNTS),
            self.panics,
            self.events,
            self.findings,
            METRICS,
            lambda: self.now_ms[0],
        )
        self.kafka.records.clear()
        source = From(mutation.made.address, udp=mutation.made.udp)
        for _ in range(attempts):
            for raw in take_frames(mutation.bytes):
                await receiver.answer(raw, source)
            self.now_ms[0] += 10_000
        await receiver.stop()
        state, told = PanicState(), dict[str, tuple[int, bool, str]]()
        for topic, key, value in self.kafka.records:
            for alert in decide(state, key, value, self.now_ms[0]) if topic == PANICS.name else ():
                told[alert.school] = (alert.count, alert.duress, alert.place)
        return told


METRICS = Metrics()


@asynccontextmanager
async def bench(folder: Path) -> AsyncIterator[Bench]:
    now_ms = [NOW_MS]
    kafka = HeldKafka()
    kafka.open.set()
    keeper = Keeper(folder / "presses.journal")
    panics = Panics(kafka, keeper, Direct([], None), Known(), AtOnce(), 5_000, lambda: now_ms[0])
    events = Events(kafka, Limit(10**6, 10**6))
    findings = Findings(kafka, lambda: now_ms[0])
    try:
        yield Bench(kafka, panics, events, findings, now_ms)
    finally:
        await findings.stop()
        await events.stop()
        await panics.stop()


def wrong(mutation: Mutation, told: dict[str, tuple[int, bool, str]]) -> str:
    """What is not as it is owed; empty when all is."""
    expected, school = mutation.expected, ACCOUNTS[mutation.made.account].school
    # Of an account that its bytes name no more, all who are at the address are raised.
    shared = {ACCOUNTS["7001"].school, ACCOUNTS["7002"].school}
    others_ = set(told) - {school} - (shared if school in shared else set())
    if others_:
        return f"another school: {others_}"
    if any(count != 1 for count, _, _ in told.values()):
        return "not once"
    if expected.owed is Owed.SILENT and told:
        return "nobody pressed"
    if expected.owed is Owed.RAISED and school not in told:
        return "not raised"
    if expected.owed is Owed.RAISED:
        _, duress, place = told[school]
        if expected.duress not in (None, duress):
            return f"duress {duress}"
        if expected.place not in (None, place):
            return f"place {place!r}"
    return ""


async def campaign(folder: Path, bases: list[Made], count: int, seed: int) -> Counter[Owed]:
    rng = random.Random(seed)
    owed: Counter[Owed] = Counter()
    async with bench(folder) as it:
        for number in range(count):
            it.now_ms[0] += HOUR_MS
            made, change = rng.choice(bases), CHANGES[number % len(CHANGES)]
            mutation = change(made, it.now_ms[0] / 1000, rng)
            told = await it.raised(mutation, 1 + number % 3)
            found = wrong(mutation, told)
            assert not found, (
                f"{found}: {mutation.what}\n{mutation.bytes!r}\n{mutation.expected}\n{told}"
            )
            owed[mutation.expected.owed] += 1
    return owed


async def test_a_press_untouched_is_raised_as_it_is(tmp_path: Path) -> None:
    async with bench(tmp_path) as it:
        for made in presses():
            it.now_ms[0] += HOUR_MS
            mutation = Mutation("nothing", made, made.raw(it.now_ms[0] / 1000), said(made))
            assert mutation.expected.owed is Owed.RAISED
            assert not wrong(mutation, await it.raised(mutation)), made
            assert {json.loads(value)["type"] for _, _, value in it.kafka.records} == {
                "panic.pressed"
            }


async def test_a_press_changed_in_one_thing_is_raised_once(tmp_path: Path) -> None:
    owed = await campaign(tmp_path, presses(), 8_000, seed=1)
    # The table decides nearly all of them.
    assert owed[Owed.RAISED] > 6_500, owed


async def test_what_is_no_press_raises_nothing(tmp_path: Path) -> None:
    owed = await campaign(tmp_path, others(), 2_000, seed=2)
    assert owed[Owed.SILENT] > 1_000, owed


@pytest.mark.faults
@pytest.mark.parametrize(("bases", "count"), [(presses(), 1_600_000), (others(), 400_000)])
async def test_it_holds_for_millions(tmp_path: Path, bases: list[Made], count: int) -> None:
    await campaign(tmp_path, bases, count, seed=random.randrange(2**32))
