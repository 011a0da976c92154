"""Fill a topic with turnstile passes as fast as librdkafka takes them."""

import random
import uuid
from typing import Final

from schemas.settings import Settings

SCHOOLS: Final = 8_000
FIRST_MS: Final = 1_790_000_000_000


def pass_bytes(number: int, rng: random.Random) -> tuple[bytes, bytes]:
    """Key and value of the number-th pass: schools in turn, one sequence per device."""
    school = f"KZ-{number % 20 + 10}-{number % SCHOOLS:05d}".encode()
    milliseconds = FIRST_MS + number // 5
    random_bits = rng.getrandbits(74)
    event = uuid.UUID(
        int=milliseconds << 80
        | 0x7 << 76
        | random_bits >> 62 << 64
        | 0x2 << 62
        | random_bits & (1 << 62) - 1
    )
    value = (
        b'{"id":"%b","school":"%b","device":"turnstile-1","time_ms":%d,"boot":1,"seq":%d,"v":1,'
        b'"type":"pass","direction":"in","outcome":"granted","card":"%016x"}'
        % (str(event).encode(), school, milliseconds, number // SCHOOLS, rng.getrandbits(64))
    )
    return school, value


def preload_passes(settings: Settings, topic: str, records: int, seed: int = 1) -> None:
    """Produce so many passes and wait until the broker has acknowledged them all.

    Raises RuntimeError when some were not, or when confluent-kafka isn't installed.
    """
    try:
        from confluent_kafka import Producer  # of the development packages, not needed to run
    except ImportError:
        raise RuntimeError(
            "preloading needs confluent-kafka: run make test once, it installs it"
        ) from None
    producer = Producer(
        {
            **settings.kafka.confluent_config(),
            "compression.type": "lz4",
            "linger.ms": "20",
            "batch.size": "262144",
            "partitioner": "murmur2_random",
            "queue.buffering.max.messages": "500000",
        }
    )
    rng = random.Random(seed)
    for number in range(records):
        key, value = pass_bytes(number, rng)
        while True:
            try:
                producer.produce(topic, value, key)
                break
            except BufferError:
                producer.poll(0.1)
        if number % 10_000 == 0:
            producer.poll(0)
    left = producer.flush(60)
    if left:
        raise RuntimeError(f"{left} of {records} passes were not acknowledged by the broker")
