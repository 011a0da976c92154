"""Sends a stream to Kafka and counts what the broker acknowledged: that, and only that, is produced.

Both clients place a key by Kafka's murmur2, as every standard client does, and are idempotent with
acks=all, so that a retry of theirs neither loses nor doubles a record.
"""

import threading
import time
from collections import Counter
from collections.abc import Callable, Iterable
from contextlib import closing, suppress
from dataclasses import dataclass, field
from functools import partial
from typing import Any, Final, Protocol

from kafka import KafkaConsumer, KafkaProducer, TopicPartition
from kafka.errors import KafkaTimeoutError
from kafka.partitioner import DefaultPartitioner

from loadtest.simulator.encode import Record, event_id_of
from loadtest.simulator.stream import Batch, Truth
from schemas.settings import KafkaSettings
from schemas.topics import EVENT_TOPICS, REGISTRY

MAX_RECORD_BYTES: Final = 3 * 1024 * 1024
MAX_OUTSTANDING: Final = 200_000  # records not yet acknowledged: bounds our memory
DELIVERY_TIMEOUT_MS: Final = 300_000  # longer than a broker needs to come back
LINGER_MS: Final = 5
BATCH_BYTES: Final = 128 * 1024
CLOSE_S: Final = 5.0


@dataclass(slots=True)
class Tally:
    """What the broker acknowledged, and what it never did (which may still be stored)."""

    produced: Counter[str] = field(default_factory=Counter)
    by_label: Counter[str] = field(default_factory=Counter)
    presses: list[str] = field(default_factory=list)
    failed: Counter[str] = field(default_factory=Counter)
    sent: int = 0

    @property
    def outstanding(self) -> int:
        return self.sent - self.produced.total() - self.failed.total()

    @property
    def by_type(self) -> dict[str, int]:
        return {k: n for k, n in sorted(self.by_label.items()) if not k.startswith("!")}

    @property
    def expected_dead_letters(self) -> dict[str, int]:
        return {k[1:]: n for k, n in sorted(self.by_label.items()) if k.startswith("!")}

    def acknowledged(self, topic: str, label: str, _answer: object = None) -> None:
        self.produced[topic] += 1
        self.by_label[label] += 1

    def press_acknowledged(
        self, topic: str, label: str, value: bytes, _answer: object = None
    ) -> None:
        self.acknowledged(topic, label)
        self.presses.append(event_id_of(value))

    def not_acknowledged(self, topic: str, _error: object = None) -> None:
        self.failed[topic] += 1


class Sink(Protocol):
    """A Kafka client. ``send`` may return before the record has left, ``wait`` lets acknowledgements
    come in, ``flush`` waits for all of them, at most ``timeout_s``."""

    tally: Tally

    def send(self, record: Record) -> None: ...

    def wait(self, seconds: float) -> None: ...

    def flush(self, timeout_s: float) -> None: ...

    def close(self) -> None: ...


class KafkaPythonSink:
    def __init__(self, kafka: KafkaSettings) -> None:
        self.tally = Tally()
        self._producer = KafkaProducer(
            **kafka.kafka_python_kwargs(),
            acks="all",
            enable_idempotence=True,
            compression_type="lz4",
            linger_ms=LINGER_MS,
            batch_size=BATCH_BYTES,
            max_request_size=MAX_RECORD_BYTES,
            delivery_timeout_ms=DELIVERY_TIMEOUT_MS,
            partitioner=_RememberedPartitioner(),
            allow_auto_create_topics=False,
        )
        for topic in EVENT_TOPICS:  # else the first record of each waits for its metadata
            self._producer.partitions_for(topic.name)
        self._callbacks: dict[tuple[str, ...], Callable[[object], None]] = {}

    def send(self, record: Record) -> None:
        topic, key, value, label = record
        tally = self.tally
        tally.sent += 1
        acknowledged: Callable[[object], None]
        if label == "panic.pressed":
            acknowledged = partial(tally.press_acknowledged, topic, label, value)
        else:
            acknowledged = self._callback(tally.acknowledged, topic, label)
        future = self._producer.send(topic, value=value, key=key)
        future.add_callback(acknowledged)
        future.add_errback(self._callback(tally.not_acknowledged, topic))

    def _callback(self, act: Callable[..., None], *names: str) -> Callable[[object], None]:
        """One callback per topic and label, not per record."""
        known = self._callbacks.get((act.__name__, *names))
        if known is None:
            known = self._callbacks[act.__name__, *names] = partial(act, *names)
        return known

    def wait(self, seconds: float) -> None:
        time.sleep(seconds)

    def flush(self, timeout_s: float) -> None:
        with suppress(KafkaTimeoutError):  # what is still unanswered shows in the tally
            self._producer.flush(timeout=timeout_s)

    def close(self) -> None:
        with suppress(KafkaTimeoutError):
            self._producer.close(timeout=CLOSE_S)


class ConfluentSink:
    """For benchmarks: librdkafka sends several times as fast. Needs confluent-kafka."""

    def __init__(self, kafka: KafkaSettings) -> None:
        from confluent_kafka import Producer  # an optional dependency

        self.tally = Tally()
        self._producer = Producer(
            {
                **kafka.confluent_config(),
                "enable.idempotence": True,
                "acks": "all",
                "compression.type": "lz4",
                "linger.ms": LINGER_MS,
                "batch.size": BATCH_BYTES,
                "message.max.bytes": MAX_RECORD_BYTES,
                "delivery.timeout.ms": DELIVERY_TIMEOUT_MS,
                "queue.buffering.max.messages": MAX_OUTSTANDING * 2,
                "queue.buffering.max.kbytes": 512 * 1024,
                "partitioner": "murmur2_random",
                "allow.auto.create.topics": False,
            }
        )

    def send(self, record: Record) -> None:
        topic, key, value, label = record
        self.tally.sent += 1
        self._producer.produce(
            topic, value, key, on_delivery=partial(self._delivered, topic, label)
        )
        if not self.tally.sent % 64:
            self._producer.poll(0)

    def _delivered(self, topic: str, label: str, error: Any, message: Any) -> None:
        if error is not None:
            self.tally.not_acknowledged(topic)
        elif label == "panic.pressed":
            self.tally.press_acknowledged(topic, label, message.value())
        else:
            self.tally.acknowledged(topic, label)

    def wait(self, seconds: float) -> None:
        self._producer.poll(seconds)

    def flush(self, timeout_s: float) -> None:
        self._producer.flush(timeout_s)

    def close(self) -> None:
        self._producer.flush(CLOSE_S)


SINKS: Final[dict[str, Callable[[KafkaSettings], Sink]]] = {
    "kafka-python": KafkaPythonSink,
    "confluent": ConfluentSink,
}


class _RememberedPartitioner(DefaultPartitioner):  # type: ignore[misc]
    """kafka-python's own murmur2, computed once per key: in Python it costs more than the send."""

    def __init__(self) -> None:
        self._known: dict[tuple[bytes, int], int] = {}

    def partition(
        self,
        topic: str,
        key: Any,
        serialized_key: bytes | None,
        value: Any,
        serialized_value: bytes | None,
        cluster: Any,
    ) -> int:
        if serialized_key is None:
            raise ValueError("every record has its school as key")
        name = (serialized_key, len(cluster.partitions_for_topic(topic) or ()))
        if name not in self._known:
            self._known[name] = super().partition(
                topic, key, serialized_key, value, serialized_value, cluster
            )
        return self._known[name]


def transmit(
    batches: Iterable[Batch],
    sink: Sink,
    *,
    stop: threading.Event,
    told: Callable[[Truth], None] = lambda truth: None,
    progress: Callable[[Tally], None] = lambda tally: None,
) -> None:
    """Send until the stream ends or ``stop`` is set. Call ``sink.flush`` afterwards.

    When the broker does not keep up, this waits for it rather than filling the memory; the
    stream's pace then shows how far behind its schedule it is.
    """
    for batch in batches:
        for record in batch.records:
            sink.send(record)
        for truth in batch.truth:
            told(truth)
        progress(sink.tally)
        while sink.tally.outstanding > MAX_OUTSTANDING and not stop.is_set():
            sink.wait(0.005)
        if stop.is_set():
            return


def registry_is_empty(kafka: KafkaSettings) -> bool:
    """Whether no school was ever registered. Raises KafkaError when the broker can't be asked."""
    with closing(KafkaConsumer(**kafka.kafka_python_kwargs())) as consumer:
        partitions = consumer.partitions_for_topic(REGISTRY.name) or set()
        ends = consumer.end_offsets([TopicPartition(REGISTRY.name, p) for p in partitions])
        return not any(ends.values())
