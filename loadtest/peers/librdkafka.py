"""The same connection in librdkafka's words."""

from loadtest.peers.connection import Connection


def config(job: Connection) -> dict[str, str]:
    words = {
        "bootstrap.servers": job.bootstrap,
        "security.protocol": job.kafka["security_protocol"],
        # After its queue was full it asks again after a second, unless told otherwise: a tuned
        # consumer would not stand still meanwhile.
        "fetch.queue.backoff.ms": "10",
    }
    if "sasl_mechanism" in job.kafka:
        words |= {
            "sasl.mechanism": job.kafka["sasl_mechanism"],
            "sasl.username": job.kafka["sasl_plain_username"],
            "sasl.password": job.kafka["sasl_plain_password"],
        }
    return words
