"""Each part of the page in each of its states looks as it did when somebody last looked at it.

What is compared is no pixel but what pixels are made of: boxes and colours. All letters are drawn in a font
of our own in which each is as wide as the other, so that no machine's fonts and no version of Chromium move
a box. After a change that is meant, remove the file in drawn/ and run this again, look at /components, and
commit what it has drawn.
"""

import base64
import re
from pathlib import Path
from typing import Any, Final

import pytest
from playwright.async_api import Browser

from tests.dashboards.console.made_up import MadeUp, context_of

pytestmark = pytest.mark.browser

DRAWN: Final = Path(__file__).parent / "drawn"
SKETCH: Final = (Path(__file__).parent / "sketch.js").read_text().partition("\n")[2]
FONT: Final = base64.b64encode((DRAWN / "block.woff").read_bytes()).decode()
STYLE: Final = (
    f'@font-face {{ font-family: Block; src: url("data:font/woff;base64,{FONT}") }}'
    " * { font-family: Block !important; content-visibility: visible !important }"
)
SAME_PX: Final = 3
"""A control that the browser itself draws may be so much larger in another version."""


def apart(one: str, other: str) -> bool:
    """Whether two lines of a sketch differ by more than some pixels."""
    boxes = [re.search(r"\[([-\d ]+)\]", line) for line in (one, other)]
    if boxes[0] is None or boxes[1] is None:
        return one != other
    places = [[int(n) for n in box[1].split()] for box in boxes if box]
    moved = max(abs(a - b) for a, b in zip(*places, strict=True))
    return moved > SAME_PX or one.replace(boxes[0][1], "") != other.replace(boxes[1][1], "")


@pytest.mark.parametrize(
    ("theme", "language", "width"), [("dark", "en", 1366), ("light", "kk", 390)]
)
@pytest.mark.asyncio(loop_scope="session")
async def test_every_part_looks_as_it_did(
    browser: Browser, made: MadeUp, theme: Any, language: str, width: int
) -> None:
    context = await context_of(
        browser,
        made,
        "",
        bypass_csp=True,
        color_scheme=theme,
        viewport={"width": width, "height": 800},
    )
    page = await context.new_page()
    await page.add_init_script(f"localStorage.setItem('language', '{language}')")
    await page.goto("/components")
    await page.add_style_tag(content=STYLE)
    await page.evaluate("document.fonts.load('16px Block')")
    await page.locator(".example").last.wait_for()
    found: list[str] = await page.evaluate(SKETCH)
    await context.close()
    assert len(found) > 300
    kept = DRAWN / f"{theme}-{language}-{width}.txt"
    if not kept.exists():
        kept.write_text("\n".join(found) + "\n")
        pytest.fail(
            f"{kept.name} was not there: it is drawn now; look at /components and commit it"
        )
    before = kept.read_text().splitlines()
    changed = [
        f"was {one}\nnow {other}"
        for one, other in zip(before, found, strict=False)
        if apart(one, other)
    ]
    assert changed[:5] == []
    assert len(before) == len(found)


@pytest.mark.parametrize(
    ("one", "other", "differ"),
    [
        ("p [0 0 10 20] 000000 - - 400", "p [0 0 10 23] 000000 - - 400", False),
        ("p [0 0 10 20] 000000 - - 400", "p [0 0 10 24] 000000 - - 400", True),
        ("p [0 0 10 20] 000000 - - 400", "p [0 0 10 20] 000001 - - 400", True),
        ("p [0 0 10 20] 000000 - - 400", "p.bad [0 0 10 20] 000000 - - 400", True),
    ],
)
def test_what_is_apart(one: str, other: str, differ: bool) -> None:
    assert apart(one, other) is differ
