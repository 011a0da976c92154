"""What is done on the command line is in the console's audit log, too."""

import getpass
import time
from typing import Any

from dashboards.console.audit import audit_of, entry_of
from deploy.cli.output import fail, load_settings


def noted(did: str, **what: Any) -> None:
    """With the account of this machine that did it."""
    who = f"saqshy:cli:{getpass.getuser()}"
    entry = {"at_ms": time.time_ns() // 1_000_000, "who": who, "did": did, **what}
    try:
        audit_of(load_settings()).write(*entry_of(entry))
    except (OSError, ValueError, KeyError) as trouble:
        fail(f"The audit log can't be written: {str(trouble)[:300]}", "Is SAQSHY_VAR right?")
