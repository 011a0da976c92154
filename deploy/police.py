"""The embedded stack's police: a simulated receiver, and a centers file that points every region at it."""

import asyncio
import json
import sys
from pathlib import Path
from typing import Any, Final

from deploy.embedded.ports import LOOPBACK, kept_port
from deploy.supervisor import Part
from loadtest.simulator.country import center_of
from loadtest.simulator.regions import REGIONS
from schemas.settings import Settings

CAPITAL: Final = center_of("KZ-71")
POLICE: Final = "police"


def with_police(settings: Settings) -> tuple[Settings, Part]:
    """The settings with the centers of this stack, and the part that receives for all of them.

    Each center's next one is the capital's. What was received stands in var/police/received.jsonl.
    """
    port = kept_port(settings.var, "police")
    path = (settings.var / "run" / "centers.json").absolute()
    path.write_text(json.dumps(_centers(port), indent=2))
    record = settings.var / "police" / "received.jsonl"
    part = Part(
        name=POLICE,
        argv=(
            *(sys.executable, "-m", "loadtest.simulator.police", "--port", str(port)),
            *("--record", str(record.absolute())),
        ),
        ready=lambda: _listening(port),
    )
    dispatch = settings.dispatch.model_copy(update={"centers_file": path})
    return settings.model_copy(update={"dispatch": dispatch}), part


def received(var: Path) -> list[dict[str, Any]]:
    """What the simulated police has got, in the order in which it came."""
    try:
        lines = (var / "police" / "received.jsonl").read_text().splitlines()
    except FileNotFoundError:
        return []
    return [json.loads(line) for line in lines if line.endswith("}")]


def _centers(port: int) -> dict[str, Any]:
    centers = [
        {
            "id": center_of(f"KZ-{region.code}"),
            "name": f"{region.en}, operational control center (simulated)",
            "adapter": "dc09",
            "addresses": [f"{LOOPBACK}:{port}"],
            "connections": 8,
            "people": [f"duty desk of {region.en} (simulated)"],
        }
        for region in REGIONS
    ]
    for center in centers:
        if center["id"] != CAPITAL:
            center["next"] = CAPITAL
    return {"people": ["the ministry's duty officer (simulated)"], "centers": centers}


async def _listening(port: int) -> bool:
    _, writer = await asyncio.open_connection(LOOPBACK, port)
    writer.close()
    return True
