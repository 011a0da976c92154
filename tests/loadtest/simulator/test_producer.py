import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from kafka import KafkaConsumer, TopicPartition
from kafka.admin import KafkaAdminClient
from kafka.errors import KafkaError

from loadtest.simulator.producer import SINKS, registry_is_empty, transmit
from loadtest.simulator.stream import Batch
from schemas.settings import KafkaSettings
from schemas.topics import EVENT_TOPICS, PANICS
from tests.streams.transport.broker import Broker, started

pytestmark = pytest.mark.broker


@pytest.fixture(scope="module")
def own_broker(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Broker]:
    """The simulator looks whether the registry is empty."""
    for broker in started(tmp_path_factory):
        create_topics(broker.settings)
        yield broker


@pytest.fixture
def kafka(own_broker: Broker) -> KafkaSettings:
    return own_broker.settings


def create_topics(kafka: KafkaSettings) -> None:
    deadline = time.monotonic() + 120
    while True:
        try:
            admin = KafkaAdminClient(**kafka.kafka_python_kwargs())
            break
        except KafkaError:
            if time.monotonic() > deadline:
                raise
    wanted = {
        topic.name: {
            "num_partitions": 4,
            "replication_factor": 1,
            "configs": topic.configs(),
        }
        for topic in EVENT_TOPICS
    }
    admin.create_topics(wanted, wait_for_metadata=True)
    admin.close()


def stored(kafka: KafkaSettings) -> dict[str, dict[int, list[tuple[bytes, bytes]]]]:
    """topic -> partition -> [(key, value)]"""
    consumer = KafkaConsumer(**kafka.kafka_python_kwargs())
    partitions = [TopicPartition(topic.name, p) for topic in EVENT_TOPICS for p in range(4)]
    consumer.assign(partitions)
    consumer.seek_to_beginning()
    ends = consumer.end_offsets(partitions)
    found: dict[str, dict[int, list[tuple[bytes, bytes]]]] = {}
    while any(consumer.position(tp) < end for tp, end in ends.items()):
        for tp, batch in consumer.poll(timeout_ms=1000).items():
            there = found.setdefault(tp.topic, {}).setdefault(tp.partition, [])
            there.extend((record.key, record.value) for record in batch)
    consumer.close()
    return found


def simulate(kafka: KafkaSettings, folder: Path, *arguments: str) -> "subprocess.Popen[str]":
    settings = {**kafka.model_dump(mode="json"), "password": kafka.secret()}
    return subprocess.Popen(
        [sys.executable, "-m", "loadtest", "simulate", "--schools", "50", "--json", *arguments],
        env={**os.environ, "SAQSHY_KAFKA": json.dumps(settings), "SAQSHY_VAR": str(folder)},
        stdout=subprocess.PIPE,
        text=True,
    )


def counts(kafka: KafkaSettings) -> Counter[str]:
    there = stored(kafka)
    return Counter({topic: sum(map(len, found.values())) for topic, found in there.items()})


def test_the_report_counts_what_the_broker_holds(kafka: KafkaSettings, tmp_path: Path) -> None:
    assert registry_is_empty(kafka)
    before = counts(kafka)
    path = tmp_path / "report.json"
    peak = ("--peak", "1000", "--for", "3s", "--panics", "20", "--report", str(path))
    process = simulate(kafka, tmp_path, *peak)
    printed: dict[str, Any] = json.loads(process.communicate(timeout=120)[0])
    assert process.returncode == 0
    assert printed == json.loads(path.read_text())
    held = stored(kafka)
    assert printed["produced"] == dict(counts(kafka) - before)
    presses = {
        json.loads(value)["id"]
        for found in held[PANICS.name].values()
        for _, value in found
        if json.loads(value)["type"] == "panic.pressed"
    }
    assert set(printed["panics"]) == presses
    assert len(presses) == 20
    assert printed["by_type"]["school.registered"] == 50
    assert printed["expected_dead_letters"]["not_utf8"] == 1
    assert not registry_is_empty(kafka)


def test_a_day_that_is_stopped_says_what_it_sent(kafka: KafkaSettings, tmp_path: Path) -> None:
    before = counts(kafka)
    path = tmp_path / "report.json"
    process = simulate(kafka, tmp_path, "--panic-every", "1s", "--registry", "--report", str(path))
    deadline = time.monotonic() + 120
    while not (counts(kafka) - before)[PANICS.name] and time.monotonic() < deadline:
        time.sleep(0.2)
    process.send_signal(signal.SIGTERM)
    report = json.loads(process.communicate(timeout=120)[0])
    assert process.returncode == 0
    assert report["produced"] == dict(counts(kafka) - before)
    assert report["by_type"]["panic.pressed"] == len(report["panics"]) >= 1
    assert (tmp_path / "run" / "truth.jsonl").exists()


def test_both_clients_put_a_school_into_the_same_partition(kafka: KafkaSettings) -> None:
    sent = [(PANICS.name, f"KZ-10-{n:05d}".encode(), b"x", "panic.test") for n in range(40)]
    for connect in SINKS.values():
        sink = connect(kafka)
        transmit([Batch(list(sent))], sink, stop=threading.Event())
        sink.flush(60)
        assert sink.tally.produced == {PANICS.name: 40}
        sink.close()
    where: dict[bytes, set[int]] = {}
    for partition, found in stored(kafka)[PANICS.name].items():
        for key, value in found:
            if value == b"x":
                where.setdefault(key, set()).add(partition)
    assert len(where) == 40
    assert all(len(partitions) == 1 for partitions in where.values())
    assert len(set.union(*where.values())) == 4


def test_it_counts_exactly_through_the_death_of_the_broker(
    own_broker: Broker, kafka: KafkaSettings, tmp_path: Path
) -> None:
    before = counts(kafka)
    peak = ("--peak", "2000", "--for", "8s", "--garbage", "0", "--registry")
    process = simulate(kafka, tmp_path, *peak)
    deadline = time.monotonic() + 120
    while (counts(kafka) - before).total() < 2_000 and time.monotonic() < deadline:
        time.sleep(0.1)
    own_broker.kill()
    own_broker.start()
    report = json.loads(process.communicate(timeout=200)[0])
    assert report["failed"] == {}
    assert report["produced"] == dict(counts(kafka) - before)
    assert sum(report["produced"].values()) == 16_000 + 100
