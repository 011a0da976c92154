"""Bring the ClickHouse tables to this version: the .sql files in order, recorded, re-runnable.

Refused, with both hashes, when a file that was applied has changed since (clickhouse-migrations).
"""

from pathlib import Path
from typing import Final

from clickhouse_migrations.clickhouse_cluster import ClickhouseCluster

from schemas.settings import ClickHouseSettings

SQL: Final = Path(__file__).parent / "clickhouse"


def migrate(settings: ClickHouseSettings) -> list[str]:
    """Create the database if need be, apply what is new, return the names of the files applied."""
    cluster = ClickhouseCluster(
        db_host=settings.host,
        db_port=str(settings.port),
        db_user=settings.user,
        db_password=settings.secret() or "",
        secure=settings.secure,
    )
    applied = cluster.migrate(
        settings.database, SQL, multi_statement=True, create_db_if_no_exists=True
    )
    return [migration.name for migration in applied]
