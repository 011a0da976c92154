"""Whether the audit log is whole. A month that is over is judged once: a seal beside it, keyed like the
lines, then holds the hash of the whole file, so that a year is checked as fast as it is read.
"""

import hashlib
import hmac
import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, Final

from dashboards.console.audit import BEGINNING, Audit, chained, months
from dashboards.console.users import write_private

WRITTEN_ANEW: Final = "its content was changed, or it was written with another key"
NOBODY: Final[Mapping[int, str]] = {}


@dataclass(frozen=True, slots=True)
class Broken:
    """Where the chain breaks: the file, its line from 1 (0: the whole file), what is wrong with it."""

    file: str
    line: int
    what: str


@dataclass(frozen=True, slots=True)
class Verdict:
    """``count`` and ``head``: number and hash of the last line up to which all is whole."""

    count: int
    head: str
    broken: Broken | None = None


@dataclass(frozen=True, slots=True)
class Part:
    """The first ``size`` bytes of a month's file, found whole: which lines they hold, and their hash.
    ``key``: which of the log's keys, from 0, the last of them is written with.
    """

    month: str
    size: int
    sha256: str
    first: int
    before: str
    last: int
    head: str
    key: int = 0


def verify(log: Audit, heads: Mapping[int, str] = NOBODY, noted: str = "") -> Verdict:
    """Every line of every month. ``heads``: hashes by their numbers, as Kafka has them; ``noted``: a hash
    noted before, of this log or of one before its conversion. Raises OSError.
    """
    number, before, found, key = 0, BEGINNING, not noted, 0
    keys = log.keys() if months(log.folder) else []
    for path in months(log.folder):
        line = 0
        for line, raw in enumerate(_lines(path), start=1):
            key, wrong = _judged(keys, key, raw, number + 1, before)
            entry = {} if wrong else json.loads(raw)
            if wrong is None and heads.get(number + 1, entry["hash"]) != entry["hash"]:
                wrong = "Kafka was told another hash of this line: the log was written anew"
            if wrong is not None:
                return Verdict(number, before, Broken(path.name, line, wrong))
            number, before = number + 1, entry["hash"]
            found = found or noted in (before, entry.get("was"))
    told = max(heads, default=0)
    if told > number:
        lost = f"Kafka was told of {told} lines, {told - number} are missing at the end"
        return Verdict(number, before, Broken("", 0, lost))
    if not found:
        return Verdict(
            number, before, Broken("", 0, "the noted hash is not in the chain: lines are missing")
        )
    return Verdict(number, before)


class Checker:
    """Checks again and again, and reads anew only what it has to: of what it found whole it compares the
    bytes, of sealed months that nobody has touched since not even these.
    """

    def __init__(self, log: Audit) -> None:
        self._log = log
        self._parts: dict[str, Part] = {}
        self._touched: dict[str, tuple[int, ...]] = {}

    def verify(self) -> Verdict:
        """Seals what is over and whole. Raises OSError."""
        number, before, key = 0, BEGINNING, 0
        files = months(self._log.folder)
        for path in files:
            part = self._checked(path, number, before, key, over=path != files[-1])
            if isinstance(part, Broken):
                return Verdict(number, before, part)
            number, before, key = part.last, part.head, part.key
        return Verdict(number, before)

    def _checked(
        self, path: Path, number: int, before: str, key: int, *, over: bool
    ) -> Part | Broken:
        seen = path.stat()
        touched = (seen.st_size, seen.st_mtime_ns, seen.st_ctime_ns, seen.st_ino)
        nothing = Part(
            path.stem, 0, _sha256(path, 0).hexdigest(), number + 1, before, number, before, key
        )
        part = self._parts.get(path.stem) or (self._sealed(path) if over else None) or nothing
        if (part.first, part.before) != (number + 1, before):
            part = nothing
        if part.size == seen.st_size and self._touched.get(path.stem) == touched:
            return part
        same = _sha256(path, part.size).hexdigest() == part.sha256
        found = self._read(path, part if same else nothing)
        if isinstance(found, Broken):
            return found
        if not same:
            return Broken(path.name, 0, "it was written anew, with the key")
        self._parts[path.stem], self._touched[path.stem] = found, touched
        if over and found.size == seen.st_size and self._sealed(path) != found:
            self._seal(path, found)
        return found

    def _read(self, path: Path, part: Part) -> Part | Broken:
        """What the file holds after this part, too."""
        keys, hash_ = self._log.keys(), _sha256(path, part.size)
        for raw in _lines(path, part.size):
            key, wrong = _judged(keys, part.key, raw, part.last + 1, part.head)
            if wrong is not None:
                return Broken(path.name, part.last - part.first + 2, wrong)
            hash_.update(raw)
            size, head = part.size + len(raw), json.loads(raw)["hash"]
            part = replace(part, size=size, last=part.last + 1, head=head, key=key)
        return replace(part, sha256=hash_.hexdigest())

    def _sealed(self, path: Path) -> Part | None:
        try:
            said = json.loads(_seal_of(path).read_bytes())
            mac = said.pop("mac")
            part = Part(**said)
        except (OSError, ValueError, KeyError, TypeError, AttributeError):
            return None
        good = part.month == path.stem and hmac.compare_digest(str(mac), self._mac(part))
        return part if good else None

    def _seal(self, path: Path, part: Part) -> None:
        with suppress(OSError):  # a full disk: it is judged again next time
            write_private(_seal_of(path), json.dumps({**asdict(part), "mac": self._mac(part)}))

    def _mac(self, part: Part) -> str:
        said = json.dumps(asdict(part), sort_keys=True)
        return hmac.new(self._log.key(), f"seal|{said}".encode(), hashlib.sha256).hexdigest()


def _seal_of(path: Path) -> Path:
    return path.with_suffix(".seal")


def _sha256(path: Path, size: int) -> Any:
    hash_ = hashlib.sha256()
    with path.open("rb") as file:
        while size > 0 and (block := file.read(min(size, 1 << 20))):
            hash_.update(block)
            size -= len(block)
    return hash_


def _judged(
    keys: Sequence[bytes], key: int, line: bytes, number: int, before: str
) -> tuple[int, str | None]:
    """Which key, from ``key`` on, the line is written with, and what is wrong with it, if anything."""
    for at in range(key, len(keys)):
        wrong = _wrong(keys[at], line, number, before)
        if wrong is not WRITTEN_ANEW:
            return at, wrong
    return key, WRITTEN_ANEW


def _wrong(key: bytes, line: bytes, number: int, before: str) -> str | None:
    try:
        entry = json.loads(line)
        said, counted = entry.pop("hash"), entry["n"]
        if entry.pop("before") != before:
            return "it does not follow the line before it"
    except (ValueError, KeyError, TypeError, AttributeError):
        return "it can not be read"
    if counted != number:
        return f"its number is {counted}"
    if not hmac.compare_digest(str(said), chained(key, before, entry)):
        return WRITTEN_ANEW
    return None


def _lines(path: Path, start: int = 0) -> Iterator[bytes]:
    with path.open("rb") as file:
        file.seek(start)
        for line in file:
            if line.endswith(b"\n"):
                yield line
