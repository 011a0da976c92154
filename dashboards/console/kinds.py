"""The console's words of alert kinds, from schemas.names: ``python -m dashboards.console.kinds`` writes them
into the files of static/i18n, of which everything else is written by hand. A test fails when they differ."""

import json
from pathlib import Path
from typing import Final, get_args

from schemas.names import KINDS, Language

FOLDER: Final = Path(__file__).parent / "static" / "i18n"


def with_kinds(text: str, language: Language) -> str:
    """The file's text with each kind's name as it is called everywhere."""
    words = json.loads(text) | {str(kind): names.by(language) for kind, names in KINDS.items()}
    return json.dumps(words, ensure_ascii=False, indent=0) + "\n"


if __name__ == "__main__":
    for one in get_args(Language):
        path = FOLDER / f"{one}.json"
        path.write_text(with_kinds(path.read_text("utf-8"), one), "utf-8")
