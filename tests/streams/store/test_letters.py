"""Dead letters of what is too large for one, on a real broker."""

from collections.abc import AsyncIterator
from hashlib import sha256

import pytest
from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.admin.config_resource import ConfigResource, ConfigResourceType

from deploy.topics import ensure_topics
from schemas.settings import KafkaSettings, Settings
from schemas.topics import DEAD_LETTERS, MAX_MESSAGE_BYTES, PASSES, WITHOUT_BYTES_HEADER
from streams.store.block import Letter
from streams.store.judge import Reason, Rejected, dead_letter
from streams.store.letters import DeadLetters
from tests.loadtest.streams import START_MS

pytestmark = pytest.mark.broker

MIB = 1024 * 1024


@pytest.fixture
async def letters(kafka_broker: KafkaSettings) -> AsyncIterator[DeadLetters]:
    ensure_topics(Settings(kafka=kafka_broker))
    letters = DeadLetters(kafka_broker)
    await letters.start()
    yield letters
    await letters.stop()


def letter(offset: int, key: bytes | None, value: bytes | None) -> Letter:
    why = Rejected(Reason.TOO_LARGE, "/" + "x" * 9_999, "y" * 9_999)
    return dead_letter(PASSES.name, 0, offset, START_MS, value, why), key, value


async def end(kafka: KafkaSettings) -> int:
    async with AIOKafkaConsumer(**kafka.aiokafka_kwargs()) as consumer:
        tp = TopicPartition(DEAD_LETTERS.name, 0)
        return int((await consumer.end_offsets([tp]))[tp])


async def sent(
    kafka: KafkaSettings, since: int, count: int
) -> list[tuple[bytes | None, dict[str, bytes]]]:
    """(value, headers) of the newest letters."""
    async with AIOKafkaConsumer(**kafka.aiokafka_kwargs()) as consumer:
        tp = TopicPartition(DEAD_LETTERS.name, 0)
        consumer.assign([tp])
        consumer.seek(tp, since)
        return [
            (one.value, dict(one.headers))
            for one in [await consumer.getone() for _ in range(count)]
        ]


SIZES = [
    pytest.param(b"KZ-75-00001", b"small", True, id="small"),
    pytest.param(
        b"KZ-75-00001", b"x" * (MAX_MESSAGE_BYTES - 120), True, id="as large as its topic allows"
    ),
    pytest.param(b"KZ-75-00001", b"x" * 20 * MIB, False, id="compressed on its topic"),
    pytest.param(b"k" * 2 * MIB, b"x", False, id="a key that is none"),
    pytest.param(None, None, True, id="nothing"),
]


@pytest.mark.parametrize(("key", "value", "carried"), SIZES)
async def test_whatever_a_topic_takes_becomes_a_letter(
    kafka_broker: KafkaSettings,
    letters: DeadLetters,
    key: bytes | None,
    value: bytes | None,
    carried: bool,
) -> None:
    since = await end(kafka_broker)
    await letters.send([letter(7, key, value)])
    [(bytes_, headers)] = await sent(kafka_broker, since, 1)
    assert (bytes_ == value) is carried
    assert (WITHOUT_BYTES_HEADER in headers) is not carried
    assert sha256(value or b"").hexdigest().encode() in headers["saqshy"]


async def test_a_topic_of_letters_with_an_older_limit_takes_them_without_bytes(
    kafka_broker: KafkaSettings, letters: DeadLetters
) -> None:
    since = await end(kafka_broker)
    admin = AIOKafkaAdminClient(**kafka_broker.aiokafka_kwargs())
    await admin.start()

    async def limit(bytes_: int) -> None:
        configs = {**DEAD_LETTERS.configs(), "max.message.bytes": str(bytes_)}
        topic = ConfigResource(ConfigResourceType.TOPIC, DEAD_LETTERS.name, configs=configs)
        await admin.alter_configs([topic])

    try:
        await limit(MIB)
        large = b"x" * 2 * MIB
        await letters.send(
            [letter(n, b"key", value) for n, value in enumerate([b"a", large, b"b"])]
        )
        await letters.send([letter(3, b"key", b"c")])
    finally:
        await limit(DEAD_LETTERS.max_message_bytes)
        await admin.close()
    got = await sent(kafka_broker, since, 4)
    assert sorted(value or b"" for value, _ in got) == [b"", b"a", b"b", b"c"]
    assert [WITHOUT_BYTES_HEADER in headers for value, headers in got if value is None] == [True]
