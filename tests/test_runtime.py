"""What `make run` starts needs nothing that only `make test` installs."""

import re
import subprocess
import sys
from importlib.metadata import packages_distributions
from pathlib import Path

import pytest

from streams.processes import PROCESSES

ROOT = Path(__file__).parents[1]
STARTED = (
    *("deploy.cli.main", "deploy.embedded.clickhouse", "streams.__main__"),
    *("loadtest.simulator.simulate", "loadtest.simulator.police"),
    *sorted({row.factory.partition(":")[0] for row in PROCESSES}),
)
REFUSING = """
import importlib, sys
class Refuse:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in absent:
            raise ModuleNotFoundError(f"{name} is of the dev extra", name=name)
absent = set(sys.argv[2].split(","))
sys.meta_path.insert(0, Refuse())
importlib.import_module(sys.argv[1])
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


@pytest.mark.parametrize("module", STARTED)
def test_it_starts_without_the_dev_extra(module: str) -> None:
    absent = only_of_dev()
    assert {"hdrh", "playwright", "hypothesis"} <= absent
    ran = subprocess.run(
        [sys.executable, "-c", REFUSING, module, ",".join(absent - {"pip", "setuptools"})],
        capture_output=True,
        text=True,
        cwd=ROOT,
        check=False,
    )
    assert ran.returncode == 0, ran.stderr[-2000:]
