"""What is done on the command line is in the console's audit log, too."""

import getpass
import time
from typing import Any

from dashboards.console.audit import audit_of, entry_of
from deploy.cli.output import fail, load_settings


def entry_by_cli(did: str, **what: Any) -> dict[str, Any]:
    """With the account of this machine that did it."""
    who = f"saqshy:cli:{getpass.getuser()}"
    return {"at_ms": time.time_ns() // 1_000_000, "who": who, "did": did, **what}


def noted(did: str, **what: Any) -> None:
    """Writes it down. Ends the command with what to do where that can't be."""
    try:
        audit_of(load_settings()).write(*entry_of(entry_by_cli(did, **what)))
    except (OSError, ValueError, KeyError) as trouble:
        fail(f"The audit log can't be written: {str(trouble)[:300]}", "Is SAQSHY_VAR right?")
