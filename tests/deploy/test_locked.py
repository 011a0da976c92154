import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from deploy.locked import problems

ROOT = Path(__file__).parents[2]
FILES = ("pyproject.toml", "requirements.lock", "requirements-dev.lock")


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """A copy of the project's own files, to be spoilt."""
    for name in FILES:
        shutil.copy(ROOT / name, tmp_path)
    return tmp_path


def _edit(path: Path, pattern: str, replacement: str) -> None:
    text = path.read_text(encoding="utf-8")
    changed = re.sub(pattern, replacement, text, count=1, flags=re.MULTILINE)
    assert changed != text
    path.write_text(changed, encoding="utf-8")


def test_the_committed_locks_fit_the_project(project: Path) -> None:
    assert problems(project) == []


SPOILT = [
    (
        "a dependency more",
        "pyproject.toml",
        r'^    "rich>',
        r'    "left-pad>=1",\n    "rich>',
        "left-pad>=1 is declared",
    ),
    (
        "a raised minimum",
        "pyproject.toml",
        r"structlog>=[\d.]+",
        "structlog>=9999",
        "structlog>=9999 is declared",
    ),
    (
        "an exact version",
        "pyproject.toml",
        r"grafana-api==1\.0\.3",
        "grafana-api==1.0.2",
        "1.0.3 is locked",
    ),
    (
        "an extra's dependency",
        "pyproject.toml",
        r"chdb>=[\d.]+",
        "chdb>=9999",
        "requirements.lock: chdb>=9999",
    ),
    (
        "a development tool",
        "pyproject.toml",
        r"ruff>=[\d.]+",
        "ruff>=9999",
        "requirements-dev.lock: ruff>=9999",
    ),
    (
        "an index",
        "requirements.lock",
        r"\A",
        "--index-url https://example.org/simple\n",
        "--index-url has no place",
    ),
    (
        "another index",
        "requirements-dev.lock",
        r"\A",
        "--extra-index-url=https://example.org\n",
        "has no place",
    ),
    ("a folder of files", "requirements.lock", r"\A", "-f ./wheels\n", "-f has no place"),
    (
        "a URL",
        "requirements.lock",
        r"^rich==.*",
        r"rich @ https://example.org/rich.whl \\",
        "rich comes from a URL",
    ),
    (
        "no hash",
        "requirements.lock",
        r"^rich==(.*)\\\n(    --hash=.*\n)+",
        r"rich==\1\n",
        "rich has no hash",
    ),
    (
        "a weak hash",
        "requirements.lock",
        r"(^rich==.*\n    --hash=)sha256:\w+",
        r"\1md5:0123",
        "no sha256 hash",
    ),
    ("no version", "requirements.lock", r"^rich==[\d.]+", "rich", "rich is not pinned"),
    ("a range", "requirements.lock", r"^rich==([\d.]+)", r"rich>=\1", "rich is not pinned"),
    (
        "a package gone",
        "requirements.lock",
        r"^rich==(.*\n)(    --hash=.*\n)+",
        "",
        "is declared, but not locked",
    ),
    (
        "only for one platform",
        "requirements.lock",
        r"^rich==(\S+) ;.*\\",
        r"rich==\1 ; sys_platform == 'linux' \\",
        "not locked on darwin",
    ),
    (
        "only for old Pythons",
        "requirements.lock",
        r"^rich==(\S+) ;.*\\",
        r"rich==\1 ; python_version < '3.13' \\",
        "Python 3.13",
    ),
    ("another version than tested", "requirements-dev.lock", r"^rich==\S+", "rich==9999.1", "rich"),
    ("rubbish", "requirements.lock", r"\A", "<<<<<<< HEAD\n", "cannot be read"),
]


@pytest.mark.parametrize(
    ("file", "pattern", "replacement", "said"),
    [spoilt[1:] for spoilt in SPOILT],
    ids=[spoilt[0] for spoilt in SPOILT],
)
def test_it_notices(project: Path, file: str, pattern: str, replacement: str, said: str) -> None:
    _edit(project / file, pattern, replacement)
    assert any(said in problem for problem in problems(project)), problems(project)


def test_a_comment_is_no_trouble(project: Path) -> None:
    _edit(project / "requirements.lock", r"\A", "# see https://example.org\n")
    assert problems(project) == []


def test_a_requirement_for_another_platform_need_not_be_locked(project: Path) -> None:
    _edit(
        project / "pyproject.toml",
        r'^    "rich>',
        '    "pywin32>=300; sys_platform == \'win32\'",\n    "rich>',
    )
    assert problems(project) == []


def test_the_command_says_what_to_do(project: Path) -> None:
    _edit(project / "pyproject.toml", r"structlog>=[\d.]+", "structlog>=9999")
    done = subprocess.run(
        [sys.executable, "-m", "deploy.locked"],
        cwd=project,
        env={"PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert done.returncode == 1
    assert "structlog>=9999" in done.stderr
    assert "make lock" in done.stderr
