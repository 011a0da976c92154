"""The notifier when Kafka does not answer, and when its disk is full: a press is paged all the same."""

import asyncio
import json
from collections.abc import AsyncIterator
from pathlib import Path

import aiohttp
import pytest

from deploy.embedded.ports import free_port
from schemas.settings import (
    GatewaySettings,
    KafkaSettings,
    NotifySettings,
    Settings,
    WorkerSettings,
)
from schemas.steps import StepTaken, Took
from streams.notify.process import Notifier, service
from streams.runtime.service import serve
from tests.streams.notify.alerts import changed
from tests.streams.notify.test_process import press, until
from tests.streams.paging.receiver import Receiver, private, receiver

SECRET = "direct-secret"


class Alone:
    def __init__(self, notifier: Notifier, url: str, taken: Receiver) -> None:
        self.notifier, self.url, self.taken = notifier, url, taken

    async def tell(self, body: str) -> int:
        headers = {"X-Saqshy-Direct": SECRET}
        async with (
            aiohttp.ClientSession() as web,
            web.post(f"{self.url}/direct", data=body, headers=headers) as answer,
        ):
            return answer.status

    async def listens(self) -> bool:
        try:
            async with aiohttp.ClientSession() as web, web.get(f"{self.url}/health") as answer:
                return answer.status == 503  # it has not read what it must know, and says so
        except aiohttp.ClientError:
            return False


@pytest.fixture
async def alone(tmp_path: Path) -> AsyncIterator[Alone]:
    async with receiver(tmp_path) as taken:
        port = free_port()
        settings = Settings(
            var=tmp_path,
            kafka=KafkaSettings(bootstrap=f"127.0.0.1:{free_port()}"),
            worker=WorkerSettings(health_port=port),
            notify=NotifySettings(
                channels_file=private(tmp_path / "channels.toml", taken.channel())
            ),
            gateway=GatewaySettings(direct_secret_file=private(tmp_path / "direct", SECRET)),
        )
        stop = asyncio.Event()
        it = service(settings)
        running = asyncio.create_task(serve(settings, "notify", [it], stop))
        alone = Alone(it.run.__self__, f"http://127.0.0.1:{port}", taken)
        await until(alone.listens)
        yield alone
        stop.set()
        await running


async def test_without_kafka_a_press_told_directly_is_paged_once(alone: Alone) -> None:
    panic = press(1)
    for _ in range(3):
        assert await alone.tell(panic.model_dump_json()) == 200
    await until(lambda: alone.taken.alerts()[panic.id, "opened"])
    assert len(alone.taken.requests) == 1


async def test_with_a_full_disk_a_press_is_paged_and_the_gateway_is_told_to_ask_again(
    alone: Alone,
) -> None:
    outbox = alone.notifier._outbox._db
    (pages,) = outbox.execute("PRAGMA page_count").fetchone()
    outbox.execute(f"PRAGMA max_page_count = {pages}")
    panics = [changed(f"{'long' * 12}-{number}", at_ms=press(2).time_ms) for number in range(40)]
    told = [await alone.tell(panic.model_dump_json()) for panic in panics]
    assert 503 in told
    ids = {panic.id for panic in panics}

    def heard() -> set[str]:
        return {alert["id"] for _, b in alone.taken.requests for alert in json.loads(b)["alerts"]}

    await until(lambda: heard() == ids)
    outbox.execute("PRAGMA max_page_count = 1000000")
    assert await alone.tell(panics[-1].model_dump_json()) == 200


async def test_a_canary_pages_nobody_and_what_is_too_large_is_refused(alone: Alone) -> None:
    canary = press(3).model_copy(update={"school": "KZ-00-90001"})
    assert await alone.tell(canary.model_dump_json()) == 200
    assert await alone.tell("x" * 100_000) == 413
    assert not alone.taken.requests


async def test_what_an_operator_did_without_kafka_is_known(alone: Alone) -> None:
    panic = press(4)
    assert await alone.tell(panic.model_dump_json()) == 200
    answered = StepTaken(
        id="answered-without-kafka",
        alert=panic.id,
        school=panic.school,
        took=Took.ACKNOWLEDGED,
        actor="aigerim",
        time_ms=panic.time_ms,
    )
    assert await alone.tell(answered.model_dump_json()) == 200
    assert alone.notifier._pager._lives[panic.id].by(Took.ACKNOWLEDGED) == "aigerim"
