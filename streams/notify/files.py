"""Configuration files in TOML."""

import tomllib
from pathlib import Path
from typing import Any


class Unusable(ValueError):
    """A channels or policies file can't be used; the message says where and why, never a value."""


def toml(path: Path, text: str) -> dict[str, Any]:
    """Raises Unusable for what is not TOML."""
    try:
        return tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise Unusable(f"{path} is not TOML: {error}") from None
