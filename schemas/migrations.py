"""Bring the ClickHouse tables to this version: the .sql files in order, recorded, re-runnable.

clickhouse-migrations applies and records them (table schema_versions). A file is recorded after its
last statement, so each statement must stand being run twice (IF NOT EXISTS).
"""

from pathlib import Path
from typing import Any, Final

from clickhouse_migrations.clickhouse_cluster import ClickhouseCluster
from clickhouse_migrations.migration import MigrationStorage
from clickhouse_migrations.migrator import STATUS_MD5_MISMATCH, STATUS_PENDING, STATUS_UNKNOWN

from schemas.settings import ClickHouseSettings

SQL: Final = Path(__file__).parent / "clickhouse"
CONNECT_WITHIN_S: Final = 5


class MigrationRefusedError(RuntimeError):
    """The tables were made by other files than these; the message says which and what to do."""


def migrate(settings: ClickHouseSettings, folder: Path = SQL) -> list[str]:
    """Create the database if need be, apply what is new, return the names of the files applied.

    Raises MigrationRefusedError, and clickhouse_driver's errors when the server does not answer.
    """
    new = pending(settings, folder)
    if new:
        _cluster(settings).migrate(
            settings.database, folder, multi_statement=True, create_db_if_no_exists=True
        )
    return new


def pending(settings: ClickHouseSettings, folder: Path = SQL) -> list[str]:
    """The files not yet applied, in order; changes nothing. Raises as ``migrate`` does."""
    storage = MigrationStorage(folder)
    names = storage.migration_filenames()
    hashes = {migration.version: migration.md5 for migration in storage.migrations()}
    rows = _cluster(settings).status(settings.database, folder)
    for row in rows:
        if row.state == STATUS_MD5_MISMATCH:
            raise MigrationRefusedError(
                f"{names[row.version]} has changed since it was applied (md5 {row.md5} then, "
                f"{hashes[row.version]} now). Put it back as it was, and write the change into a "
                "new numbered file."
            )
        if row.state == STATUS_UNKNOWN:
            raise MigrationRefusedError(
                f"The database has migration {row.version}, which this version does not know. It "
                "was migrated by a newer Saqshy: run that one."
            )
    return [names[row.version] for row in rows if row.state == STATUS_PENDING]


def _cluster(settings: ClickHouseSettings) -> Any:
    return ClickhouseCluster(
        db_host=settings.host,
        db_port=str(settings.port),
        db_user=settings.user,
        db_password=settings.secret() or "",
        secure=settings.secure,
        connect_timeout=CONNECT_WITHIN_S,
    )
