"""The file of one benchmark run: what was measured, on which machine, from which commit, with which seed."""

import json
import platform
import subprocess
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import psutil


def machine() -> dict[str, Any]:
    """What a reader must know to read the figures."""
    return {
        "system": platform.platform(),
        "processor": _processor(),
        "cores": psutil.cpu_count(),
        "memory_gb": round(psutil.virtual_memory().total / 1e9, 1),
        "python": platform.python_version(),
        "load_at_start": [round(load, 2) for load in psutil.getloadavg()],
    }


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return platform.processor()
    return next((line.split(":")[1].strip() for line in lines if "model name" in line), "")


def commit() -> str:
    """The commit that was measured, marked when the tree differed from it; empty outside git."""
    done = subprocess.run(
        ["git", "describe", "--always", "--dirty", "--abbrev=12"],
        capture_output=True,
        text=True,
        check=False,
        cwd=Path(__file__).parent,
    )
    return done.stdout.strip()


def save(var: Path, command: str, seed: int, figures: Mapping[str, Any]) -> Path:
    """Write one result file under var/loadtest and return its path."""
    now = datetime.now(UTC)
    path = var / "loadtest" / f"{command}-{now:%Y%m%dT%H%M%SZ}.json"
    path.parent.mkdir(parents=True, exist_ok=True)
    whole = {
        "command": command,
        "at": now.isoformat(timespec="seconds"),
        "commit": commit(),
        "seed": seed,
        "machine": machine(),
        "figures": dict(figures),
    }
    path.write_text(json.dumps(whole, indent=2) + "\n")
    return path
