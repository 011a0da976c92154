"""The gateway's process against a real broker that freezes and dies, and its own death."""

import asyncio
import itertools
import json
import resource
import signal
import time
from collections import defaultdict
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from random import Random
from typing import Any

import aiohttp
import pytest
from aiokafka import AIOKafkaConsumer, TopicPartition

from deploy.embedded.ports import free_port
from schemas.alerts import AlertKind
from schemas.settings import GatewaySettings, WorkerSettings
from schemas.topics import HEARTBEATS, PANICS
from streams.dc09 import ContactId, Frame, encrypt, format_contact_id, format_frame, parse, read_key
from streams.keys import Device, Keys, add, write_keys
from streams.panic.decide import PanicState, decide
from tests.streams.gateway.parts import SECRET, Ear, ear, until
from tests.streams.transport.broker import Broker
from tests.streams.workers import Lane, settings_for, uuid7

pytestmark = pytest.mark.broker

WITHIN_S = 120.0
UNHURRIED = "tests.streams.gateway.unhurried"
SCHOOLS = 12
_numbers = itertools.count(1)
AES = "000102030405060708090A0B0C0D0E0F"


@dataclass
class Town:
    """Schools with keys, a gateway of theirs, and somebody who is told directly."""

    lane: Lane
    console: Ear
    broker: Broker
    bearers: dict[str, str]
    schools: list[str]
    http: aiohttp.ClientSession
    from_offsets: dict[TopicPartition, int]
    sent: dict[str, str] = field(default_factory=dict)
    seq: int = 0
    process: asyncio.subprocess.Process | None = None

    async def start(self) -> None:
        self.process = await self.lane.start("gateway", module=UNHURRIED)
        async with asyncio.timeout(WITHIN_S):
            while not await self.serves(caught_up=True):
                await asyncio.sleep(0.05)

    async def kill(self) -> None:
        assert self.process is not None
        self.process.kill()
        await self.process.wait()

    def new_press(self, school: str) -> dict[str, Any]:
        self.seq += 1
        said = {"id": uuid7(), "type": "panic.pressed", "school": school, "device": "button-1"}
        return said | {"time_ms": int(time.time() * 1000), "boot": 1, "seq": self.seq, "v": 1}

    async def press(self, school: str) -> dict[str, Any]:
        """One press and its answer."""
        said = self.new_press(school)
        async with self._post(school, said) as answer:
            assert answer.status == 202, await answer.text()
            taken: dict[str, Any]
            (taken,) = (await answer.json())["presses"]
        self.sent[said["id"]] = school
        return taken

    async def answered(self, school: str, said: dict[str, Any]) -> bool:
        try:
            async with self._post(school, said) as answer:
                return answer.status == 202
        except (aiohttp.ClientError, TimeoutError):
            return False

    def _post(self, school: str, said: dict[str, Any]) -> Any:
        url = f"http://127.0.0.1:{self.lane.settings.gateway.panic_port}/v1/panic"
        headers = {"authorization": f"Bearer {self.bearers[school]}"}
        timeout = aiohttp.ClientTimeout(total=WITHIN_S)
        return self.http.post(url, json=said, headers=headers, timeout=timeout)

    def freeze(self) -> None:
        self._signal(signal.SIGSTOP)

    def thaw(self) -> None:
        self._signal(signal.SIGCONT)

    async def in_kafka(self) -> list[Any]:
        """The records of the panic topic since this test began."""
        consumer = AIOKafkaConsumer(**self.lane.kafka.aiokafka_kwargs())
        await consumer.start()
        try:
            tps = list(self.from_offsets)
            consumer.assign(tps)
            ends = await consumer.end_offsets(tps)
            records = []
            for tp, offset in self.from_offsets.items():
                consumer.seek(tp, offset)
            while any([await consumer.position(tp) < end for tp, end in ends.items()]):
                for batch in (await consumer.getmany(timeout_ms=500)).values():
                    records += batch
            return records
        finally:
            await consumer.stop()

    async def all_in_kafka(self) -> list[Any]:
        async with asyncio.timeout(WITHIN_S):
            while True:
                records = await self.in_kafka()
                if {json.loads(r.value).get("id") for r in records} >= set(self.sent):
                    return records
                await asyncio.sleep(0.2)

    async def health(self) -> dict[str, Any]:
        port = self.lane.settings.worker.health_port
        async with self.http.get(f"http://127.0.0.1:{port}/health") as answer:
            said: dict[str, Any] = await answer.json()
            return said | {"status": answer.status}

    async def serves(self, *, caught_up: bool = False) -> bool:
        try:
            said = await self.health()
        except aiohttp.ClientError:
            return False
        return said["status"] == 200 and (said["caught_up"] or not caught_up)

    def _signal(self, number: signal.Signals) -> None:
        assert self.broker._process is not None
        self.broker._process.send_signal(number)


@asynccontextmanager
async def town(broker: Broker, folder: Path, ack_timeout_ms: int = 300) -> AsyncIterator[Town]:
    keys: Keys = {}
    bearers = {}
    # The tests share a topic, and an alarm of a test before would go on in the next.
    schools = [f"KZ-75-{next(_numbers):05d}" for _ in range(SCHOOLS)]
    for school in schools:
        keys, bearers[school] = add(keys, Device(school, "button-1"), 0)
    write_keys(folder / "keys.json", keys)
    (folder / "secret").write_text(SECRET)
    account = {"school": schools[0], "device": "button-1", "key": AES}
    (folder / "accounts.json").write_text(json.dumps({"1234": account}))
    ports = [free_port() for _ in range(4)]
    async with ear() as console:
        gateway = GatewaySettings(
            port=ports[0],
            panic_port=ports[1],
            dc09_tcp_port=ports[2],
            keys_file=folder / "keys.json",
            accounts_file=folder / "accounts.json",
            direct_urls=[console.url],
            direct_secret_file=folder / "secret",
            ack_timeout_ms=ack_timeout_ms,
        )
        settings = settings_for(broker, folder).model_copy(
            update={"gateway": gateway, "worker": WorkerSettings(health_port=ports[3])}
        )
        async with Lane(settings) as lane, aiohttp.ClientSession() as http:
            consumer = AIOKafkaConsumer(**lane.kafka.aiokafka_kwargs())
            await consumer.start()
            offsets = await consumer.end_offsets(await lane.partitions(PANICS.name))
            await consumer.stop()
            it = Town(lane, console, broker, bearers, schools, http, offsets)
            try:
                yield it
            finally:
                it.thaw()


@pytest.fixture
async def there(lane_broker: Broker, tmp_path: Path) -> AsyncIterator[Town]:
    async with town(lane_broker, tmp_path) as it:
        await it.start()
        yield it


def alerts_of(records: list[Any]) -> set[tuple[str, str]]:
    """(alert id, event id) that the panic workers say of these records."""
    states: dict[int, PanicState] = defaultdict(PanicState)
    return {
        (alert.id, alert.event)
        for record in records
        for alert in decide(states[record.partition], record.key, record.value, record.timestamp)
    }


def ids(records: list[Any]) -> list[str]:
    return sorted(json.loads(record.value)["id"] for record in records)


async def test_a_press_is_in_kafka_when_it_is_answered(lane_broker: Broker, tmp_path: Path) -> None:
    async with town(lane_broker, tmp_path, ack_timeout_ms=10_000) as it:
        await it.start()
        taken = await it.press(it.schools[0])
        assert taken["kept"] == "kafka"
        assert taken["told"] == 0
        assert ids(await it.in_kafka()) == sorted(it.sent)


async def test_a_frozen_broker_holds_no_press_and_gets_each_once(there: Town) -> None:
    """How long an answer takes then is measured by `loadtest offline`."""
    before = await there.press(there.schools[0])  # on a busy machine Kafka may be late for it, too
    there.freeze()
    answers = [await there.press(school) for school in there.schools]
    answers += await asyncio.gather(*(there.press(school) for school in there.schools))
    assert {answer["kept"] for answer in answers} == {"journal"}
    heard = [one["event"] for one in there.console.heard if one["event"] != before["event"]]
    assert sorted(heard) == sorted(answer["event"] for answer in answers)
    there.thaw()
    records = await there.all_in_kafka()
    assert ids(records) == sorted(there.sent)
    # And the ids that were told directly are those that the panic workers say now.
    told = {(alert["id"], alert["event"]) for alert in there.console.heard}
    assert told <= alerts_of(records)
    async with asyncio.timeout(WITHIN_S):
        while (await there.health())["journaled"]:
            await asyncio.sleep(0.05)


async def test_it_relies_on_kafka_again_when_a_worker_speaks_again(there: Town) -> None:
    there.freeze()
    assert (await there.press(there.schools[0]))["kept"] == "journal"
    there.thaw()
    await there.all_in_kafka()
    assert (await there.press(there.schools[0]))["kept"] == "journal"
    settings = there.lane.settings
    no_port = settings.model_copy(update={"var": settings.var / "w", "worker": WorkerSettings()})
    async with Lane(no_port) as workers:
        await workers.start("panic")
        async with asyncio.timeout(WITHIN_S):
            while (await there.press(there.schools[0]))["kept"] != "kafka":
                await asyncio.sleep(0.5)


async def test_a_gateway_killed_while_kafka_is_away_loses_nothing(there: Town) -> None:
    there.freeze()
    for school in there.schools[:6]:
        await there.press(school)
    await there.kill()
    there.thaw()
    await there.start()
    await there.press(there.schools[0])
    records = await there.all_in_kafka()
    assert set(ids(records)) == set(there.sent)
    told = {(alert["id"], alert["event"]) for alert in there.console.heard}
    said = alerts_of(records)
    assert told <= said
    assert len(said) == len(there.sent)


async def test_it_takes_presses_before_there_is_a_broker(
    lane_broker: Broker, tmp_path: Path
) -> None:
    async with town(lane_broker, tmp_path) as it:
        lane_broker.kill()
        it.process = await it.lane.start("gateway", module=UNHURRIED)
        async with asyncio.timeout(WITHIN_S):
            while not await it.serves():
                await asyncio.sleep(0.05)
        taken = await it.press(it.schools[0])
        assert (taken["kept"], taken["told"]) == ("journal", 1)
        await asyncio.to_thread(lane_broker.start)
        assert ids(await it.all_in_kafka()) == sorted(it.sent)


async def test_with_the_disk_full_it_still_raises_and_says_so(there: Town) -> None:
    there.freeze()
    assert there.process is not None
    resource.prlimit(there.process.pid, resource.RLIMIT_FSIZE, (0, resource.RLIM_INFINITY))
    taken = await there.press(there.schools[0])
    assert (taken["kept"], taken["told"]) == ("memory", 1)
    await until(lambda: len(there.console.heard) == 2)
    kinds = {alert["kind"] for alert in there.console.heard}
    assert kinds == {AlertKind.PANIC, AlertKind.MONITORING_IMPAIRED}
    there.thaw()
    assert ids(await there.all_in_kafka()) == sorted(there.sent)


async def test_a_panel_gets_its_ack_with_kafka_frozen(there: Town) -> None:
    there.freeze()
    data = format_contact_id("1234", ContactId("120", zone="003"))
    frame = Frame("ADM-CID", 5, "1234", data, time_s=int(time.time()))
    port = there.lane.settings.gateway.dc09_tcp_port
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(format_frame(encrypt(frame, read_key(AES))))
    answer = parse(await asyncio.wait_for(reader.readuntil(b"\r"), 60))
    assert isinstance(answer, Frame)
    assert answer.token == "ACK"
    assert len(there.console.heard) == 1
    writer.close()
    there.thaw()
    async with asyncio.timeout(WITHIN_S):
        while not (records := await there.in_kafka()):
            await asyncio.sleep(0.2)
    assert json.loads(records[0].value)["place"] == "zone 003"


async def test_events_are_in_kafka_when_they_are_answered(there: Town) -> None:
    beat = {"id": uuid7(), "type": "heartbeat", "school": there.schools[0], "device": "button-1"}
    beat |= {"time_ms": int(time.time() * 1000), "boot": 1, "seq": 1, "kind": "panic_button"}
    beat |= {"period_s": 60, "link_pct": 90, "provider": "isp-1", "buffered": 0}
    async with there.lane.heard(HEARTBEATS.name) as heard:
        url = f"http://127.0.0.1:{there.lane.settings.gateway.port}/v1/events"
        headers = {"authorization": f"Bearer {there.bearers[there.schools[0]]}"}
        body = [beat | {"clock_offset_ms": 0}]
        async with there.http.post(url, json=body, headers=headers) as answer:
            assert (answer.status, (await answer.json())["accepted"]) == (202, 1)
        await until(lambda: heard.of(id=beat["id"]))


async def test_it_stops_at_once_when_it_is_told_to(there: Town) -> None:
    assert there.process is not None
    there.process.terminate()
    assert await asyncio.wait_for(there.process.wait(), 60) == 0
    journal = there.lane.settings.var / "gateway" / "presses.journal"
    assert journal.stat().st_size == 0


@pytest.mark.faults
@pytest.mark.timeout(900)
async def test_twenty_random_kills_lose_no_press_and_double_none(there: Town) -> None:
    random = Random(6)
    pressing = asyncio.Event()

    async def device(school: str) -> None:
        """Presses on, and like a real one repeats a press until it is answered."""
        while not pressing.is_set():
            said = there.new_press(school)
            there.sent[said["id"]] = school
            while not await there.answered(school, said):
                await asyncio.sleep(0.1)
            # Not like a mad button: between two kills it stays below the presses that are coalesced.
            await asyncio.sleep(0.15)

    devices = [asyncio.create_task(device(school)) for school in there.schools]
    for _ in range(20):
        await asyncio.sleep(random.uniform(0.2, 2.0))
        if random.random() < 0.5:
            there.freeze()
            await asyncio.sleep(random.uniform(0.1, 1.0))
        await there.kill()
        there.thaw()
        await there.start()
    pressing.set()
    await asyncio.gather(*devices)
    records = await there.all_in_kafka()
    assert set(ids(records)) == set(there.sent)
    said = alerts_of(records)
    assert {(alert["id"], alert["event"]) for alert in there.console.heard} <= said
    assert len(said) == len(there.sent)
