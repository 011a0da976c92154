"""The command beside a running ClickHouse engine."""

import json

import pytest
from pydantic import SecretStr
from typer.testing import CliRunner

from deploy.cli.main import app
from schemas.settings import ClickHouseSettings, Settings

pytestmark = pytest.mark.broker


@pytest.fixture
def beside_engine(
    environment: Settings,
    clickhouse_server: ClickHouseSettings,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path_factory: pytest.TempPathFactory,
) -> Settings:
    """Broker and engine run; the database does not exist yet."""
    name = f"test_{tmp_path_factory.mktemp('database').name}"
    return _told(
        environment.model_copy(
            update={"clickhouse": clickhouse_server.model_copy(update={"database": name})}
        ),
        monkeypatch,
    )


def _told(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> Settings:
    for name, value in settings.environment().items():
        monkeypatch.setenv(name, value)
    return settings


def test_without_tables_it_says_migrate_and_after_that_all_is_well(
    beside_engine: Settings,
) -> None:
    run = CliRunner()
    before = json.loads(run.invoke(app, ["status", "--json"]).stdout)["clickhouse"]
    assert before["up"] and "saqshy migrate" in before["detail"]
    assert _check(run, "migrations")["remedy"] == "saqshy migrate"
    applied = json.loads(run.invoke(app, ["migrate", "--json"]).stdout)["applied"]
    assert applied[0] == "001_raw.sql"
    assert json.loads(run.invoke(app, ["migrate", "--json"]).stdout) == {"applied": []}
    after = json.loads(run.invoke(app, ["status", "--json"]).stdout)["clickhouse"]
    assert after["facts"]["tables"]["passes"] == {"rows": 0, "age_s": None}
    assert _check(run, "migrations")["state"] == "ok"
    listed = json.loads(run.invoke(app, ["dlq", "list", "--json"]).stdout)
    assert listed == {"source": "clickhouse", "dead_letters": []}


def test_a_wrong_password_is_told_from_a_server_that_is_down(
    beside_engine: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    wrong = beside_engine.clickhouse.model_copy(
        update={"password": SecretStr("wrong"), "password_file": None}
    )
    _told(beside_engine.model_copy(update={"clickhouse": wrong}), monkeypatch)
    ended = CliRunner().invoke(app, ["migrate"])
    assert ended.exit_code == 1
    assert "Authentication failed" in ended.stderr and "Stack trace" not in ended.stderr
    assert "SAQSHY_CLICKHOUSE__PASSWORD_FILE" in ended.stderr


def _check(run: CliRunner, name: str) -> dict[str, str]:
    checks = json.loads(run.invoke(app, ["doctor", "--json"]).stdout)["checks"]
    (found,) = [check for check in checks if check["name"] == name]
    return dict(found)
