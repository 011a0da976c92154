"""How the transport's consumers are connected: Faust's settings as aiokafka's."""

from typing import Any

from aiokafka import AIOKafkaConsumer
from aiokafka.coordinator.assignors.range import RangePartitionAssignor
from faust.transport.drivers import aiokafka as driver

from streams.runtime.kafka import clients

# A fetch is answered when its first record comes, and aiokafka has one in flight per broker. It leaves out a
# partition whose agent takes longer than aiokafka waits for it (0.1 s): a press there, in a silence of all
# others, waits for the answer, so that may not take long.
FETCH_MAX_WAIT_MS = 200


def member_of_group(conf: Any, connection: dict[str, Any]) -> AIOKafkaConsumer:
    """The consumer of a worker. ``conf``: of a Faust app; ``connection``: as below."""
    # Range, as it gives a worker the same partitions of all co-read topics; round robin
    # doesn't when the partitions aren't a multiple of the workers.
    return clients.consumer(
        connection,
        group_id=conf.id,
        group_instance_id=conf.consumer_group_instance_id,
        partition_assignment_strategy=[RangePartitionAssignor],
        auto_offset_reset=conf.consumer_auto_offset_reset,
        max_poll_interval_ms=int((conf.broker_max_poll_interval or 0) * 1000),
        session_timeout_ms=int(conf.broker_session_timeout * 1000),
        rebalance_timeout_ms=int(conf.broker_rebalance_timeout * 1000),
        heartbeat_interval_ms=int(conf.broker_heartbeat_interval * 1000),
    )


def connection(conf: Any, transport: Any, client_id: str) -> dict[str, Any]:
    """What every consumer of a worker is connected with."""
    return {
        "bootstrap_servers": driver.server_list(transport.url, transport.default_port),
        "client_id": client_id,
        "max_partition_fetch_bytes": conf.consumer_max_fetch_size,
        "fetch_max_wait_ms": FETCH_MAX_WAIT_MS,
        "request_timeout_ms": int(conf.broker_request_timeout * 1000),
        "check_crcs": conf.broker_check_crcs,
        "metadata_max_age_ms": conf.consumer_metadata_max_age_ms,
        "connections_max_idle_ms": conf.consumer_connections_max_idle_ms,
        **driver.credentials_to_aiokafka_auth(conf.broker_credentials, conf.ssl_context),
    }
