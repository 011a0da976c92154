"""quixstreams, idiomatic: a streaming dataframe with a function per record.

Runs in an environment of its own (loadtest/peers/requirements.lock), since quixstreams asks
for older versions of what we use.
"""

from quixstreams import Application
from quixstreams.kafka.configuration import ConnectionConfig

from loadtest.peers.work import DECODE, Job
from schemas.private import keep_private
from schemas.settings import configured_var


def main() -> None:
    job = Job()
    connection = ConnectionConfig(bootstrap_servers=job.bootstrap)
    if "sasl_mechanism" in job.kafka:
        connection = ConnectionConfig(
            bootstrap_servers=job.bootstrap,
            security_protocol=job.kafka["security_protocol"].lower(),
            sasl_mechanism=job.kafka["sasl_mechanism"],
            sasl_username=job.kafka["sasl_plain_username"],
            sasl_password=job.kafka["sasl_plain_password"],
        )
    app = Application(
        broker_address=connection,
        consumer_group=job.group,
        auto_offset_reset="earliest",
        auto_create_topics=False,
        loglevel="ERROR",
    )

    def count(value: bytes) -> None:
        event = DECODE(value)
        job.count(event.school, event.time_ms)

    topic = app.topic(job.topic, value_deserializer="bytes", key_deserializer="bytes")
    app.dataframe(topic).update(count)
    app.run()


if __name__ == "__main__":
    keep_private(configured_var())
    main()
