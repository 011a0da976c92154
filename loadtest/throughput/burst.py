"""The recovery burst: a region's link comes back, and a day's buffers arrive at once, while presses go on.

The passes are old and out of order; each press is timed from before it is sent to when its alert can be
read from the alerts topic.
"""

import asyncio
import json
import threading
import time
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from aiokafka import AIOKafkaProducer, ConsumerRecord, TopicPartition
from clickhouse_driver import Client

from loadtest.throughput.exact import visible
from loadtest.throughput.generator import Task
from loadtest.throughput.hdr import percentiles_ms, recorded
from loadtest.throughput.passes import partition_of, school_id
from loadtest.throughput.sending import Generator
from loadtest.throughput.watched import MeasuredProcess
from schemas.settings import KafkaSettings, Settings
from schemas.topics import ALERTS, PANICS
from streams.runtime.kafka import clients
from streams.runtime.kafka.reader import Followed, Reader

PRESS_EVERY_S: Final = 0.1
HEARD_WITHIN_S: Final = 30.0
DRAIN_S: Final = 180.0
POLL_S: Final = 0.1


@dataclass(slots=True)
class Presses:
    """Presses one by one from a thread of its own, and listens for their alerts."""

    kafka: KafkaSettings
    schools: int
    _sent: dict[str, float] = field(default_factory=dict)
    _heard: dict[str, float] = field(default_factory=dict)
    _since_s: float = 0.0
    _stop: threading.Event = field(default_factory=threading.Event)
    _thread: threading.Thread | None = None

    def start(self, timeout_s: float = 30.0) -> None:
        """Returns when every press so far was heard: the panic worker is up. Raises RuntimeError."""
        self._thread = threading.Thread(target=lambda: asyncio.run(self._run()), daemon=True)
        self._thread.start()
        until_s = time.monotonic() + timeout_s
        while not self._heard or len(self._heard) < len(self._sent):
            if time.monotonic() > until_s or not self._thread.is_alive():
                raise RuntimeError("no alert came of a press: does the panic worker run?")
            time.sleep(0.01)
        self._since_s = time.time()  # those before waited for the worker's start

    def finish(self) -> tuple[int, Any]:
        """(presses never heard, histogram of the others' latencies). Stops pressing."""
        self._stop.set()
        if self._thread is not None:
            self._thread.join(HEARD_WITHIN_S + 10)
        timed = {event: at for event, at in self._sent.items() if at >= self._since_s}
        heard = self._heard
        return len(timed.keys() - heard.keys()), recorded(
            ((heard[event] - at) * 1000, 1) for event, at in timed.items() if event in heard
        )

    async def _run(self) -> None:
        producer = clients.producer(self.kafka)
        await producer.start()
        reader = Reader(
            self.kafka,
            [Followed(ALERTS.name, 0)],
            self._hear,
            client_id="loadtest",
            fetch_wait_ms=20,
        )
        listening = asyncio.create_task(reader.run())
        try:
            while not reader.caught_up:  # noqa: ASYNC110 (nobody tells of it)
                await asyncio.sleep(PRESS_EVERY_S)
            await self._press(producer)
            with suppress(TimeoutError):
                async with asyncio.timeout(HEARD_WITHIN_S):
                    while not self._heard.keys() >= self._sent.keys():  # noqa: ASYNC110
                        await asyncio.sleep(PRESS_EVERY_S)
        finally:
            listening.cancel()
            await producer.stop()

    async def _press(self, producer: AIOKafkaProducer) -> None:
        number = 0
        while not self._stop.is_set():
            # A school of its own for each press, so that each opens an alert.
            school, now_ms = school_id(number % self.schools), time.time_ns() // 1_000_000
            event = f"{now_ms >> 16:08x}-{now_ms & 0xFFFF:04x}-7000-8000-{number:012x}"
            value = {
                "id": event,
                "type": "panic.pressed",
                "school": school,
                "device": "button-1",
                "time_ms": now_ms,
                "boot": 1,
                "seq": number,
            }
            key = school.encode()
            self._sent[event] = time.time()
            await producer.send(
                PANICS.name,
                json.dumps(value).encode(),
                key=key,
                partition=partition_of(key, self.kafka.partitions),
            )
            number += 1
            await asyncio.sleep(PRESS_EVERY_S)

    async def _hear(self, _: TopicPartition, records: list[ConsumerRecord]) -> None:
        for record in records:
            event = json.loads(record.value or b"{}").get("event")
            if event in self._sent:
                self._heard.setdefault(event, time.time())


def panic_worker(settings: Settings) -> MeasuredProcess:
    log: Path = settings.var / "panic.log"
    return MeasuredProcess(("-m", "streams", "panic"), settings.environment(), log)


def run_burst(
    task: Task, settings: Settings, worker: MeasuredProcess, client: Client
) -> tuple[dict[str, Any], Any]:
    """Send the task's records at once beside presses; figures, and the presses' histogram.

    The flow worker must be up and idle. Raises RuntimeError when a process ends early, the panic
    worker doesn't answer, or the burst isn't stored within DRAIN_S.
    """
    generator = Generator.start(task, settings)
    try:
        with panic_worker(settings):
            presses = Presses(settings.kafka, task.crowd.schools)
            presses.start()
            before, cpu_s = sum(visible(client).values()), worker.look()
            began_s = time.perf_counter()
            generator.go()
            while (there := sum(visible(client).values()) - before) < task.records:
                if time.perf_counter() - began_s > DRAIN_S:
                    raise RuntimeError(f"{there} of {task.records} stored after {DRAIN_S:.0f} s")
                worker.look()
                time.sleep(POLL_S)
            drained_s, used_s = time.perf_counter() - began_s, worker.look() - cpu_s
            missed, latencies = presses.finish()
        report = generator.report()
    finally:
        generator.stop()
    of_presses = percentiles_ms(latencies)
    return {
        "burst_events": task.records,
        "burst_sent_in_s": round(report["seconds"], 1),
        "burst_drain_s": round(drained_s, 1),
        "burst_events_per_s": round(task.records / drained_s),
        "burst_cpu_us_per_event": round(used_s / task.records * 1e6, 2),
        "burst_panics": latencies.get_total_count(),
        "burst_panics_missed": missed,
        "burst_panic_p50_ms": of_presses.get("p50"),
        "burst_panic_p99_ms": of_presses.get("p99"),
        "burst_panic_max_ms": of_presses.get("max"),
    }, latencies
