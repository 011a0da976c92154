"""kafka-python, poll() in a loop."""

from kafka import KafkaConsumer

from loadtest.peers.work import Job
from schemas.private import keep_private
from schemas.settings import configured_var


def main() -> None:
    job = Job()
    consumer = KafkaConsumer(
        job.topic, group_id=job.group, auto_offset_reset="earliest", **job.kafka
    )
    while True:
        for records in consumer.poll(timeout_ms=500, max_records=10_000).values():
            job.do(record.value for record in records)


if __name__ == "__main__":
    keep_private(configured_var())
    main()
