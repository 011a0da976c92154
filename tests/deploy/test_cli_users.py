"""``saqshy users`` and ``saqshy audit`` as their users meet them."""

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from dashboards.console.audit import audit_folder, audit_of, months
from dashboards.console.audit_check import verify
from dashboards.console.users import Users, users_path
from deploy.cli.main import app
from schemas.settings import Settings


@pytest.fixture
def var(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("SAQSHY_VAR", str(tmp_path))
    return tmp_path


def run(*arguments: str, code: int = 0) -> str:
    ended = CliRunner().invoke(app, arguments)
    assert ended.exit_code == code, ended.output
    return ended.output


def test_a_user_is_added_with_the_password_that_is_said(var: Path) -> None:
    said = json.loads(run("users", "add", "saule", "--role", "supervisor", "--json"))
    user = Users(users_path(var)).verified("saule", said["password"])
    assert user is not None
    assert (user.role, user.places) == ("supervisor", ["*"])


def test_a_second_user_of_that_name_is_refused_and_changes_nothing(var: Path) -> None:
    run("users", "add", "saule", "--place", "KZ-75")
    before = users_path(var).read_text()
    assert "already" in run("users", "add", "saule", "--role", "supervisor", code=1)
    assert users_path(var).read_text() == before


def test_a_new_password_keeps_role_and_places(var: Path) -> None:
    old = json.loads(run("users", "add", "saule", "--place", "KZ-75", "--json"))["password"]
    new = json.loads(run("users", "password", "saule", "--json"))["password"]
    users = Users(users_path(var))
    assert users.verified("saule", old) is None
    user = users.verified("saule", new)
    assert user is not None
    assert user.places == ["KZ-75"]


def test_a_list_names_everybody_and_no_password(var: Path) -> None:
    run("users", "add", "saule")
    listed = run("users", "list", "--json")
    assert json.loads(listed) == [
        {"login": "saule", "name": "saule", "role": "viewer", "places": ["*"]}
    ]


def test_who_is_not_there_can_not_be_removed(var: Path) -> None:
    assert "no user" in run("users", "remove", "nobody", code=1)


def test_what_is_done_to_users_is_in_the_audit_log(var: Path) -> None:
    run("users", "add", "saule")
    run("users", "remove", "saule")
    assert [e["did"] for e in json.loads(run("audit", "list", "--json"))] == [
        "user.removed",
        "user.added",
    ]
    told = json.loads(run("audit", "verify", "--json"))
    assert (told["entries"], told["broken"]) == (2, None)
    assert verify(audit_of(Settings()), noted=told["head"]).broken is None


def test_a_changed_line_is_told_with_its_number(var: Path) -> None:
    run("users", "add", "saule")
    [path] = months(audit_folder(var))
    path.write_text(path.read_text().replace("saule", "bolat"))
    assert "line 1: its content was changed" in run("audit", "verify", code=1)


def test_a_place_that_there_is_not_is_refused_with_those_there_are(
    var: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    said = run("users", "add", "yy", "--role", "operator", "--place", "KZ-99", code=1)
    assert "no place KZ-99" in said and "KZ-75" in said
    assert Users(users_path(var)).all() == {}
    run("users", "add", "yy", "--place", "some-center")  # nobody here knows the centers
    centers = var / "centers.json"
    center = {"id": "KZ-75-ocs", "adapter": "cap", "addresses": ["http://127.0.0.1:1/"]}
    centers.write_text(json.dumps({"centers": [center]}))
    monkeypatch.setenv("SAQSHY_DISPATCH__CENTERS_FILE", str(centers))
    assert "KZ-75-ocs" in run("users", "add", "zz", "--place", "some-center", code=1)
    run("users", "add", "zz", "--place", "KZ-75-ocs")


def test_another_role_and_other_places_keep_the_password(var: Path) -> None:
    password = json.loads(run("users", "add", "saule", "--place", "KZ-75", "--json"))["password"]
    run("users", "change", "saule", "--role", "operator", "--place", "KZ-19", "--place", "KZ-10")
    user = Users(users_path(var)).verified("saule", password)
    assert user is not None
    assert (user.role, user.places) == ("operator", ["KZ-19", "KZ-10"])
    assert "no place" in run("users", "change", "saule", "--place", "KZ-99", code=1)
    assert "no user" in run("users", "change", "nobody", "--role", "viewer", code=1)
    assert "Nothing to change" in run("users", "change", "saule", code=1)
    newest = json.loads(run("audit", "list", "--limit", "1", "--json"))[0]
    assert (newest["did"], newest["login"], newest["role"]) == ("user.changed", "saule", "operator")


def test_a_new_key_is_said_and_the_log_stays_whole(var: Path) -> None:
    run("users", "add", "saule")
    log = audit_of(Settings())
    old = log.key()
    assert str(log.key_file) in run("audit", "rotate-key")
    assert old != log.key()
    run("users", "remove", "saule")
    assert "3 entries, the chain is whole" in run("audit", "verify")
    log.key_file.unlink()
    assert "There is no new key" in run("audit", "rotate-key", code=3)
