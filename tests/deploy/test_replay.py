"""A replay against topics in which a known story stands."""

import asyncio
import json
import time

import pytest
from aiokafka import AIOKafkaProducer
from typer.testing import CliRunner

from deploy.cli.main import app
from deploy.replay import Difference, Span, compare, differences
from deploy.topics import ensure_topics
from schemas.alerts import NOTICE, AlertChanged
from schemas.events import PanicPressed
from schemas.settings import Settings
from schemas.topics import ALERTS, PANICS
from streams.panic.decide import PanicState, decide
from tests.streams.workers import uuid7

SCHOOL = "KZ-31-00042"


def test_what_stands_and_what_is_replayed_is_compared_both_ways() -> None:
    stands = {("a", 0): "x", ("b", 0): "y"}
    replayed = {("a", 0): "x", ("b", 0): "z", ("c", 0): "w"}
    assert differences(stands, replayed) == [Difference("y", "z"), Difference(None, "w")]
    assert differences(stands, stands) == []


def test_a_span_that_ends_before_it_begins_is_refused() -> None:
    ended = CliRunner().invoke(app, ["replay", "--from", "1m", "--to", "1h"])
    assert ended.exit_code == 2 and "--from" in ended.stderr


async def _press(settings: Settings) -> list[AlertChanged]:
    """A press, and what a worker says of it."""
    press = PanicPressed(
        id=uuid7(), school=SCHOOL, device="button-1", time_ms=int(time.time() * 1000), boot=1, seq=1
    )
    value = press.model_dump_json().encode()
    async with AIOKafkaProducer(**settings.kafka.aiokafka_kwargs(), acks="all") as producer:
        sent = await producer.send_and_wait(PANICS.name, value, key=SCHOOL.encode())
        said = decide(PanicState(), SCHOOL.encode(), value, sent.timestamp)
        for alert in said:
            raw = alert.model_dump_json().encode()
            await producer.send_and_wait(
                ALERTS.name, raw, key=SCHOOL.encode(), partition=sent.partition
            )
    return said


@pytest.mark.broker
def test_the_replay_is_identical_until_somebody_says_something_else(
    environment: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in environment.environment().items():
        monkeypatch.setenv(name, value)
    ensure_topics(environment)
    began_ms = int(time.time() * 1000) - 1_000
    (said,) = asyncio.run(_press(environment))
    span = Span(began_ms, int(time.time() * 1000) + 60_000)
    compared = asyncio.run(compare(environment, "panic", span))
    assert compared.identical and compared.stand == compared.replayed == 1
    assert asyncio.run(compare(environment, "liveness", span)).identical

    forged = said.model_copy(update={"id": "0" * 32})
    asyncio.run(_forge(environment, forged))
    ended = CliRunner().invoke(
        app, ["replay", "--from", "2m", "--to", "0s", "--lane", "panic", "--json"]
    )
    assert ended.exit_code == 1, ended.output
    told = json.loads(ended.stdout)
    assert not told["identical"] and told["first_difference"]["replayed"] is None
    assert NOTICE.validate_json(told["first_difference"]["stands"]) == forged


async def _forge(settings: Settings, alert: AlertChanged) -> None:
    async with AIOKafkaProducer(**settings.kafka.aiokafka_kwargs(), acks="all") as producer:
        raw = alert.model_dump_json().encode()
        await producer.send_and_wait(ALERTS.name, raw, key=SCHOOL.encode())
