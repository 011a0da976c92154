import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from deploy.cli.keys import app
from streams.keys import claimed, is_valid, read_keys

SCHOOL, BUTTON = "KZ-75-00001", "button-1"


@pytest.fixture
def keys_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("SAQSHY_VAR", str(tmp_path))
    monkeypatch.chdir(tmp_path)
    return tmp_path / "gateway" / "keys.json"


def said(*arguments: str) -> dict[str, object]:
    result = CliRunner().invoke(app, [*arguments, "--json"])
    assert result.exit_code == 0, result.output
    found: dict[str, object] = json.loads(result.stdout)
    return found


def opens(path: Path, bearer: object) -> bool:
    who = claimed(f"Bearer {bearer}")
    return who is not None and is_valid(read_keys(path), *who)


def test_a_key_is_made_rotated_and_ended(keys_file: Path) -> None:
    first = said("add", SCHOOL, BUTTON)["key"]
    second = said("rotate", SCHOOL, BUTTON)["key"]
    assert opens(keys_file, first)
    assert opens(keys_file, second)
    assert said("revoke", SCHOOL, BUTTON, "--old")["valid"] == 1
    assert not opens(keys_file, first)
    assert said("revoke", SCHOOL, BUTTON)["valid"] == 0
    assert not opens(keys_file, second)


def test_the_list_names_devices_and_no_secret(keys_file: Path) -> None:
    secret = str(said("add", SCHOOL, BUTTON)["key"]).rpartition(".")[2]
    result = CliRunner().invoke(app, ["list"])
    assert SCHOOL in result.stdout
    assert secret not in result.stdout
    (one,) = said("list")["keys"]  # type: ignore[misc]
    assert (one["school"], one["device"]) == (SCHOOL, BUTTON)


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        (["add", "school-1", BUTTON], "KZ-<region>-<number>"),
        (["rotate", SCHOOL, BUTTON], "add one"),
        (["revoke", SCHOOL, BUTTON], "no key"),
    ],
)
def test_what_cannot_be_done_is_said_with_what_to_do(
    keys_file: Path, arguments: list[str], text: str
) -> None:
    result = CliRunner().invoke(app, arguments)
    assert result.exit_code == 1
    assert text in result.stderr
    assert not keys_file.exists()
