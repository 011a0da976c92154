"""Files with secrets in them: read only when nobody else can."""

import os
import stat
import tomllib
from pathlib import Path
from typing import Any, BinaryIO

from pydantic import ValidationError


class NotPrivate(ValueError):
    """The file may be read by others; the message says what to do."""


class Unusable(ValueError):
    """A channels or policies file can't be used; the message says where and why, never a value."""


def private_text(path: Path) -> str:
    """The text of a file of ours that group and others may not touch.

    Raises NotPrivate, Unusable when it is no text, and OSError when it can't be read.
    """
    with path.open("rb") as file:
        seen = os.fstat(file.fileno())
        if not stat.S_ISREG(seen.st_mode) or stat.S_IMODE(seen.st_mode) & 0o077:
            raise NotPrivate(f"{path} holds secrets and others may read it: chmod 600 {path}")
        if seen.st_uid not in (os.geteuid(), 0):
            raise NotPrivate(f"{path} holds secrets and belongs to another user: chown it")
        return text_of(path, file)


def text_of(path: Path, file: BinaryIO) -> str:
    """Raises Unusable for what is not UTF-8."""
    try:
        return file.read().decode("utf-8")
    except UnicodeDecodeError as error:
        raise Unusable(f"{path} is not UTF-8 at byte {error.start}: save it as UTF-8") from None


def toml(path: Path, text: str) -> dict[str, Any]:
    """Raises Unusable for what is not TOML."""
    try:
        return tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise Unusable(f"{path} is not TOML: {error}") from None


def explained(error: ValidationError) -> str:
    """Where and why, without the values: they may be secrets."""
    return "; ".join(
        f"{'.'.join(str(step) for step in one['loc']) or 'as a whole'}: {one['msg']}"
        for one in error.errors(include_input=False, include_url=False)
    )
