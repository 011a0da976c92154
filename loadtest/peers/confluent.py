"""confluent-kafka (librdkafka), consume() in a loop."""

from confluent_kafka import Consumer

from loadtest.peers.librdkafka import config
from loadtest.peers.work import Job
from schemas.private import keep_private
from schemas.settings import configured_var


def main() -> None:
    job = Job()
    consumer = Consumer({**config(job), "group.id": job.group, "auto.offset.reset": "earliest"})
    consumer.subscribe([job.topic])
    while True:
        messages = consumer.consume(10_000, timeout=0.5)
        if messages:
            job.do(message.value() or b"" for message in messages if message.error() is None)


if __name__ == "__main__":
    keep_private(configured_var())
    main()
