"""Against the real engine, through the real driver."""

import shutil
from pathlib import Path
from typing import Any

import pytest
from clickhouse_driver import Client

from schemas.migrations import SQL, MigrationRefusedError, migrate, pending
from schemas.settings import ClickHouseSettings
from tests.schemas.test_tables import FILES, TABLES

pytestmark = pytest.mark.broker


@pytest.fixture
def empty(clickhouse_server: ClickHouseSettings, tmp_path: Path) -> Any:
    """Settings that name a database which does not exist yet."""
    settings = clickhouse_server.model_copy(update={"database": f"test_{tmp_path.name[:40]}"})
    yield settings
    _ask(clickhouse_server, f"DROP DATABASE IF EXISTS {settings.database}")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A copy of the migrations, to be changed."""
    return Path(shutil.copytree(SQL, tmp_path / "clickhouse"))


def _ask(settings: ClickHouseSettings, query: str) -> list[Any]:
    client = Client(**settings.driver_kwargs() | {"database": "default"})
    try:
        rows: list[Any] = client.execute(query)
        return rows
    finally:
        client.disconnect()


def test_it_makes_every_table_once(empty: ClickHouseSettings) -> None:
    names = [path.name for path in FILES]
    assert pending(empty) == names
    assert migrate(empty) == names
    made = {name for (name,) in _ask(empty, f"SHOW TABLES FROM {empty.database}")}
    assert set(TABLES) <= made
    assert migrate(empty) == []
    assert pending(empty) == []


def test_asking_what_is_pending_changes_nothing(empty: ClickHouseSettings) -> None:
    pending(empty)
    databases = {name for (name,) in _ask(empty, "SHOW DATABASES")}
    assert empty.database not in databases


def test_it_applies_only_what_is_new(empty: ClickHouseSettings, folder: Path) -> None:
    migrate(empty)
    (folder / "900_new.sql").write_text(
        "CREATE TABLE IF NOT EXISTS later (a Int8) ENGINE = MergeTree ORDER BY a;\n"
    )
    assert migrate(empty, folder) == ["900_new.sql"]


def test_a_changed_file_is_refused_with_both_hashes(
    empty: ClickHouseSettings, folder: Path
) -> None:
    migrate(empty)
    changed = folder / FILES[1].name
    changed.write_text(changed.read_text() + "-- a word more\n")
    with pytest.raises(MigrationRefusedError, match=rf"{changed.name} has changed.*md5 \w{{32}}"):
        migrate(empty, folder)


def test_the_database_of_a_newer_version_is_refused(
    empty: ClickHouseSettings, folder: Path
) -> None:
    (folder / "900_new.sql").write_text(
        "CREATE TABLE IF NOT EXISTS later (a Int8) ENGINE = MergeTree ORDER BY a;\n"
    )
    migrate(empty, folder)
    with pytest.raises(MigrationRefusedError, match="newer Saqshy"):
        migrate(empty)


def test_what_a_kill_left_half_done_is_finished(empty: ClickHouseSettings, folder: Path) -> None:
    """The statements ran, but the file was not recorded."""
    migrate(empty)
    _ask(
        empty,
        f"ALTER TABLE {empty.database}.schema_versions DELETE WHERE version = 1 "
        "SETTINGS mutations_sync = 2",
    )
    assert migrate(empty) == [FILES[0].name]
    assert migrate(empty) == []
