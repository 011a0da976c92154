"""The lock of jars, and that nothing else than what it names is trusted. No network is asked."""

import hashlib
from pathlib import Path
from typing import Any

import pytest

from deploy.embedded import jars
from deploy.embedded.jars import JarsUnavailable, ensure_jars, read_lock

WANTED = b"the jar that was locked"
LINE = f"org.example:thing:1.0 {hashlib.sha256(WANTED).hexdigest()}\n"
IN_CACHE = Path("org/example/thing/1.0/thing-1.0.jar")


@pytest.fixture
def repository(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[bytes]:
    """A lock of one jar, and what the repository answers, in turn, when it is asked for it."""
    lock = tmp_path / "lock"
    lock.write_text(LINE)
    monkeypatch.setattr(jars, "LOCK_FILE", lock)
    answers: list[bytes] = []

    def download(_: Any, artifact: Any) -> Path:
        if not answers:
            raise ConnectionError("no network")
        path: Path = artifact.cached_path
        path.parent.mkdir(parents=True)
        path.write_bytes(answers.pop(0))
        return path

    monkeypatch.setattr("jgo.maven.PythonResolver.download", download)
    return answers


def test_the_committed_lock_has_the_broker_and_everything_it_needs() -> None:
    locked = read_lock(jars.LOCK_FILE.read_text())
    names = {jar.artifact for jar in locked}
    assert {"kafka_2.13", "kafka-clients", "scala-library", "log4j-slf4j-impl"} <= names
    assert len(locked) == len({(jar.group, jar.artifact) for jar in locked})


@pytest.mark.parametrize("line", ["org.example:thing:1.0", "a:b 00", "a:b:c:d " + "0" * 64])
def test_a_line_of_another_shape_is_an_error(line: str) -> None:
    with pytest.raises(ValueError):
        read_lock(line)


def test_a_jar_is_fetched_once_and_then_found(repository: list[bytes], tmp_path: Path) -> None:
    repository.append(WANTED)
    said: list[tuple[int, int, str]] = []
    cache = tmp_path / "cache"
    assert not (cache / IN_CACHE).exists()
    assert ensure_jars(lambda *at: said.append(at), cache) == [cache / IN_CACHE]
    assert ensure_jars(cache=cache) == [cache / IN_CACHE]
    assert said == [(1, 1, "org.example:thing:1.0")]


def test_another_jar_than_the_locked_one_is_never_used(
    repository: list[bytes], tmp_path: Path
) -> None:
    repository.extend([b"forged", b"half a ja", b"forged"])
    with pytest.raises(JarsUnavailable, match="SHA-256"):
        ensure_jars(cache=tmp_path / "cache")
    assert not list((tmp_path / "cache").rglob("*.jar"))


def test_a_broken_download_is_tried_again(repository: list[bytes], tmp_path: Path) -> None:
    repository.extend([b"half a ja", WANTED])
    (path,) = ensure_jars(cache=tmp_path / "cache")
    assert path.read_bytes() == WANTED


def test_a_jar_spoilt_in_the_cache_is_fetched_anew(repository: list[bytes], tmp_path: Path) -> None:
    spoilt = tmp_path / "cache" / IN_CACHE
    spoilt.parent.mkdir(parents=True)
    spoilt.write_bytes(b"spoilt")
    repository.append(WANTED)
    (path,) = ensure_jars(cache=tmp_path / "cache")
    assert path.read_bytes() == WANTED


def test_without_a_network_it_says_what_to_do(repository: list[bytes], tmp_path: Path) -> None:
    with pytest.raises(JarsUnavailable, match="Check the network"):
        ensure_jars(cache=tmp_path / "cache")
