"""aiokafka by itself, whole polls: the floor under everything that is built on it."""

import asyncio

from aiokafka import AIOKafkaConsumer

from loadtest.peers.work import Job
from schemas.private import keep_private
from schemas.settings import configured_var


async def read(job: Job) -> None:
    consumer = AIOKafkaConsumer(
        job.topic, group_id=job.group, auto_offset_reset="earliest", **job.kafka
    )
    await consumer.start()
    while True:
        for records in (await consumer.getmany(timeout_ms=500, max_records=10_000)).values():
            job.do(record.value for record in records)


if __name__ == "__main__":
    keep_private(configured_var())
    asyncio.run(read(Job()))
