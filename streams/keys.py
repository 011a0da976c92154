"""Device keys: who may send, for which school. Pure but for the file.

A key is ``<school>.<device>.<secret>``. Only the SHA-256 of the secret is kept: it is 256 random bits,
so nobody guesses it and a slow hash would buy nothing but a way to keep the gateway busy. Two keys
of a device are valid at a time, so that it can be given a new one before it forgets the old.
"""

import fcntl
import hmac
import json
import os
import re
import secrets
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from hashlib import sha256
from pathlib import Path
from typing import Final

from schemas.events import DEVICE_PATTERN, SCHOOL_PATTERN
from schemas.private import closed
from schemas.settings import Settings

AT_A_TIME: Final = 2
SECRET_BYTES: Final = 32

_SCHOOL = re.compile(SCHOOL_PATTERN.replace("$", r"\Z"))
_DEVICE = re.compile(DEVICE_PATTERN.replace("$", r"\Z"))
_SCHEME = re.compile(r"\bbearer\W*\Z|\A\W*\Z", re.IGNORECASE)
_TOKEN = re.compile(
    rf"(?<![\w.-])({SCHOOL_PATTERN.strip('^$')})\.({DEVICE_PATTERN.strip('^$')})\.([^\s.\"'<>,;]+)(?![\w.])"
)


class KeyTrouble(Exception):
    """What was asked for can't be done; the message says what to do."""


@dataclass(frozen=True, slots=True, order=True)
class Device:
    """Who sends: one device of one school."""

    school: str
    device: str


@dataclass(frozen=True, slots=True)
class Key:
    sha256: str
    created_ms: int


Keys = Mapping[Device, tuple[Key, ...]]
"""Of each device its keys, the oldest first."""


def add(keys: Keys, device: Device, now_ms: int) -> tuple[Keys, str]:
    """The first key of a device, and what the device is to be told. Raises KeyTrouble."""
    _check(device)
    if device in keys:
        raise KeyTrouble(
            f"{device.device} of {device.school} has a key already: rotate it, or revoke it first."
        )
    return _with_new(keys, device, now_ms)


def rotate(keys: Keys, device: Device, now_ms: int) -> tuple[Keys, str]:
    """A new key beside the newest of the old ones; older ones end here. Raises KeyTrouble."""
    if device not in keys:
        raise KeyTrouble(f"{device.device} of {device.school} has no key yet: add one.")
    return _with_new(keys, device, now_ms)


def revoke(keys: Keys, device: Device, *, only_old: bool = False) -> Keys:
    """Without the device's keys, or without all but its newest. Raises KeyTrouble."""
    if device not in keys:
        raise KeyTrouble(f"{device.device} of {device.school} has no key.")
    left = {other: theirs for other, theirs in keys.items() if other != device}
    return {**left, device: keys[device][-1:]} if only_old else left


def _with_new(keys: Keys, device: Device, now_ms: int) -> tuple[Keys, str]:
    secret = secrets.token_urlsafe(SECRET_BYTES)
    valid = (*keys.get(device, ()), Key(_hash(secret), now_ms))[-AT_A_TIME:]
    return {**keys, device: valid}, f"{device.school}.{device.device}.{secret}"


def _check(device: Device) -> None:
    if not _SCHOOL.match(device.school):
        raise KeyTrouble(f"{device.school} is no school: KZ-<region>-<number>, e.g. KZ-75-00001.")
    if not _DEVICE.match(device.device):
        raise KeyTrouble(
            f"{device.device} is no device: a letter, then letters, digits and -, in lower case."
        )


def _hash(secret: str) -> str:
    return sha256(secret.encode()).hexdigest()


def claimed(authorization: str) -> tuple[Device, str] | None:
    """Who an Authorization header says it is, and its secret; None when it says nothing. However the
    token is wrapped: in quotes, behind a tab or a colon, without the scheme."""
    found = _TOKEN.search(authorization)
    if found is None or not _SCHEME.search(authorization[: found.start()]):
        return None
    school, device, secret = found.groups()
    return Device(school, device), secret


def is_valid(keys: Keys, device: Device, secret: str) -> bool:
    hashed = _hash(secret)
    return any(hmac.compare_digest(key.sha256, hashed) for key in keys.get(device, ()))


def read_keys(path: Path) -> Keys:
    """What the file says; nothing when there is none yet. Raises KeyTrouble and OSError."""
    try:
        said = json.loads(closed(path).read_text(encoding="utf-8"))
        return {
            Device(one["school"], one["device"]): tuple(Key(**key) for key in one["keys"])
            for one in said["devices"]
        }
    except FileNotFoundError:
        return {}
    except (ValueError, TypeError, KeyError) as error:
        raise KeyTrouble(f"{path} is no file of device keys: {error}") from error


def write_keys(path: Path, keys: Keys) -> None:
    """Replace the file at once, readable by its owner only."""
    said = {
        "devices": [
            {**asdict(device), "keys": [asdict(key) for key in theirs]}
            for device, theirs in sorted(keys.items())
        ]
    }
    draft = path.with_name(f".{path.name}.{os.getpid()}.draft")
    draft.unlink(missing_ok=True)
    descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "w", encoding="utf-8") as file:
        json.dump(said, file, separators=(",", ":"))
        file.flush()
        os.fsync(file.fileno())
    draft.replace(path)


def keys_path(settings: Settings) -> Path:
    """Where the gateway looks for them."""
    return settings.gateway.keys_file or settings.var / "gateway" / "keys.json"


@contextmanager
def changing(path: Path) -> Iterator[Keys]:
    """The file's keys while nobody else changes them. Raises KeyTrouble and OSError."""
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    with path.with_name(f".{path.name}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield read_keys(path)
