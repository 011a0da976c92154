import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from typer.testing import CliRunner

from deploy.cli.main import app
from tests.dashboards.grafana.server import TOKEN, Held, serving


@pytest.fixture
def held(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[Held]:
    kept = Held()
    with serving(kept) as url:
        monkeypatch.setenv("SAQSHY_GRAFANA__URL", url)
        monkeypatch.setenv("SAQSHY_GRAFANA__TOKEN", TOKEN)
        monkeypatch.setenv("SAQSHY_GRAFANA__OPERATIONS__EMAILS", '["duty@example.kz"]')
        monkeypatch.chdir(tmp_path)
        yield kept


def _run(*arguments: str) -> tuple[int, str]:
    result = CliRunner().invoke(app, ["grafana", *arguments])
    return result.exit_code, result.output


def test_diff_says_what_is_missing_and_apply_brings_it(held: Held) -> None:
    code, output = _run("diff", "--json")
    assert code == 1
    changes = json.loads(output)["changes"]
    assert {change["what"] for change in changes} == {"create"}
    assert _run("apply", "--dry-run")[0] == 0
    assert held.log == []
    code, output = _run("apply")
    assert code == 0 and "saqshy-live-map" in output
    assert _run("diff")[0] == 0


def test_the_token_is_never_printed(held: Held, monkeypatch: pytest.MonkeyPatch) -> None:
    assert TOKEN not in _run("apply")[1]
    monkeypatch.setenv("SAQSHY_GRAFANA__TOKEN", "glsa_other")
    code, output = _run("apply")
    assert code == 3 and "service account" in output and "glsa_other" not in output


def test_export_and_files_write_what_can_be_read_again(held: Held, tmp_path: Path) -> None:
    _run("apply")
    assert _run("export", str(tmp_path / "out"))[0] == 0
    assert json.loads((tmp_path / "out" / "saqshy-panic.json").read_text())["uid"] == "saqshy-panic"
    code, output = _run("files", str(tmp_path / "files"), "--json")
    written = json.loads(output)["written"]
    assert code == 0 and len(written) == 11
    for name in written:
        json.loads((tmp_path / "files" / name).read_text())


def test_a_setting_that_does_not_exist_is_named(held: Held, tmp_path: Path) -> None:
    (tmp_path / "saqshy.toml").write_text("[grafana]\nurll = 'x'\n")
    code, output = _run("files", str(tmp_path / "files"))
    assert code == 3 and "urll" in output
