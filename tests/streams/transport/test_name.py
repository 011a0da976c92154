"""Two living workers of one member name (aio-libs/aiokafka#1188): one stays, the other ends and says why."""

import asyncio

import aiohttp
import pytest

from deploy.embedded.ports import free_port
from schemas.settings import WorkerSettings
from streams.transport.name import client_id, elder
from tests.streams.workers import Lane

ENDS_WITHIN_S = 120.0


def test_of_two_starts_the_earlier_keeps_the_name() -> None:
    first, second = client_id("saqshy", "one"), client_id("saqshy", "one")
    both = [(first, "host-1"), (second, "host-2")]
    assert elder(second, both) == "host-1"
    assert elder(first, both) is None


@pytest.mark.parametrize("name", ["two", "one-more", "", "one-1"])
def test_another_name_is_no_rival(name: str) -> None:
    other, own = client_id("saqshy", name), client_id("saqshy", "one")
    assert elder(own, [(other, "host"), ("rdkafka", "host"), ("saqshy-one-", "host")]) is None


async def health(lane: Lane, port: int) -> int:
    """The status of /health; 0 while nobody listens."""
    try:
        async with aiohttp.ClientSession() as web, web.get(f"http://127.0.0.1:{port}/health") as it:
            return it.status
    except aiohttp.ClientError:
        return 0


async def until_ready(lane: Lane, port: int) -> None:
    async with asyncio.timeout(ENDS_WITHIN_S):
        while await health(lane, port) != 200:
            await asyncio.sleep(0.1)


@pytest.mark.broker
@pytest.mark.parametrize("worker", ["outage", "liveness"])
async def test_a_second_worker_of_a_name_ends_and_says_why(lane: Lane, worker: str) -> None:
    ports = free_port(), free_port()

    async def start(port: int) -> asyncio.subprocess.Process:
        own = WorkerSettings(member="one", health_port=port)
        lane.settings = lane.settings.model_copy(update={"worker": own})
        return await lane.start(worker)

    first = await start(ports[0])
    await until_ready(lane, ports[0])
    second = await start(ports[1])
    assert await asyncio.wait_for(second.wait(), ENDS_WITHIN_S) != 0
    said = (lane.settings.var / f"log-{worker}").read_text(encoding="utf-8")
    assert "under the member name 'one'" in said
    assert "SAQSHY_WORKER__MEMBER" in said
    await until_ready(lane, ports[0])
    assert first.returncode is None

    # A worker that was killed is followed by one of its name at once, without anybody ending.
    first.kill()
    await first.wait()
    next_port = free_port()
    following = await start(next_port)
    await until_ready(lane, next_port)
    assert following.returncode is None
