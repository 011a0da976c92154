"""Nobody answers on a port of this machine: how often is it asked?"""

import asyncio
import logging
import socket

import pytest
from aiokafka.client import AIOKafkaClient
from aiokafka.structs import BrokerMetadata

from streams.runtime.kafka.patience import PAUSE_S, Seldom, pause_metadata_retries


@pytest.fixture
def patient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(AIOKafkaClient, "_metadata_update", AIOKafkaClient._metadata_update)
    pause_metadata_retries()


async def test_a_broker_that_is_down_is_not_asked_without_a_pause(patient: None) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))  # bound and not listening: refused
        port = taken.getsockname()[1]
        client = AIOKafkaClient(bootstrap_servers=f"127.0.0.1:{port}")
        client.cluster._brokers = {1: BrokerMetadata(1, "127.0.0.1", port, None)}
        began_s = asyncio.get_running_loop().time()
        assert not await client._metadata_update(client.cluster, [])
        assert asyncio.get_running_loop().time() - began_s >= PAUSE_S
        await client.close()


def test_asking_twice_for_patience_gives_it_once(patient: None) -> None:
    once = AIOKafkaClient._metadata_update
    pause_metadata_retries()
    assert AIOKafkaClient._metadata_update is once


def test_the_same_complaint_is_heard_once() -> None:
    seldom = Seldom()

    def said(text: str) -> bool:
        return seldom.filter(logging.LogRecord("aiokafka", 40, "", 1, text, (), None))

    assert [said("down"), said("down"), said("something else")] == [True, False, True]
