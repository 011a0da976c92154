"""Do the lock files fit pyproject.toml? ``python -m deploy.locked``, no network.

Whether a lock is the newest one possible is not asked: only whether installing from it gives what
pyproject.toml declares, from files whose hashes are known, from whichever index is configured.
"""

import re
import sys
import tomllib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from packaging.requirements import InvalidRequirement, Requirement
from packaging.utils import canonicalize_name

RUNTIME_EXTRAS: Final = ("embedded", "build")
PLATFORMS: Final = ("linux", "darwin")
PYTHONS: Final = ("3.11", "3.12", "3.13", "3.14")
ENVIRONMENTS: Final = tuple(
    {
        "sys_platform": platform,
        "platform_system": platform.capitalize(),
        "os_name": "posix",
        "python_version": python,
        "python_full_version": f"{python}.0",
        "implementation_name": "cpython",
        "platform_python_implementation": "CPython",
        "extra": "",
    }
    for platform in PLATFORMS
    for python in PYTHONS
)
REMEDY: Final = "Run `make lock` and commit what it wrote."


@dataclass(frozen=True, slots=True)
class Pin:
    """One locked package: ``name==version ; marker`` with its hashes."""

    requirement: Requirement
    hashes: tuple[str, ...]

    @property
    def name(self) -> str:
        return canonicalize_name(self.requirement.name)

    @property
    def version(self) -> str:
        (only,) = self.requirement.specifier
        return only.version

    def applies(self, environment: Mapping[str, str]) -> bool:
        marker = self.requirement.marker
        return marker is None or marker.evaluate(dict(environment))


def problems(root: Path) -> list[str]:
    """What is wrong with the lock files in ``root``; empty when nothing. Raises OSError."""
    project = tomllib.loads((root / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    extras: dict[str, list[str]] = project.get("optional-dependencies", {})
    wanted = {
        "requirements.lock": (*project["dependencies"], *_of(extras, RUNTIME_EXTRAS)),
        "requirements-dev.lock": (*project["dependencies"], *_of(extras, tuple(extras))),
    }
    found: list[str] = []
    pins: dict[str, list[Pin]] = {}
    for name, declared in wanted.items():
        pins[name], wrong = parse((root / name).read_text(encoding="utf-8"))
        wrong += unsatisfied([Requirement(text) for text in declared], pins[name])
        found += [f"{name}: {problem}" for problem in wrong]
    found += [
        f"requirements.lock: {problem}"
        for problem in differences(pins["requirements.lock"], pins["requirements-dev.lock"])
    ]
    return found


def _of(extras: Mapping[str, list[str]], names: Sequence[str]) -> list[str]:
    return [text for name in names for text in extras[name]]


def parse(lock: str) -> tuple[list[Pin], list[str]]:
    """The pins of a lock file, and what has no place in one (options, URLs, missing hashes)."""
    pins, wrong = [], []
    for line in _logical_lines(lock):
        text, *hashes = re.split(r"\s+--hash=", line)
        if text.startswith("-"):
            wrong.append(f"{text.split()[0]} has no place in a lock file")
            continue
        try:
            requirement = Requirement(text)
        except InvalidRequirement:
            wrong.append(f"cannot be read: {text[:80]}")
            continue
        if requirement.url is not None:
            wrong.append(f"{requirement.name} comes from a URL instead of the index")
            continue
        if not _is_pinned(requirement):
            wrong.append(f"{requirement.name} is not pinned to one version")
            continue
        if not hashes:
            wrong.append(f"{requirement.name} has no hash")
        elif not all(re.fullmatch(r"sha256:[0-9a-f]{64}", hash_) for hash_ in hashes):
            wrong.append(f"{requirement.name} has something that is no sha256 hash")
        pins.append(Pin(requirement, tuple(hashes)))
    return pins, wrong


def _is_pinned(requirement: Requirement) -> bool:
    specifiers = list(requirement.specifier)
    return len(specifiers) == 1 and specifiers[0].operator == "=="


def _logical_lines(text: str) -> Iterator[str]:
    for line in re.sub(r"\\\n", " ", text).splitlines():
        without_comment = re.sub(r"(^|\s)#.*", "", line).strip()
        if without_comment:
            yield without_comment


def unsatisfied(declared: Sequence[Requirement], pins: Sequence[Pin]) -> list[str]:
    """Declared requirements that the pins miss, on any platform and Python that we run on."""
    wrong = []
    for requirement in declared:
        name = canonicalize_name(requirement.name)
        candidates = [pin for pin in pins if pin.name == name]
        for environment in ENVIRONMENTS:
            if requirement.marker is not None and not requirement.marker.evaluate(
                dict(environment)
            ):
                continue
            where = f"on {environment['sys_platform']}, Python {environment['python_version']}"
            applying = [pin for pin in candidates if pin.applies(environment)]
            if not applying:
                wrong.append(f"{requirement} is declared, but not locked {where}")
                break
            unfit = [
                pin.version
                for pin in applying
                if not requirement.specifier.contains(pin.version, prereleases=True)
            ]
            if unfit:
                wrong.append(f"{requirement} is declared, but {unfit[0]} is locked {where}")
                break
    return wrong


def differences(runtime: Sequence[Pin], development: Sequence[Pin]) -> list[str]:
    """What would run otherwise than it was tested."""
    tested: dict[str, set[str]] = {}
    for pin in development:
        tested.setdefault(pin.name, set()).add(pin.version)
    return [
        f"{pin.name} {pin.version} is not what requirements-dev.lock has "
        f"({', '.join(sorted(tested.get(pin.name, {'nothing'})))})"
        for pin in runtime
        if pin.version not in tested.get(pin.name, set())
    ]


def main() -> int:
    found = problems(Path())
    for problem in found:
        print(problem, file=sys.stderr)
    if found:
        print(f"The locked dependencies do not fit pyproject.toml. {REMEDY}", file=sys.stderr)
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
