"""A worker process that stores (partition, offset) in a file, then commits: killed by the tests.

python -m tests.streams.transport.worker '{"kafka": {…}, "group": …, "topic": …, "folder": …}'
"""

import asyncio
import json
import os
import sys
from pathlib import Path

import faust

from schemas.settings import KafkaSettings
from streams.transport import Abandoned, Batch
from tests.streams.transport.cluster import Cluster


def main() -> None:
    order = json.loads(sys.argv[1])
    folder = Path(order["folder"])
    file = os.open(folder / f"stored-{os.getpid()}", os.O_WRONLY | os.O_CREAT | os.O_APPEND)

    async def store(batch: Batch) -> None:
        await asyncio.sleep(0.005)
        lines = "".join(f"{batch.tp.partition} {record.offset}\n" for record in batch.records)
        os.write(file, lines.encode())
        try:
            await batch.commit(f"stored to {batch.next_offset}")
        except Abandoned:
            batch.done()

    cluster = Cluster(KafkaSettings.model_validate(order["kafka"]), folder)
    app = cluster.app(
        order["group"],
        [order["topic"]],
        store,
        max_records=200,
        broker_session_timeout=order["session_s"],
        broker_rebalance_timeout=5.0,
    )
    worker = faust.Worker(app, loglevel="WARNING", redirect_stdouts=False)
    worker.execute_from_commandline()


if __name__ == "__main__":
    main()
