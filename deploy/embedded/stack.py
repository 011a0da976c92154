"""Kafka and ClickHouse of this machine as parts for the supervisor, and the file that says where they are."""

import sys
from pathlib import Path

from deploy.embedded.clickhouse import clickhouse_ready, clickhouse_settings
from deploy.embedded.kafka import kafka_ready, kafka_settings
from deploy.embedded.ports import kept_port
from deploy.embedded.secrets import write_private
from deploy.supervisor import Part
from schemas.settings import Settings, stack_file
from streams.processes import BULK


def stack_parts(settings: Settings) -> tuple[Part, Part]:
    """Both parts; writes var/run/stack.json, so that ``Settings()`` finds them from now on.

    Passwords stand there as paths of their files only.
    """
    var = settings.var.absolute()
    # Chosen once here and given to each start of a part: clients find a restarted part again.
    kafka_port, clickhouse_port = kept_port(var, "kafka"), kept_port(var, "clickhouse")
    kafka = kafka_settings(var, kafka_port)
    clickhouse = clickhouse_settings(var, clickhouse_port)
    write_private(stack_file(var), _written(kafka=kafka, clickhouse=clickhouse))

    async def kafka_is_ready() -> bool:
        return await kafka_ready(kafka)

    async def clickhouse_is_ready() -> bool:
        return await clickhouse_ready(clickhouse)

    return (
        Part(
            "kafka",
            _argv("deploy.embedded.kafka", var, kafka_port),
            kafka_is_ready,
            start_timeout_s=240.0,
        ),
        Part(
            "clickhouse",
            _argv("deploy.embedded.clickhouse", var, clickhouse_port),
            clickhouse_is_ready,
            nice=BULK,
        ),
    )


def _argv(module: str, var: Path, port: int) -> tuple[str, ...]:
    return (sys.executable, "-m", module, "--var", str(var), "--port", str(port))


def _written(**parts: object) -> str:
    partial = Settings.model_construct(**parts)  # type: ignore[arg-type]
    return partial.model_dump_json(include=set(parts), exclude_unset=True, indent=2)
