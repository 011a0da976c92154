"""How every command speaks: tables for people, one JSON document for machines, errors that help.

Exit codes: 0 all is well, 1 something is wrong, 2 the command was not understood, 3 a part could
not be reached or a setting could not be read.
"""

import json
import sys
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from enum import IntEnum
from typing import Annotated, Any, Final, NoReturn

import typer
from clickhouse_driver.errors import Error as ClickHouseError
from clickhouse_driver.errors import ServerException
from kafka.errors import KafkaConnectionError, KafkaError
from pydantic import ValidationError
from rich.console import Console
from rich.table import Table
from rich.text import Text

from schemas.migrations import MigrationRefusedError
from schemas.settings import KafkaSettings, Settings

UNKNOWN_TABLE: Final = 60
UNKNOWN_DATABASE: Final = 81
WRONG_PASSWORD: Final = 516

AsJson = Annotated[bool, typer.Option("--json", help="One JSON document on standard output.")]


class Code(IntEnum):
    WELL = 0
    WRONG = 1
    UNREACHABLE = 3


def print_json(document: Any) -> None:
    sys.stdout.write(json.dumps(document, ensure_ascii=False, default=str) + "\n")


def print_table(
    columns: Sequence[str], rows: Iterable[Sequence[object]], styles: Sequence[str] = ()
) -> None:
    """``styles``: one for each row, or none. Cells are text as it is, never markup."""
    table = Table(box=None, pad_edge=False, header_style="bold")
    for column in columns:
        table.add_column(column, overflow="fold")
    for number, row in enumerate(rows):
        style = styles[number] if styles else ""
        table.add_row(*(Text(printable(str(cell)), style=style) for cell in row))
    # Piped, a table is as wide as it needs to be: lines are for grep.
    console = Console(width=None if sys.stdout.isatty() else 400)
    console.print(table)


def say(text: str) -> None:
    Console(soft_wrap=True, highlight=False).print(Text(printable(text)))


def warn(text: str) -> None:
    Console(stderr=True, soft_wrap=True, highlight=False).print(Text(printable(text)))


def printable(text: str) -> str:
    """Without what could steer a terminal: dead letters hold whatever somebody sent."""
    return "".join(
        char if char.isprintable() or char in "\n\t" else f"\\x{ord(char):02x}" for char in text
    )


def fail(what: str, remedy: str, code: Code = Code.UNREACHABLE) -> NoReturn:
    warn(f"Error: {what}\n{remedy}")
    raise typer.Exit(code)


def load_settings() -> Settings:
    """The settings, or an error that names the setting."""
    try:
        return Settings()
    except ValidationError as error:
        wrong = "; ".join(
            f"{'.'.join(str(step) for step in one['loc'])}: {one['msg']}" for one in error.errors()
        )
        fail(
            f"A setting cannot be used: {wrong}.",
            "Look at the SAQSHY_… variables and at saqshy.toml (e.g. kafka.bootstrap is "
            "SAQSHY_KAFKA__BOOTSTRAP).",
        )
    except ValueError as error:  # of TOML or JSON
        fail(
            f"A settings file cannot be read: {error}.",
            "It is saqshy.toml, or var/run/stack.json, which `saqshy up` writes anew.",
        )


@contextmanager
def explained(settings: Settings) -> Iterator[None]:
    """Turn what may be expected to go wrong into an error that says what to check."""
    clickhouse = f"{settings.clickhouse.host}:{settings.clickhouse.port}"
    try:
        yield
    except KafkaError as error:
        fail(kafka_trouble(settings.kafka, error), kafka_remedy(error))
    except ServerException as error:
        fail(
            f"ClickHouse at {clickhouse} refuses: {first_line(error.message)}",
            clickhouse_remedy(error.code),
            Code.WRONG,
        )
    except (ClickHouseError, EOFError) as error:
        fail(
            f"ClickHouse does not answer at {clickhouse}: {first_line(error)}",
            clickhouse_remedy(None),
        )
    except MigrationRefusedError as error:
        fail("The tables are not those of this version.", str(error), Code.WRONG)
    except OSError as error:
        fail(f"{error}.", "Look whether the file is there and may be read by you.", Code.WRONG)


def kafka_trouble(kafka: KafkaSettings, error: KafkaError) -> str:
    where = f"{kafka.bootstrap} ({kafka.security_protocol}{_as_user(kafka)})"
    if isinstance(error, KafkaConnectionError):
        return f"Kafka does not answer at {where}: {first_line(error)}."
    return f"Kafka at {where} listens, but: {first_line(error)}."


def kafka_remedy(error: KafkaError) -> str:
    if isinstance(error, KafkaConnectionError):
        return (
            "Start the stack with `saqshy up`, or say where Kafka is with SAQSHY_KAFKA__BOOTSTRAP."
        )
    return (
        "If it could not log in, check SAQSHY_KAFKA__SECURITY_PROTOCOL, …__SASL_MECHANISM, "
        "…__USERNAME and …__PASSWORD_FILE."
    )


def clickhouse_remedy(code: int | None) -> str:
    if code in (UNKNOWN_DATABASE, UNKNOWN_TABLE):
        return "The tables are missing: saqshy migrate"
    if code == WRONG_PASSWORD:
        return "Check SAQSHY_CLICKHOUSE__USER and SAQSHY_CLICKHOUSE__PASSWORD_FILE."
    return (
        "Start the stack with `saqshy up`, or say where ClickHouse is with SAQSHY_CLICKHOUSE__HOST "
        "and SAQSHY_CLICKHOUSE__PORT (the native port, 9000 or 9440)."
    )


def first_line(error: object) -> str:
    """What an error says, on one line, without a server's stack trace."""
    said = str(error).partition("Stack trace:")[0].replace("DB::Exception: ", "")
    return " ".join(said.split())[:200].rstrip(".") or type(error).__name__


def _as_user(kafka: KafkaSettings) -> str:
    return f" as {kafka.username}" if kafka.username else ""
