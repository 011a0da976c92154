"""What the console reads of Kafka, over outages of a real broker."""

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path

import pytest
from aiokafka import AIOKafkaProducer, ConsumerRecord

from dashboards.console import feeds as console_feeds
from dashboards.console.feeds import Feeds
from dashboards.console.picture import Picture
from deploy.topics import admin_client, ensure_topics
from schemas.alerts import AlertChanged, Status, StatusChanged
from schemas.settings import ClickHouseSettings, KafkaSettings, Settings
from schemas.topics import ALERTS, STATUS
from tests.dashboards.console.records import SCHOOL, alert, status
from tests.streams.transport.broker import Broker

pytestmark = [pytest.mark.broker, pytest.mark.timeout(300)]

Record = tuple[str, int, int]
"""(topic, partition, offset)"""


class Noted(Feeds):
    """Notes each record that goes into the picture."""

    folded: list[Record]

    def _apply(self, topic: str, records: list[ConsumerRecord]) -> None:
        self.folded.extend((topic, r.partition, r.offset) for r in records)
        super()._apply(topic, records)


@pytest.fixture
def broker(tmp_path: Path) -> Iterator[Broker]:
    broker = Broker(tmp_path)
    broker.start()
    yield broker
    broker.kill()


@pytest.fixture
async def noted(broker: Broker) -> AsyncIterator[Noted]:
    await asyncio.to_thread(ensure_topics, Settings(kafka=broker.settings))
    noted = Noted(Picture(), broker.settings, ClickHouseSettings(), lambda: None, lambda _: None)
    noted.folded = []
    following = asyncio.create_task(noted.follow_kafka())
    yield noted
    following.cancel()
    await asyncio.gather(following, return_exceptions=True)


async def say(kafka: KafkaSettings, *notices: AlertChanged | StatusChanged) -> None:
    producer = AIOKafkaProducer(**kafka.aiokafka_kwargs(), acks="all")
    await producer.start()
    try:
        for notice in notices:
            topic = ALERTS if isinstance(notice, AlertChanged) else STATUS
            value = notice.model_dump_json().encode()
            await producer.send_and_wait(topic.name, value, key=notice.school.encode())
    finally:
        await producer.stop()


async def until(condition: Callable[[], object]) -> None:
    async with asyncio.timeout(90):
        while not condition():
            await asyncio.sleep(0.02)


async def test_after_an_outage_it_goes_on_where_it_was(broker: Broker, noted: Noted) -> None:
    before = [status(SCHOOL, Status.ONLINE, 1_000 + n) for n in range(50)]
    await say(broker.settings, *before, alert("before"))
    await until(lambda: noted.restored and "before" in noted._picture.panics)
    for name in ("once", "again"):
        broker.kill()
        await until(lambda: console_feeds.now_ms() - noted.fresh_ms["kafka"] > 2_000)
        broker.start()
        await say(broker.settings, status(SCHOOL, Status.OFFLINE), alert(name))
        await until(lambda: name in noted._picture.panics)  # noqa: B023
    assert len(noted.folded) == len(set(noted.folded)) == 50 + 1 + 2 * 2


async def test_topics_that_were_made_anew_are_read_from_their_start(
    broker: Broker, noted: Noted
) -> None:
    await say(broker.settings, *(alert(f"before {n}") for n in range(3)))
    await until(lambda: noted.restored and len(noted._picture.panics) == 3)
    settings = Settings(kafka=broker.settings)

    def make_anew() -> None:
        with admin_client(settings.kafka) as admin:
            admin.delete_topics([ALERTS.name])
        while not any(made.topic == ALERTS.name for made in ensure_topics(settings)):
            pass  # the broker still lists the old one

    await asyncio.to_thread(make_anew)
    await say(broker.settings, alert("after"))
    await until(lambda: "after" in noted._picture.panics)
