"""Settings with which a Faust app runs on this transport."""

from pathlib import Path
from typing import Any

from faust import SASLCredentials, SSLCredentials

from schemas.settings import KafkaSettings


def app_settings(
    kafka: KafkaSettings, *, datadir: Path, member: str | None = None
) -> dict[str, Any]:
    """Keyword arguments for `faust.App(group, **app_settings(...))`.

    `member` names this worker within the group for good (static membership): back within a
    session after a restart, it gets its partitions again without a rebalance. Of two living workers
    of one name the one that started later ends (see streams.transport.name).
    """
    return {
        "broker": [f"batch://{address.strip()}" for address in kafka.bootstrap.split(",")],
        "broker_credentials": _credentials(kafka),
        "consumer_group_instance_id": member,
        # A killed worker's partitions stand still for a session (Faust: 60 s).
        "broker_session_timeout": 10.0,
        "broker_heartbeat_interval": 1.0,
        "broker_rebalance_timeout": 30.0,
        "broker_request_timeout": 30.0,
        # An event loop stuck for so long loses its partitions to other workers.
        "broker_max_poll_interval": 60.0,
        "consumer_auto_offset_reset": "earliest",
        # How soon an added partition is found.
        "consumer_metadata_max_age_ms": 10_000,
        "topic_allow_declare": False,
        "topic_disable_leader": True,
        "table_standby_replicas": 0,
        "store": "memory://",
        "web_enabled": False,
        "datadir": datadir,
    }


def _credentials(kafka: KafkaSettings) -> SASLCredentials | SSLCredentials | None:
    ssl_context = kafka.ssl_context() if kafka.security_protocol.endswith("SSL") else None
    if kafka.security_protocol.startswith("SASL"):
        return SASLCredentials(
            username=kafka.username,
            password=kafka.secret(),
            mechanism=kafka.sasl_mechanism,
            ssl_context=ssl_context,
        )
    return SSLCredentials(ssl_context) if ssl_context is not None else None
