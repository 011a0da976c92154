"""The ClickHouse engine (chDB) served on ClickHouse's native protocol, for clickhouse-driver unchanged."""

import asyncio
from pathlib import Path
from typing import Final

from clickhouse_driver import Client

from deploy.embedded.ports import LOOPBACK
from deploy.embedded.secrets import secret, secret_path
from schemas.settings import ClickHouseSettings

PASSWORD_NAME: Final = "clickhouse-password"  # noqa: S105
READER_PASSWORD_NAME: Final = "clickhouse-reader-password"  # noqa: S105
READER: Final = "saqshy_reader"


def clickhouse_settings(var: Path, port: int) -> ClickHouseSettings:
    """How clients reach the embedded engine at ``port``."""
    secret(var, PASSWORD_NAME)
    return ClickHouseSettings(
        host=LOOPBACK, port=port, password_file=secret_path(var, PASSWORD_NAME).resolve()
    )


async def clickhouse_ready(settings: ClickHouseSettings) -> bool:
    """Whether it lets us in and answers a query. Raises what clickhouse-driver raises."""
    try:  # a closed port is the usual "not yet": the driver would log an error for it
        _, writer = await asyncio.open_connection(settings.host, settings.port)
        writer.close()
    except OSError:
        return False
    return await asyncio.to_thread(_answers, settings)


def _answers(settings: ClickHouseSettings) -> bool:
    kwargs = settings.driver_kwargs() | {"database": "default", "send_receive_timeout": 3}
    with Client(**kwargs) as client:
        return bool(client.execute("SELECT 1") == [(1,)])
