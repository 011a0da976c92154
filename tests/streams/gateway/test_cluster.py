"""Three brokers: what an acknowledgement is worth when two of them are away."""

import asyncio
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from deploy.embedded.ports import free_port
from deploy.topics import admin_client, check_topics, protect
from schemas.settings import KafkaSettings
from schemas.topics import MIN_INSYNC, PANICS
from tests.streams.gateway.test_process import ids, town
from tests.streams.transport.broker import CLUSTER_ID, java, properties, written

pytestmark = [pytest.mark.broker, pytest.mark.faults]

WITHIN_S = 120.0


class Cluster:
    """Broker 1 is the controller too, and stays; 2 and 3 come and go. Plaintext on loopback."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._ports = {number: free_port() for number in (1, 2, 3)}
        self._controller = free_port()
        self._running: dict[int, subprocess.Popen[bytes]] = {}
        for number in self._ports:
            self._configured(number)

    @property
    def settings(self) -> KafkaSettings:
        servers = ",".join(f"127.0.0.1:{port}" for port in self._ports.values())
        return KafkaSettings(bootstrap=servers, replication=3)

    @property
    def _process(self) -> subprocess.Popen[bytes]:
        return self._running[1]

    def start(self, *numbers: int) -> None:
        for number in numbers:
            self._running[number] = self._java("kafka.Kafka", str(self._file(number)))

    def kill(self, *numbers: int) -> None:
        for number in numbers:
            self._running[number].kill()
            self._running[number].wait()

    def wait_in_sync(self, count: int) -> None:
        """Until so many replicas of each partition of the panics are in step."""
        deadline = time.monotonic() + WITHIN_S
        while True:
            try:
                with admin_client(self.settings) as client:
                    (topic,) = client.describe_topics([PANICS.name])
                if all(len(one["isr_nodes"]) == count for one in topic["partitions"]):
                    return
            except Exception:
                if time.monotonic() > deadline:
                    raise
            assert time.monotonic() < deadline
            time.sleep(0.3)

    def wait_up(self) -> None:
        deadline = time.monotonic() + WITHIN_S
        while True:
            try:
                with admin_client(self.settings) as client:
                    if len(client.describe_cluster()["brokers"]) == len(self._ports):
                        return
            except Exception:
                if time.monotonic() > deadline:
                    raise
            assert time.monotonic() < deadline
            time.sleep(0.3)

    def _java(self, *arguments: str) -> "subprocess.Popen[bytes]":
        return java(self._folder / "log", *arguments)

    def _configured(self, number: int) -> None:
        data, ports = self._folder / f"data-{number}", (self._ports[number], self._controller)
        of = properties(data, "PLAINTEXT", *ports, number=number, replicas=3)
        written(self._file(number), of | {"replica.lag.time.max.ms": "3000"})
        format_ = ("format", "-t", CLUSTER_ID, "-c", str(self._file(number)))
        assert self._java("kafka.tools.StorageTool", *format_).wait() == 0

    def _file(self, number: int) -> Path:
        return self._folder / f"{number}.properties"


@pytest.fixture
def cluster(tmp_path: Path) -> Iterator[Cluster]:
    it = Cluster(tmp_path)
    it.start(1, 2, 3)
    try:
        it.wait_up()
        yield it
    finally:
        it.kill(*it._running)


async def test_a_press_that_one_disk_has_is_not_said_to_be_in_kafka(
    cluster: Cluster, tmp_path: Path
) -> None:
    folder = tmp_path / "var"
    folder.mkdir()
    async with town(cluster, folder, ack_timeout_ms=2_000) as it:  # type: ignore[arg-type]
        assert await asyncio.to_thread(check_topics, it.lane.settings) == []
        await it.start()
        assert (await it.press(it.schools[0]))["kept"] == "kafka"

        await asyncio.to_thread(cluster.kill, 3)
        await asyncio.to_thread(cluster.wait_in_sync, 2)
        await it.press(it.schools[1])
        await it.all_in_kafka()
        async with asyncio.timeout(WITHIN_S):
            while (await it.health())["journaled"]:
                await asyncio.sleep(0.1)

        await asyncio.to_thread(cluster.kill, 2)
        await asyncio.to_thread(cluster.wait_in_sync, 1)
        heard = len(it.console.heard)
        alone = [await it.press(school) for school in it.schools[2:5]]
        assert {answer["kept"] for answer in alone} == {"journal"}
        assert len(it.console.heard) == heard + len(alone)
        async with asyncio.timeout(WITHIN_S):
            while "NotEnoughReplicas" not in (folder / "log-gateway").read_text():
                await asyncio.sleep(0.1)
        assert (await it.health())["journaled"] == len(alone)
        # Declared for fewer, one disk would have been enough.
        fewer = it.lane.kafka.model_copy(update={"replication": 1})
        settings = it.lane.settings.model_copy(update={"kafka": fewer})
        assert {m.what for m in await asyncio.to_thread(check_topics, settings)} == {
            *("replication", MIN_INSYNC),
        }

        cluster.start(2, 3)
        await asyncio.to_thread(cluster.wait_in_sync, 3)
        assert ids(await it.all_in_kafka()) == sorted(it.sent)
        assert await asyncio.to_thread(protect, it.lane.settings) == []
