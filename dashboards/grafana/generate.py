"""The dashboards and rules as JSON, committed beside the code: ``python -m dashboards.grafana.generate``."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from grafana_foundation_sdk.cog.encoder import JSONEncoder

from dashboards.grafana.boards.compliance import compliance
from dashboards.grafana.boards.incidents import incidents
from dashboards.grafana.boards.live_map import live_map
from dashboards.grafana.boards.outages import outages
from dashboards.grafana.boards.panic import panic
from dashboards.grafana.boards.pipeline import pipeline
from dashboards.grafana.boards.school import school
from dashboards.grafana.rules import groups
from dashboards.grafana.settings import RUNBOOKS

FOLDER: Final = Path(__file__).parent / "generated"

BOARDS: Final = (live_map, school, outages, panic, incidents, compliance, pipeline)


def plain(thing: object) -> Any:
    """An object of the SDK as plain dicts and lists."""
    return json.loads(json.dumps(thing, cls=JSONEncoder))


def dashboards() -> Mapping[str, dict[str, Any]]:
    """Every dashboard by its uid, in the classic JSON that Grafana's API takes."""
    made = [plain(board()) for board in BOARDS]
    return {dashboard["uid"]: dashboard for dashboard in made}


def as_text(thing: object) -> str:
    return json.dumps(thing, indent=2, ensure_ascii=False, sort_keys=True) + "\n"


def files() -> Mapping[Path, str]:
    """Every generated file and its text."""
    made = {FOLDER / f"{uid}.json": as_text(board) for uid, board in dashboards().items()}
    rules = groups(RUNBOOKS)
    return {**made, FOLDER / "rules.json": as_text(rules)}


def main() -> None:
    FOLDER.mkdir(exist_ok=True)
    for path, text in files().items():
        path.write_text(text)


if __name__ == "__main__":
    main()
