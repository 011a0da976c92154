"""bytewax, idiomatic: a dataflow from its Kafka source through a map to a sink that counts.

Runs in the peers' own environment. It knows no consumer groups: it reads all partitions.
"""

from typing import Any

import bytewax.operators as op
from bytewax.connectors.kafka import KafkaSource, KafkaSourceMessage
from bytewax.dataflow import Dataflow
from bytewax.outputs import DynamicSink, StatelessSinkPartition
from bytewax.run import cli_main

from loadtest.peers.librdkafka import config
from loadtest.peers.work import DECODE, Job, Pass
from schemas.private import keep_private
from schemas.settings import configured_var


class _Counted(StatelessSinkPartition[Pass]):  # type: ignore[misc]
    def __init__(self, job: Job) -> None:
        self._job = job

    def write_batch(self, items: list[Pass]) -> None:
        for event in items:
            self._job.count(event.school, event.time_ms)


class Count(DynamicSink[Pass]):  # type: ignore[misc]
    def __init__(self, job: Job) -> None:
        self._job = job

    def build(self, *_: Any) -> _Counted:
        return _Counted(self._job)


def decoded(message: KafkaSourceMessage[bytes, bytes]) -> Pass:
    event: Pass = DECODE(message.value)
    return event


def main() -> None:
    job = Job()
    connection = config(job)
    brokers = connection.pop("bootstrap.servers").split(",")
    flow = Dataflow("count")
    source = KafkaSource(brokers, [job.topic], add_config=connection, batch_size=10_000)
    op.output("count", op.map("decode", op.input("kafka", flow, source), decoded), Count(job))
    cli_main(flow)


if __name__ == "__main__":
    keep_private(configured_var())
    main()
