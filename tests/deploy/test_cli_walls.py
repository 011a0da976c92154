"""``saqshy walls`` as its users meet it."""

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from dashboards.console.audit import audit_of, entries
from dashboards.console.walls import Walls, walls_path
from deploy.cli.main import app
from schemas.settings import Settings


@pytest.fixture
def var(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("SAQSHY_VAR", str(tmp_path))
    return tmp_path


def run(*arguments: str, code: int = 0) -> str:
    ended = CliRunner().invoke(app, ["walls", *arguments])
    assert ended.exit_code == code, ended.output
    return ended.output


def test_a_wall_s_address_is_said_once_and_its_token_kept_nowhere(var: Path) -> None:
    url = json.loads(run("add", "lobby", "--place", "KZ-75", "--json"))["url"]
    before, _, token = url.partition("/wall#")
    assert before.startswith("http")
    person = Walls(walls_path(var)).person(token)
    assert person is not None
    assert (person.login, person.places) == ("wall:lobby", ("KZ-75",))
    assert walls_path(var).stat().st_mode & 0o077 == 0
    assert not [path for path in var.rglob("*") if path.is_file() and token in path.read_text()]
    assert "lobby" in run("list") and token not in run("list", "--json")
    run("add", "lobby", code=1)
    run("add", "other", "--place", "KZ-99", code=1)
    run("revoke", "lobby")
    assert Walls(walls_path(var)).person(token) is None
    run("revoke", "lobby", code=1)
    did = [one["did"] for one in entries(audit_of(Settings()).folder, 9)]
    assert did == ["wall.revoked", "wall.added"]
