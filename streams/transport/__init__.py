"""Batches of Kafka records to Faust agents, and offsets that only the agents commit.

    app = faust.App("saqshy-flow", **app_settings(settings.kafka, datadir=settings.var / "faust"))
    flow = batches(app, ["saqshy.flow"], on_assigned=store.finish_pending)

    @app.agent(flow, concurrency=4)
    async def store_flow(stream):
        async for batch in stream:
            with batch:  # raises: the same records come again
                await store.insert(batch.records)
                await batch.commit()

Per partition one batch is out at a time, so a hung insert stops its partition only, and memory is
bounded by the partitions' fetch buffers. `app.consumer` has `commit_at`, `committed`,
`read_range` and `metrics`.
"""

from streams.transport.app import app_settings
from streams.transport.batch import Abandoned, Batch, Committed, Located, Record
from streams.transport.channel import BatchChannel, OnAssigned, batches
from streams.transport.consumer import Consumer, Transport
from streams.transport.metrics import Metrics, Progress
from streams.transport.records import RangeUnavailable
from streams.transport.timeline import LogState, Timeline

__all__ = [
    "Abandoned",
    "Batch",
    "BatchChannel",
    "Committed",
    "Consumer",
    "Located",
    "LogState",
    "Metrics",
    "OnAssigned",
    "Progress",
    "RangeUnavailable",
    "Record",
    "Timeline",
    "Transport",
    "app_settings",
    "batches",
]
