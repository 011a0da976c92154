"""Configuration files in TOML."""

import tomllib
from pathlib import Path
from typing import Any, BinaryIO

from pydantic import ValidationError

from schemas.private import private_text


class Unusable(ValueError):
    """A channels or policies file can't be used; the message says where and why, never a value."""


def text_of(path: Path, file: BinaryIO) -> str:
    """Raises Unusable for what is not UTF-8."""
    try:
        return file.read().decode("utf-8")
    except UnicodeDecodeError as error:
        raise _not_utf8(path, error) from None


def private_toml(path: Path) -> dict[str, Any]:
    """What a file with secrets holds. Raises NotPrivate, Unusable, and OSError when it can't be read."""
    try:
        text = private_text(path)
    except UnicodeDecodeError as error:
        raise _not_utf8(path, error) from None
    return toml(path, text)


def _not_utf8(path: Path, error: UnicodeDecodeError) -> Unusable:
    return Unusable(f"{path} is not UTF-8 at byte {error.start}: save it as UTF-8")


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
