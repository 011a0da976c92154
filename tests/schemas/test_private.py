"""Nobody else of the machine reads what we write, whichever of our programs wrote it."""

import ast
import importlib
import os
import stat
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

from schemas.private import (
    OURS,
    NotPrivate,
    close_output,
    closed,
    keep_private,
    left_open,
    private_text,
    secret_files,
)
from schemas.settings import Settings
from streams.dispatch.centers import CentersWrong, load

ROOT = Path(__file__).parents[2]
ROOMS = ("schemas", "streams", "dashboards", "loadtest", "deploy")
SOURCES = {
    "schemas/generate.py",
    "streams/gateway/openapi.py",
    "dashboards/console/kinds.py",
    "dashboards/grafana/generate.py",
    "deploy/embedded/jars.py",
    "deploy/locked.py",
}
"""They write what belongs into the repository, and see no data."""
FIRST = "keep_private(configured_var())"


@pytest.fixture(autouse=True)
def _open_umask() -> object:
    before = os.umask(0o022)
    yield
    os.umask(before)


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def entry_points() -> dict[str, ast.If]:
    """Each file of ours that is a program, and what it does as one."""
    found = {}
    for room in ROOMS:
        for path in (ROOT / room).rglob("*.py"):
            for node in ast.parse(path.read_text()).body:
                if isinstance(node, ast.If) and "__name__" in ast.unparse(node.test):
                    found[str(path.relative_to(ROOT))] = node
    return found


def test_every_program_keeps_private_what_it_writes_before_anything_else() -> None:
    programs = entry_points()
    assert {"streams/__main__.py", "dashboards/console/__main__.py", *SOURCES} <= set(programs)
    mains = {str(p.relative_to(ROOT)) for r in ROOMS for p in (ROOT / r).rglob("__main__.py")}
    assert mains <= set(programs)
    for path, node in programs.items():
        first = ast.unparse(node.body[0])
        assert (first == FIRST) == (path not in SOURCES), f"{path} begins with {first}"


def test_every_command_that_is_installed_keeps_private_what_it_writes() -> None:
    scripts = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["scripts"]
    for target in scripts.values():
        module = importlib.import_module(target.partition(":")[0])
        assert module.__file__ is not None
        body = ast.parse(Path(module.__file__).read_text()).body
        [main] = [n for n in body if isinstance(n, ast.FunctionDef) and n.name == "main"]
        assert ast.unparse(main.body[1]) == FIRST, target


def test_a_program_makes_files_that_are_its_own_and_closes_what_was_open(tmp_path: Path) -> None:
    var = tmp_path / "var"
    (var / "gateway").mkdir(parents=True)
    (var / "gateway" / "presses.journal").write_text("where the child is")
    program = (
        "import sys; sys.argv = ['streams', '--help']\n"
        "import runpy, pathlib\n"
        "try: runpy.run_module('streams', run_name='__main__')\n"
        "except SystemExit: pathlib.Path(sys.path[0] or '.', 'made').write_text('x')\n"
    )
    environment = {**os.environ, "SAQSHY_VAR": str(var), "SAQSHY_KAFKA": "nonsense"}
    subprocess.run(
        [sys.executable, "-c", program],
        cwd=tmp_path,
        env={**environment, "PYTHONPATH": str(ROOT)},
        check=True,
        capture_output=True,
    )
    assert mode(tmp_path / "made") == 0o600
    assert mode(var) == 0o700
    assert mode(var / "gateway" / "presses.journal") == 0o600


def test_a_folder_of_an_older_version_is_closed_and_what_is_not_ours_is_left(
    tmp_path: Path,
) -> None:
    outside = tmp_path / "outside"
    outside.write_text("not in it")
    shared = tmp_path / "shared"
    (shared / "kafka").mkdir(parents=True)
    (shared / "homes").mkdir()
    var = tmp_path / "var"
    for name in OURS:
        (var / name / "deep").mkdir(parents=True)
        (var / name / "deep" / "file").write_text("a report")
    (var / "log" / "link").symlink_to(outside)
    keep_private(var)
    assert mode(var) == 0o700
    assert all(not mode(path) & 0o077 for path in var.rglob("*") if not path.is_symlink())
    assert mode(outside) == 0o644
    keep_private(shared)
    assert (mode(shared), mode(shared / "homes"), mode(shared / "kafka")) == (0o755, 0o755, 0o700)
    assert left_open(shared) == [shared, shared / "homes"]
    assert left_open(var) == []


def test_a_secret_that_others_could_read_is_closed_and_used(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    secret = tmp_path / "secret"
    secret.write_text("s")
    assert closed(secret).read_text() == "s"
    assert mode(secret) == 0o600
    assert closed(tmp_path / "not there yet") == tmp_path / "not there yet"
    with pytest.raises(NotPrivate):
        closed(tmp_path)
    secret.chmod(0o640)
    with pytest.raises(NotPrivate, match="chmod 600"):
        private_text(secret)

    def refuse(*_: object) -> None:
        raise PermissionError

    monkeypatch.setattr(Path, "chmod", refuse)
    with pytest.raises(NotPrivate, match="chmod 600"):
        closed(secret)


def test_every_file_with_a_secret_in_the_settings_is_known_as_one(tmp_path: Path) -> None:
    """By its name: what holds a password, key or secret, or accounts with theirs."""
    for part, field in Settings.model_fields.items():
        model = field.annotation
        for name in getattr(model, "model_fields", {}):
            holds = ("password", "secret", "key", "accounts")
            if name.endswith("_file") and any(word in name for word in holds):
                settings = Settings.model_validate({part: {name: tmp_path / "it"}})
                assert dict(secret_files(settings)) == {f"{part}.{name}": tmp_path / "it"}


def test_the_key_of_a_center_is_closed_when_the_file_is_read(tmp_path: Path) -> None:
    key = tmp_path / "key"
    key.write_text("0" * 32)
    centers = tmp_path / "centers.toml"
    centers.write_text(
        f"""[[centers]]\nid = "a"\nadapter = "dc09"\naddresses = ["10.0.0.1:5093"]\nkey_file = "{key}"\n"""
    )
    load(centers)
    assert mode(key) == 0o600
    key.unlink()
    key.mkdir()
    with pytest.raises(CentersWrong, match="is no file"):
        load(centers)


def test_the_first_passwords_go_to_no_file_that_others_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    log = tmp_path / "run.log"
    with log.open("w") as file:
        monkeypatch.setattr(sys, "stderr", file)
        close_output()
    assert mode(log) == 0o600
