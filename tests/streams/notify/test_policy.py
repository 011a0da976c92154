"""The policies file: what docs/paging.md shows works, and what is wrong is explained."""

import re
from pathlib import Path

import pytest

from schemas.alerts import AlertKind, Severity
from streams.notify.channels import load_channels
from streams.notify.files import Unusable
from streams.notify.policy import EVERYONE, load_policies
from tests.streams.notify.receiver import private

DOCS = Path(__file__).parents[3] / "docs" / "paging.md"
CHANNELS = ("duty-phone", "supervisor-sms")


def shown() -> tuple[str, str]:
    channels, policies = re.findall(r"```toml\n(.*?)```", DOCS.read_text(), re.DOTALL)
    return channels, policies


def written(folder: Path, text: str) -> Path:
    path = folder / "policies.toml"
    path.write_text(text)
    return path


def test_the_files_in_the_docs_are_understood(tmp_path: Path) -> None:
    channels, policies = shown()
    assert set(load_channels(private(tmp_path / "channels.toml", channels))) == {
        "duty-phone",
        "situation-center",
        "alertmanager",
    }
    found = load_policies(written(tmp_path, policies), CHANNELS)
    assert found.rule(AlertKind.PANIC, Severity.PANIC, "KZ-75").name == "panics of Almaty"
    assert [level.after_s for level in found.chains["duty"].levels] == [0, 60]
    assert found.quiet and found.maintenance


def test_what_no_rule_fits_goes_to_everyone(tmp_path: Path) -> None:
    found = load_policies(written(tmp_path, shown()[1]), CHANNELS)
    rule = found.rule(AlertKind.PANIC, Severity.PANIC, "KZ-11")
    assert rule.chain == EVERYONE
    assert [level.channels for level in found.levels(rule, CHANNELS)] == [sorted(CHANNELS)]


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("[[rules]", "not TOML"),
        ('[[rules]]\nname = "a"\nchain = "nobody"\n', "chain that is not there"),
        ('[[rules]]\nname = "a"\nkinds = ["fire"]\n', r"rules\.0\.kinds\.0"),
        ('[[rules]]\nname = "a"\nrepeat = 5\n', r"rules\.0\.repeat"),
        ('[chains.a]\nlevels = [{ channels = ["pigeon"] }]\n', "not there: pigeon"),
        ("[chains.a]\nlevels = []\n", r"chains\.a\.levels"),
        (
            '[chains.a]\nlevels = [{ after_s = 9, channels = ["duty-phone"] }, '
            '{ channels = ["duty-phone"] }]\n',
            "order of after_s",
        ),
        ('[quiet]\nfrom = "22:00"\nuntil = "07:00"\nzone = "Mars"\n', "no such time zone"),
    ],
)
def test_wrong_policies_are_explained(tmp_path: Path, text: str, why: str) -> None:
    with pytest.raises(Unusable, match=why):
        load_policies(written(tmp_path, text), CHANNELS)
