"""kafka-python to clickhouse-driver: poll until a batch is full or old, insert, commit."""

import time

from kafka import KafkaConsumer

from loadtest.peers.storing import BATCH, WITHIN_S, Raw, Task
from schemas.private import keep_private
from schemas.settings import configured_var


def main() -> None:
    task = Task()
    consumer = KafkaConsumer(
        task.topic,
        group_id=task.group,
        auto_offset_reset="earliest",
        enable_auto_commit=False,
        max_poll_records=BATCH,
        **task.kafka,
    )
    while True:
        batch: list[Raw] = []
        until_s = time.monotonic() + WITHIN_S
        while len(batch) < BATCH and time.monotonic() < until_s:
            for records in consumer.poll(timeout_ms=200, max_records=BATCH - len(batch)).values():
                batch += [(r.partition, r.offset, r.timestamp, r.value) for r in records]
        if batch:
            task.insert(batch)
            consumer.commit()


if __name__ == "__main__":
    keep_private(configured_var())
    main()
