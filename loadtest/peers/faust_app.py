"""A Faust app as a peer starts it."""

import sys
import tempfile

import faust

from loadtest.peers.connection import Connection


def faust_app(job: Connection, scheme: str) -> faust.App:
    credentials = None
    if job.kafka["security_protocol"].startswith("SASL"):
        credentials = faust.SASLCredentials(
            username=job.kafka["sasl_plain_username"],
            password=job.kafka["sasl_plain_password"],
            mechanism=job.kafka["sasl_mechanism"],
        )
    sys.argv = ["peer", "worker", "-l", "error", "--without-web"]
    return faust.App(
        job.group,
        broker=f"{scheme}://{job.bootstrap}",
        broker_credentials=credentials,
        consumer_auto_offset_reset="earliest",
        topic_disable_leader=True,
        topic_allow_declare=False,
        web_enabled=False,
        datadir=tempfile.mkdtemp(prefix="peer-"),
    )
