"""What `make run` starts needs nothing that only `make test` installs."""

import re
import subprocess
import sys
from collections.abc import Sequence
from importlib.metadata import packages_distributions
from pathlib import Path

from streams.processes import PROCESSES

ROOT = Path(__file__).parents[1]
STARTED = (
    *("deploy.cli.main", "deploy.embedded.clickhouse", "streams.__main__"),
    *("loadtest.simulator.simulate", "loadtest.simulator.police"),
    *sorted({row.factory.partition(":")[0] for row in PROCESSES}),
)
REFUSING = """
import importlib, sys, traceback
class Refuse:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in absent:
            raise ModuleNotFoundError(f"{name} is of the dev extra", name=name)
absent, *modules = sys.argv[1:]
absent = set(absent.split(","))
sys.meta_path.insert(0, Refuse())
for module in modules:
    try:
        importlib.import_module(module)
    except BaseException:
        traceback.print_exc()
        print(module)
"""


def locked(name: str) -> set[str]:
    text = (ROOT / name).read_text()
    return {found.lower().replace("_", "-") for found in re.findall(r"(?m)^([\w.-]+)==", text)}


def only_of_dev() -> set[str]:
    """Top-level modules of the distributions that requirements.lock does not have."""
    run = locked("requirements.lock")
    return {
        module
        for module, owners in packages_distributions().items()
        if not {owner.lower().replace("_", "-") for owner in owners} & (run | {"saqshy"})
        and not module.startswith("_")
    }


def failing(modules: Sequence[str]) -> tuple[list[str], str]:
    """Those of ``modules`` that can't be imported without the dev extra, and why; all in one process,
    as most of the time goes into what they share."""
    absent = only_of_dev()
    assert {"hdrh", "playwright", "hypothesis"} <= absent
    ran = subprocess.run(
        [sys.executable, "-c", REFUSING, ",".join(absent - {"pip", "setuptools"}), *modules],
        capture_output=True,
        text=True,
        cwd=ROOT,
        check=True,
    )
    return ran.stdout.split(), ran.stderr[-2000:]


def test_all_start_without_the_dev_extra() -> None:
    found, why = failing(STARTED)
    assert found == [], why


def test_one_that_needs_it_would_be_found() -> None:
    assert failing(["schemas.ids", "tests.conftest"])[0] == ["tests.conftest"]
