"""Whatever the audit log says that somebody did has words in every language."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

from dashboards.console import audit
from tests.dashboards.console.test_static import words

ROOT = Path(audit.__file__).parents[2]


def did() -> Iterator[str]:
    """Of each call in the source that writes into the log: the constant that says what was done."""
    for path in [*(ROOT / "dashboards" / "console").glob("*.py"), *(ROOT / "deploy").rglob("*.py")]:
        for node in ast.walk(ast.parse(path.read_text())):
            if not isinstance(node, ast.Call):
                continue
            name = getattr(node.func, "attr", getattr(node.func, "id", ""))
            at = {"note": 2, "noted": 0, "entry_by_cli": 0}.get(name)
            if at is None or len(node.args) <= at:
                continue
            said = node.args[at]
            if isinstance(said, ast.Constant):
                yield str(said.value)


def test_every_act_of_the_log_has_words() -> None:
    found = {*did(), audit.CONVERTED, audit.REFUSED}
    assert {"signed-in", "user.added", "audit.key-rotated", "password.changed"} <= found
    keys = {f"did_{re.sub(r'[^0-9A-Za-z_]', '_', one)}" for one in found}
    assert keys - set(words("en")) == set()
