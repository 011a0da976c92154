"""confluent-kafka to clickhouse-driver: consume a batch, insert, commit."""

from confluent_kafka import Consumer

from loadtest.peers.librdkafka import config
from loadtest.peers.storing import BATCH, WITHIN_S, Task
from schemas.private import keep_private
from schemas.settings import configured_var


def main() -> None:
    task = Task()
    consumer = Consumer(
        {
            **config(task),
            "group.id": task.group,
            "auto.offset.reset": "earliest",
            "enable.auto.commit": "false",
        }
    )
    consumer.subscribe([task.topic])
    while True:
        messages = [
            (m.partition() or 0, m.offset() or 0, m.timestamp()[1], m.value() or b"")
            for m in consumer.consume(BATCH, timeout=WITHIN_S)
            if m.error() is None
        ]
        if messages:
            task.insert(messages)
            consumer.commit(asynchronous=False)


if __name__ == "__main__":
    keep_private(configured_var())
    main()
