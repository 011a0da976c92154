"""The Kafka broker's jars: fetched from Maven Central by jgo, pinned by SHA-256, cached.

`kafka-jars.lock` lists each jar as `group:artifact:version sha256`. A start fetches only what
the cache lacks, in parallel, and trusts a jar only when its digest is the locked one: jgo by
itself merely logs a wrong checksum. `python -m deploy.embedded.jars` writes the lock anew.
"""

import hashlib
import os
import sys
import tempfile
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from jgo.maven import MavenContext
from jgo.util import http

LOCK_FILE = Path(__file__).with_name("kafka-jars.lock")
ROOTS = (
    "org.apache.kafka:kafka_2.13:4.3.1",
    # Kafka logs through SLF4J; without this binding its warnings would be dropped.
    "org.apache.logging.log4j:log4j-slf4j-impl:2.25.4",
)
PARALLEL_DOWNLOADS = 8
ATTEMPTS = 3
TIMEOUT_S = 30

Progress = Callable[[int, int, str], None]
"""Called after each jar with (jars ready, jars in all, coordinate)."""


class JarsUnavailable(RuntimeError):
    """The jars could not be had; the message says what to do."""


@dataclass(frozen=True)
class LockedJar:
    """One jar of the class path, known by its coordinate and its content."""

    group: str
    artifact: str
    version: str
    sha256: str

    @property
    def coordinate(self) -> str:
        return f"{self.group}:{self.artifact}:{self.version}"


def cache_dir() -> Path:
    """Where jars are kept between runs and checkouts: `$XDG_CACHE_HOME/saqshy/jars`."""
    base = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(base) / "saqshy" / "jars"


def read_lock(text: str) -> list[LockedJar]:
    """Parse the lock's lines. Raises ValueError on a line of another shape."""
    jars = []
    for line in text.splitlines():
        if not line.strip() or line.startswith("#"):
            continue
        coordinate, sha256 = line.split()
        group, artifact, version = coordinate.split(":")
        if len(sha256) != 64:
            raise ValueError(f"not a SHA-256 digest in the lock of jars: {line!r}")
        jars.append(LockedJar(group, artifact, version, sha256))
    return jars


def ensure_jars(progress: Progress | None = None, cache: Path | None = None) -> list[Path]:
    """Paths of all locked jars, fetched where the cache lacks them.

    Raises JarsUnavailable when one can neither be found in the cache nor fetched, or when what
    was fetched is not what the lock names.
    """
    jars = read_lock(LOCK_FILE.read_text(encoding="utf-8"))
    context = _context(cache or cache_dir())
    ready: list[Path] = []
    with ThreadPoolExecutor(PARALLEL_DOWNLOADS) as pool:
        for jar, path in zip(jars, pool.map(lambda jar: _ensure(context, jar), jars), strict=True):
            ready.append(path)
            if progress:
                progress(len(ready), len(jars), jar.coordinate)
    return ready


def _context(cache: Path) -> MavenContext:
    cache.mkdir(parents=True, exist_ok=True)
    return MavenContext(repo_cache=cache, timeout=TIMEOUT_S)


def _artifact(context: MavenContext, jar: LockedJar) -> Any:
    return context.project(jar.group, jar.artifact).at_version(jar.version).artifact()


def _ensure(context: MavenContext, jar: LockedJar) -> Path:
    path: Path = _artifact(context, jar).cached_path
    if path.exists() and sha256_of(path) == jar.sha256:
        return path
    trouble: Exception | None = None
    for _ in range(ATTEMPTS):
        # In a folder of its own, so that a half jar never stands under its final name.
        with tempfile.TemporaryDirectory(prefix=".fetch-", dir=context.repo_cache) as folder:
            try:
                fetched = Path(_artifact(_context(Path(folder)), jar).resolve())
            except (OSError, RuntimeError) as error:  # requests' errors are OSErrors
                trouble = error
                continue
            if sha256_of(fetched) == jar.sha256:
                path.parent.mkdir(parents=True, exist_ok=True)
                return fetched.replace(path)
        trouble = ValueError(f"its SHA-256 is not the locked {jar.sha256}")
    raise JarsUnavailable(
        f"Kafka's {jar.coordinate} could not be fetched ({trouble}). "
        "Check the network and start again: what was fetched already is kept."
    )


def sha256_of(path: Path) -> str:
    """Hex SHA-256 digest of a file's content."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def write_lock(roots: Iterable[str] = ROOTS) -> str:
    """Resolve `roots` with everything they need, check each jar against the checksum that
    the repository publishes for it, and return the lock's text."""
    context = _context(cache_dir())
    chosen: dict[str, Any] = {}
    for root in roots:
        # One by one, the broker first: resolved together, a later root's version rules
        # (log4j's for Jackson) would replace those that Kafka was released with.
        inputs, needed = context.resolver.resolve([context.create_dependency(root)])
        for dependency in [*inputs, *needed]:
            artifact = dependency.artifact
            chosen.setdefault(f"{artifact.groupId}:{artifact.artifactId}", artifact)
    lines = []
    for name, artifact in sorted(chosen.items()):
        path = Path(artifact.resolve())
        _check_published(context, artifact, path)
        lines.append(f"{name}:{artifact.version} {sha256_of(path)}")
    head = "# Written by `python -m deploy.embedded.jars`; roots: " + ", ".join(roots)
    return "\n".join([head, *lines]) + "\n"


def _check_published(context: MavenContext, artifact: Any, path: Path) -> None:
    # Not every project publishes SHA-256; all publish SHA-1.
    prefix = artifact.component.path_prefix.as_posix()
    for algorithm in ("sha256", "sha1"):
        for repository in context.remote_repos.values():
            url = f"{repository}/{prefix}/{artifact.filename}.{algorithm}"
            answer = http.get(url, timeout=TIMEOUT_S)
            if answer.status_code != 200:
                continue
            with path.open("rb") as file:
                digest = hashlib.file_digest(file, algorithm).hexdigest()
            if answer.text.split()[0] != digest:
                raise JarsUnavailable(f"{artifact}: the published {algorithm} does not match")
            return
    raise JarsUnavailable(f"{artifact}: no checksum is published for it")


if __name__ == "__main__":
    LOCK_FILE.write_text(write_lock(), encoding="utf-8")
    sys.stdout.write(f"{LOCK_FILE.name}: {len(read_lock(LOCK_FILE.read_text()))} jars\n")
