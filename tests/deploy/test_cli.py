"""The command as its users meet it: help, exit codes, errors without tracebacks."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
import typer
from typer.main import get_command
from typer.testing import CliRunner

from deploy.cli.main import app
from deploy.cli.output import printable
from deploy.cli.processes import Name
from schemas.settings import ClickHouseSettings, ConsoleSettings, KafkaSettings, Settings
from tests.deploy.conftest import NOBODY_LISTENS

ROOT = Path(__file__).parents[2]
COMMANDS = {
    *(
        "up",
        "topics",
        "migrate",
        "simulate",
        "worker",
        "console",
        "dlq",
        "grafana",
        "keys",
        "users",
        "walls",
        "audit",
        "contacts",
        "page",
        "replay",
        "availability",
        "status",
        "doctor",
    ),
}
LEAVES = [
    *(["replay"], ["availability"]),
    *(["up"], ["topics", "create"], ["topics", "check"], ["migrate"], ["simulate"], ["worker"]),
    *(["console"], ["dlq", "list"], ["dlq", "show"], ["dlq", "replay"], ["status"], ["doctor"]),
    *(["users", "add"], ["users", "password"], ["users", "remove"], ["users", "list"]),
    *(["keys", "add"], ["keys", "rotate"], ["keys", "revoke"], ["keys", "list"]),
    *(["audit", "verify"], ["audit", "list"], ["audit", "rotate-key"], ["users", "change"]),
    *(["walls", "add"], ["walls", "revoke"], ["walls", "list"]),
    *(["contacts", "import"], ["contacts", "show"], ["contacts", "plan"], ["contacts", "remove"]),
]


@pytest.fixture
def run() -> CliRunner:
    return CliRunner()


@pytest.fixture
def nothing_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Settings:
    for name in [name for name in os.environ if name.startswith("SAQSHY_")]:
        monkeypatch.delenv(name)
    settings = Settings(
        var=tmp_path / "var",
        kafka=KafkaSettings(bootstrap=f"127.0.0.1:{NOBODY_LISTENS}"),
        clickhouse=ClickHouseSettings(port=NOBODY_LISTENS),
        console=ConsoleSettings(port=NOBODY_LISTENS),  # another test's may have the usual one
    )
    for name, value in settings.environment().items():
        monkeypatch.setenv(name, value)
    monkeypatch.chdir(tmp_path)
    return settings


def test_it_has_the_commands_that_are_promised() -> None:
    command = get_command(app)
    assert set(command.list_commands(typer.Context(command))) == COMMANDS


@pytest.mark.parametrize("command", LEAVES, ids=" ".join)
def test_help_shows_examples(run: CliRunner, command: list[str]) -> None:
    shown = run.invoke(app, [*command, "--help"])
    assert shown.exit_code == 0
    assert f"  saqshy {' '.join(command)}" in shown.output.partition("Examples:")[2]


@pytest.mark.parametrize(
    "command",
    [
        ["topics", "create"],
        ["topics", "check"],
        ["dlq", "list"],
        ["dlq", "show", "saqshy.passes/0/1"],
    ],
    ids=" ".join,
)
def test_without_a_broker_it_says_where_it_looked_and_what_to_do(
    run: CliRunner, nothing_runs: Settings, command: list[str]
) -> None:
    ended = run.invoke(app, command)
    assert ended.exit_code == 3
    assert f"127.0.0.1:{NOBODY_LISTENS}" in ended.stderr
    assert "saqshy up" in ended.stderr and "SAQSHY_KAFKA__BOOTSTRAP" in ended.stderr
    assert "Traceback" not in ended.output
    assert ended.stdout == ""


def test_without_clickhouse_migrate_says_so(run: CliRunner, nothing_runs: Settings) -> None:
    ended = run.invoke(app, ["migrate"])
    assert ended.exit_code == 3
    assert f"ClickHouse does not answer at 127.0.0.1:{NOBODY_LISTENS}" in ended.stderr


def test_a_setting_that_cannot_be_used_is_named(
    run: CliRunner, nothing_runs: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SAQSHY_KAFKA", '{"partitions": 0}')
    ended = run.invoke(app, ["status"])
    assert ended.exit_code == 3
    assert "kafka.partitions" in ended.stderr


def test_a_settings_file_that_cannot_be_read_is_named(
    run: CliRunner, nothing_runs: Settings
) -> None:
    Path("saqshy.toml").write_text("[kafka\n")
    ended = run.invoke(app, ["status"])
    assert ended.exit_code == 3
    assert "saqshy.toml" in ended.stderr


def test_a_password_file_that_is_gone_is_named(
    run: CliRunner, nothing_runs: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(
        "SAQSHY_KAFKA",
        '{"security_protocol": "SASL_PLAINTEXT", "username": "u", "password_file": "/gone/away"}',
    )
    ended = run.invoke(app, ["topics", "check"])
    assert ended.exit_code == 1
    assert "/gone/away" in ended.stderr
    assert run.invoke(app, ["status"]).exit_code == 3
    assert "/gone/away" in run.invoke(app, ["doctor"]).stdout


def test_status_of_nothing_names_all_three_parts(run: CliRunner, nothing_runs: Settings) -> None:
    ended = run.invoke(app, ["status", "--json"])
    assert ended.exit_code == 3
    parts = json.loads(ended.stdout)
    assert {name: part["up"] for name, part in parts.items()} == {
        "kafka": False,
        "clickhouse": False,
        "console": False,
    }


def test_doctor_tells_what_to_do_about_each_trouble(run: CliRunner, nothing_runs: Settings) -> None:
    ended = run.invoke(app, ["doctor", "--json"])
    checks = {check["name"]: check for check in json.loads(ended.stdout)["checks"]}
    assert ended.exit_code == 1
    assert checks["kafka"]["state"] == checks["clickhouse"]["state"] == "fail"
    assert all(check["remedy"] for check in checks.values() if check["state"] != "ok")
    assert checks["locks"]["state"] == "ok"


def test_doctor_only_warns_on_a_machine_where_nothing_was_started_yet(
    run: CliRunner, nothing_runs: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("SAQSHY_KAFKA", "SAQSHY_CLICKHOUSE"):
        monkeypatch.delenv(name)
    checks = json.loads(run.invoke(app, ["doctor", "--json"]).stdout)["checks"]
    states = {check["name"]: check["state"] for check in checks}
    assert "fail" not in {states["kafka"], states["clickhouse"]}


def test_doctor_minds_a_password_that_others_may_read(
    run: CliRunner, nothing_runs: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = Path("password").absolute()
    path.write_text("p")
    path.chmod(0o644)
    monkeypatch.setenv(
        "SAQSHY_CLICKHOUSE", json.dumps({"port": NOBODY_LISTENS, "password_file": str(path)})
    )
    checks = json.loads(run.invoke(app, ["doctor", "--json"]).stdout)["checks"]
    (check,) = [check for check in checks if check["name"] == "password file"]
    assert check["state"] == "fail" and f"chmod 600 {path}" in check["remedy"]


@pytest.mark.parametrize("lane", ["flows", "operations", ""])
def test_a_lane_that_is_none_is_refused_with_those_that_are(run: CliRunner, lane: str) -> None:
    ended = run.invoke(app, ["worker", lane])
    assert ended.exit_code == 2
    assert all(known in ended.stderr for known in (name.value for name in Name))


@pytest.mark.parametrize(
    ("command", "becomes"),
    [
        (["worker", "panic", "--replica", "b"], ["streams", "panic", "--replica", "b"]),
        (["simulate", "--seed", "7"], ["loadtest.simulator.simulate", "--seed", "7"]),
        (["simulate", "--", "--help"], ["loadtest.simulator.simulate", "--help"]),
        (["console"], ["dashboards.console"]),
    ],
    ids=lambda part: " ".join(part),
)
def test_it_becomes_the_other_program_and_keeps_its_process(
    tmp_path: Path, command: list[str], becomes: list[str]
) -> None:
    """A stand-in for the other program says who it is and what it was given."""
    module, *arguments = becomes
    folder = tmp_path / "instead" / Path(*module.split("."))
    folder.mkdir(parents=True)
    (folder / "__init__.py").touch()
    (tmp_path / "instead" / module.split(".")[0] / "__init__.py").touch()
    (folder / "__main__.py").write_text("import os, sys\nprint(os.getpid(), *sys.argv[1:])\n")
    program = (
        "import os, sys; from deploy.cli.main import app; "
        f"os.environ['PYTHONPATH'] = {str(tmp_path / 'instead')!r}; os.chdir({str(tmp_path)!r}); "
        "app(sys.argv[1:])"
    )
    started = subprocess.Popen(
        [sys.executable, "-c", program, *command], cwd=ROOT, stdout=subprocess.PIPE, text=True
    )
    printed, _ = started.communicate(timeout=120)
    assert printed.split() == [str(started.pid), *arguments]


@pytest.mark.parametrize("text", ["\x1b[2J", "\x07", "\r", "\u202e", "\x9b"])
def test_what_is_printed_cannot_steer_a_terminal(text: str) -> None:
    assert text not in printable(f"a{text}b")


def test_what_people_write_is_printed_as_it_is() -> None:
    assert printable("Сақшы – «школа» №42\n\t😀") == "Сақшы – «школа» №42\n\t😀"
