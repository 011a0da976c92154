"""What Kafka was told of the console's audit log (schemas.audit)."""

from kafka import KafkaConsumer, TopicPartition
from pydantic import ValidationError

from schemas.audit import AUDIT_HEAD
from schemas.settings import Settings
from schemas.topics import AUDIT_HEADS

WITHIN_MS = 10_000


def heads_in_kafka(settings: Settings) -> dict[int, str]:
    """Hashes by the numbers of their lines; of several of one number the first. Raises KafkaError, and
    TimeoutError when the topic is not told whole.
    """
    found: dict[int, str] = {}
    consumer = KafkaConsumer(
        **settings.kafka.kafka_python_kwargs(),
        enable_auto_commit=False,
        auto_offset_reset="earliest",
        consumer_timeout_ms=WITHIN_MS,
    )
    try:
        numbers = consumer.partitions_for_topic(AUDIT_HEADS.name) or set()
        partitions = [TopicPartition(AUDIT_HEADS.name, number) for number in sorted(numbers)]
        consumer.assign(partitions)
        ends = consumer.end_offsets(partitions)
        while any(consumer.position(one) < ends[one] for one in partitions):
            told = consumer.poll(timeout_ms=WITHIN_MS)
            if not told:
                raise TimeoutError(f"{AUDIT_HEADS.name} was not told whole")
            for records in told.values():
                for record in records:
                    try:
                        head = AUDIT_HEAD.validate_json(record.value or b"")
                    except ValidationError:
                        continue
                    found.setdefault(head.n, head.head)
    finally:
        consumer.close()
    return found
