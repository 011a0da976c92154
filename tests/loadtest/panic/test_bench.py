"""What `python -m loadtest panic` sends and how it counts; the run itself needs the whole stack."""

import json
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest

from loadtest.panic.pressing import BUTTON, Buttons, Press, percentiles
from loadtest.panic.stack import Whole
from loadtest.panic.watching import Watching
from schemas.events import EVENT, SchoolRegistered
from schemas.settings import Settings
from streams.keys import Device, is_valid, keys_path, read_keys

T0 = 1_790_000_000_000


def test_every_button_is_of_a_school_of_its_own_with_a_center_and_a_key(tmp_path: Path) -> None:
    buttons, settings = Buttons(45, 1), Settings(var=tmp_path)
    buttons.install(settings)
    schools = [EVENT.validate_json(value) for _, _, value in buttons.registrations(T0)]
    assert len({school.school for school in schools}) == 45
    assert all(isinstance(school, SchoolRegistered) and school.center for school in schools)
    keys = read_keys(keys_path(settings))
    for number, token in enumerate(buttons.tokens):
        assert is_valid(keys, Device(buttons.school(number), BUTTON), token)


def test_percentiles_are_of_the_nearest_rank() -> None:
    assert percentiles([float(n) for n in range(1, 1001)]) == {
        "p50_ms": 501.0, "p99_ms": 991.0, "p999_ms": 1000.0, "max_ms": 1000.0,
    }  # fmt: skip
    assert percentiles([])["p99_ms"] is None


@pytest.fixture
def watching(tmp_path: Path) -> Watching:
    whole = cast(Whole, SimpleNamespace(settings=Settings(var=tmp_path)))
    return Watching(whole)


def heard(watching: Watching, press: Press, after_ms: int, number: int = 0) -> None:
    panic = {"id": press.alert, "number": number, "event": press.event, "time_ms": press.due_ms}
    watching.heard.note(panic, press.due_ms + after_ms)
    watching.alerts_ms[press.event] = press.due_ms + after_ms


def acked(watching: Watching, press: Press, after_ms: int, **fields: Any) -> None:
    path = watching.whole.settings.var / "police" / "received.jsonl"
    path.parent.mkdir(exist_ok=True)
    one = {"event": "120", "qualifier": 1, "repeat": False, "alert": press.alert}
    with path.open("a") as file:
        file.write(json.dumps({**one, "at_ms": press.due_ms + after_ms, **fields}) + "\n")


def test_it_counts_what_was_lost_and_doubled_at_console_and_police(watching: Watching) -> None:
    presses = [Press(f"KZ-10-5000{n}", f"event-{n}", T0 + n) for n in range(4)]
    for press in presses[:3]:
        heard(watching, press, 100)
        acked(watching, press, 200)
    heard(watching, presses[0], 150)
    acked(watching, presses[1], 300)
    acked(watching, presses[1], 400, repeat=True)
    acked(watching, presses[2], 500, event="406")
    figures = watching.figures(presses)
    assert (figures["presses"], figures["lost"], figures["duplicated"]) == (4, 1, 2)
    assert figures["lost_at"] == {"console": 1, "alerts": 1, "police": 1}
    assert (figures["p50_ms"], figures["police_ack_p50_ms"]) == (100.0, 200)
