"""Clients of the embedded ClickHouse, and the codes of its errors."""

from typing import Any

from clickhouse_driver import Client

from tests.deploy.embedded.parts import Running

UNKNOWN_TABLE, SYNTAX_ERROR, AUTHENTICATION_FAILED, ACCESS_DENIED = 60, 62, 516, 497
NOT_SEEN = 636  # merge() finds no table that it may read
DATABASE = "saqshy"  # the one whose published views the reader is granted


def connect(engine: Running, **other: Any) -> Client:
    kwargs = engine.settings.clickhouse.driver_kwargs() | {"database": DATABASE} | other
    return Client(**kwargs)


def count(client: Client, table: str) -> int:
    return int(client.execute(f"SELECT count() FROM {table}")[0][0])
