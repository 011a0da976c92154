"""What this installation writes and reads in secret: nobody else of the machine may read it.

Children's reports, presses with their places, passwords and journals stand below one data folder.
"""

import logging
import os
import stat
import sys
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Annotated, Any, Final

from pydantic import BaseModel

log = logging.getLogger(__name__)

OTHERS: Final = 0o077
"""Group and everybody else."""
_DATA: Final = "clickhouse console dispatch faust gateway kafka loadtest log notify police queries"
OURS: Final = frozenset([*_DATA.split(), "run", "secrets"])
"""What stands in a data folder. Somebody may have named one in which there is more than ours."""


class NotPrivate(OSError, ValueError):
    """Others may read this; the message says what to do."""


def keep_private(var: Path) -> None:
    """The first act of every process of ours: what it makes, others can't read.

    What an older version left open in the data folder is closed; the folder too, unless others keep
    their files in it. What belongs to somebody else is left as it is, for presses are to be heard
    meanwhile: `saqshy doctor` says so.
    """
    os.umask(OTHERS)
    with suppress(OSError):
        entries = list(var.iterdir())
        for entry in entries:
            if entry.name in OURS and open_to_others(entry):
                # The folder last: closed, it says that all below it is.
                for path in (*_below(entry), entry):
                    _close(path)
        if all(entry.name in OURS for entry in entries):
            _close(var)


def _close(path: Path) -> None:
    with suppress(OSError):
        path.chmod(stat.S_IMODE(path.stat().st_mode) & ~OTHERS)


def open_to_others(path: Path) -> bool:
    try:
        seen = path.lstat()
    except OSError:
        return False
    return not stat.S_ISLNK(seen.st_mode) and bool(stat.S_IMODE(seen.st_mode) & OTHERS)


def _below(folder: Path) -> Iterator[Path]:
    """Files and folders, without following links."""
    for parent, folders, files in os.walk(folder):
        for name in (*folders, *files):
            path = Path(parent, name)
            if not path.is_symlink():
                yield path


def private_text(path: Path) -> str:
    """The text of a file with a secret in it, which group and others may not touch.

    Raises NotPrivate, and OSError when it can't be read.
    """
    with path.open(encoding="utf-8") as file:
        seen = os.fstat(file.fileno())
        if not stat.S_ISREG(seen.st_mode) or stat.S_IMODE(seen.st_mode) & OTHERS:
            raise NotPrivate(f"{path} holds secrets and others may read it: chmod 600 {path}")
        if seen.st_uid not in (os.geteuid(), 0):
            raise NotPrivate(f"{path} holds secrets and belongs to another user: chown it")
        return file.read()


def closed(path: Path) -> Path:
    """The path of a file with a secret in it, closed to others where it was open to them.

    Not refused when it is ours: presses and alarms depend on these. Raises NotPrivate for one that
    can't be closed, or is no file. One that is not there yet is for its reader to miss.
    """
    try:
        seen = path.stat()
    except OSError:
        return path
    if not stat.S_ISREG(seen.st_mode):
        raise NotPrivate(f"{path} is no file")
    if stat.S_IMODE(seen.st_mode) & OTHERS:
        try:
            path.chmod(stat.S_IMODE(seen.st_mode) & ~OTHERS)
        except OSError:
            raise NotPrivate(
                f"{path} holds secrets and others may read it: chmod 600 {path}"
            ) from None
        log.warning("%s holds secrets and others could read it: closed; change them", path)
    return path


def close_output() -> None:
    """Where our output goes to a file of ours (``saqshy up > run.log``), others may not read it."""
    for output in (sys.stdout, sys.stderr):
        with suppress(OSError, ValueError):
            seen = os.fstat(output.fileno())
            if stat.S_ISREG(seen.st_mode):
                os.fchmod(output.fileno(), stat.S_IMODE(seen.st_mode) & ~OTHERS)


class _IsSecret:
    """Marks a field that holds the path of a file with a secret in it."""


SecretFile = Annotated[Path, _IsSecret()]


def secret_files(model: BaseModel) -> Iterator[tuple[str, Path]]:
    """(field, path) of each SecretFile that is given, also of models in it (``part.field``)."""
    for name, field in type(model).model_fields.items():
        value = getattr(model, name)
        marks = [*field.metadata, *_marks(field.annotation)]
        if isinstance(value, BaseModel):
            yield from ((f"{name}.{inner}", path) for inner, path in secret_files(value))
        elif isinstance(value, Path) and any(isinstance(mark, _IsSecret) for mark in marks):
            yield name, value


def _marks(annotation: Any) -> Iterator[Any]:
    yield from getattr(annotation, "__metadata__", ())
    for inner in getattr(annotation, "__args__", ()):
        yield from _marks(inner)


def left_open(var: Path) -> list[Path]:
    """Of the data folder and its entries those that others may open; none in a closed folder."""
    if not open_to_others(var):
        return []
    return [var, *(entry for entry in sorted(var.iterdir()) if open_to_others(entry))]
