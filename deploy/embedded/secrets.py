"""Passwords of the embedded parts: made on first use, kept in files only the owner may read."""

import os
import secrets
from pathlib import Path

SECRET_BYTES = 24


def secret_path(var: Path, name: str) -> Path:
    """Where the secret `name` lives under the data folder `var`."""
    return var / "secrets" / name


def secret(var: Path, name: str) -> str:
    """The secret `name`, made on first use in a file of mode 0600.

    Two processes that ask for the first time at once get the same answer: the file appears
    under its name only when it is complete, and only the first one wins.
    """
    path = secret_path(var, name)
    if not path.exists():
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        draft = path.with_name(f".{name}.{os.getpid()}.{secrets.token_hex(4)}")
        write_private(draft, secrets.token_urlsafe(SECRET_BYTES))
        try:
            os.link(draft, path)
        except FileExistsError:
            pass  # another process was first: its secret counts
        finally:
            draft.unlink()
    return path.read_text(encoding="utf-8").strip()


def write_private(path: Path, text: str) -> None:
    """Write `text` to `path` with mode 0600, replacing what was there at once."""
    path.parent.mkdir(parents=True, exist_ok=True)
    draft = path.with_name(f".{path.name}.{os.getpid()}.draft")
    draft.unlink(missing_ok=True)
    descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "w", encoding="utf-8") as file:
        file.write(text)
    draft.replace(path)
