"""The policies file: what docs/paging.md shows works, and what is wrong is explained."""

import re
from datetime import datetime, time
from pathlib import Path

import pytest
import trustme
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from loadtest.simulator.regions import REGIONS as THERE
from schemas.alerts import AlertKind, Severity
from schemas.life import Life
from schemas.regions import REGIONS
from streams.notify.asking import Around
from streams.notify.decide import wanted
from streams.notify.load import load_policies
from streams.notify.policy import EVERYONE, Policies
from streams.paging.channels import load_channels
from streams.paging.files import Unusable
from tests.streams.notify.alerts import changed
from tests.streams.paging.receiver import private

DOCS = Path(__file__).parents[3] / "docs" / "paging.md"
CHANNELS = ("duty-phone", "supervisor-sms")
SOON, LATER = "2026-11-25T18:00:00+05:00", "2026-11-27T18:00:00+05:00"
WORK = f"[[maintenance]]\nstarts = {SOON}\nends = {LATER}\n"


def shown() -> tuple[str, str]:
    channels, policies = re.findall(r"```toml\n(.*?)```", DOCS.read_text(), re.DOTALL)
    return channels, policies


def written(folder: Path, text: str) -> Path:
    path = folder / "policies.toml"
    path.write_bytes(text.encode(errors="surrogatepass"))
    return path


def test_the_files_in_the_docs_are_understood(tmp_path: Path) -> None:
    channels, policies = shown()
    trustme.CA().cert_pem.write_to_path(str(tmp_path / "our-ca.pem"))
    channels = channels.replace("/etc/ssl", str(tmp_path))
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
        ('[quiet]\nfrom = "22:00"\nuntil = "07:00"\nzone = "localtime"\n', "no such time zone"),
        ('[quiet]\nfrom = "22:00+05:00"\nuntil = "07:00"\n', r"quiet\.0\.from.*without an offset"),
        ('[quiet]\nfrom = "22:00"\nuntil = "07:00Z"\n', r"quiet\.0\.until.*without an offset"),
        ("[quiet]\nfrom = 22\nuntil = 7\n", "hours and minutes in quotes"),
        ('[quiet]\nfrom = "22"\nuntil = "7"\n', "hours and minutes in quotes"),
        ('[quiet]\nfrom = "22:00"\nuntil = "22:00"\n', "same time"),
        (
            '[[quiet]]\nfrom = "22:00"\nuntil = "10:00"\n[[quiet]]\nfrom = "09:00"\nuntil = "22:30"\n',
            "no time of the day",
        ),
        (
            '[quiet]\nfrom = "22:00"\nuntil = "07:00"\nregions = ["KZ-99"]\n',
            r"quiet\.0\.regions.*no such region",
        ),
        ('[quiet]\nfrom = "22:00"\nuntil = "07:00"\nseverities = ["panic"]\n', "never kept"),
        (f"[[maintenance]]\nstarts = 2026-11-25T18:00:00\nends = {LATER}\n", "and offset"),
        (f"[[maintenance]]\nstarts = {SOON}\nends = 2026-11-26T18:00:00\n", "and offset"),
        (f"[[maintenance]]\nstarts = 2026-11-25\nends = {LATER}\n", "and offset"),
        (f"[[maintenance]]\nstarts = 1764000000\nends = {LATER}\n", "and offset"),
        (f'[[maintenance]]\nstarts = "1764000000"\nends = {LATER}\n', "and offset"),
        (f'[[maintenance]]\nstarts = "2026-11-25 18:00"\nends = {LATER}\n', "and offset"),
        (f"[[maintenance]]\nstarts = {LATER}\nends = {SOON}\n", "later than starts"),
        (f"[[maintenance]]\nstarts = {SOON}\nends = {SOON}\n", "later than starts"),
        (f'{WORK}kinds = ["panic", "panic_blind"]\n', "never held"),
        (f'{WORK}schools = ["KZ-75-1"]\n', "KZ-75-00001"),
        (f'{WORK}schools = ["KZ-98-00001"]\n', "no such region"),
        (f'{WORK}regions = ["Almaty"]\n', "no such region"),
        ('[[rules]]\nname = "a"\nregions = ["KZ-75", "KZ-99"]\n', "no such region"),
        ('[[rules]]\nname = "a"\nhold_s = -1\n', r"rules\.0\.hold_s"),
        ('[[rules]]\nname = "a"\nrepeat_s = -1\n', r"rules\.0\.repeat_s"),
        ('[[rules]]\nname = "a"\nhold_s = "20"\n', r"rules\.0\.hold_s"),
        ('[[rules]]\nname = "a"\nhold_s = 90000\n', r"rules\.0\.hold_s"),
        ('[[rules]]\nname = "a"\ngroup = "no"\n', r"rules\.0\.group"),
        ('[[rules]]\nname = "a"\ninterval_s = inf\n', r"rules\.0\.interval_s"),
        ('[[rules]]\nname = "a"\n[[rules]]\nname = "a"\n', "two rules"),
        ('[[rules]]\nname = "a"\n[[rules]]\nname = "b"\nkinds = ["panic"]\n', "'b' never counts"),
        (
            f'[chains.everyone]\nlevels = [{{ channels = ["{CHANNELS[0]}"] }}]\n',
            "may not be called",
        ),
        ("# \ud800", "not UTF-8"),
    ],
)
def test_wrong_policies_are_explained(tmp_path: Path, text: str, why: str) -> None:
    with pytest.raises(Unusable, match=f"policies.toml.*{why}"):
        load_policies(written(tmp_path, text), CHANNELS)


def test_the_regions_are_those_of_the_country() -> None:
    assert {f"KZ-{region.code}" for region in THERE} == REGIONS


TIMES = st.one_of(
    st.times().map(time.isoformat),
    st.times(timezones=st.timezones()).map(time.isoformat),
    st.times().map(lambda at: at.isoformat("minutes") + "+05:00"),
)
MOMENTS = st.one_of(
    st.datetimes(min_value=datetime(2020, 1, 1), max_value=datetime(2040, 1, 1)),
    st.datetimes(
        min_value=datetime(2020, 1, 1), max_value=datetime(2040, 1, 1), timezones=st.timezones()
    ),
    st.dates(),
)
SECONDS = st.one_of(st.integers(-10, 10**6), st.booleans(), st.floats())
SEVERITIES = st.lists(st.sampled_from(list(Severity)), max_size=3)
PLACES = st.lists(st.sampled_from(["KZ-75", "KZ-99", "", "kz-75"]), max_size=2)
KINDS = st.lists(st.sampled_from([*AlertKind, "fire"]), max_size=2)
SOME = st.fixed_dictionaries
WHATEVER = SOME(
    {},
    optional={
        "quiet": st.lists(
            SOME(
                {"from": TIMES, "until": TIMES},
                optional={"severities": SEVERITIES, "regions": PLACES},
            ),
            max_size=2,
        ),
        "maintenance": st.lists(
            SOME(
                {"starts": MOMENTS, "ends": MOMENTS}, optional={"regions": PLACES, "kinds": KINDS}
            ),
            max_size=2,
        ),
        "rules": st.lists(
            SOME(
                {"name": st.sampled_from(["a", "b"])},
                optional={
                    "kinds": KINDS,
                    "severities": SEVERITIES,
                    "regions": PLACES,
                    "hold_s": SECONDS,
                    "interval_s": SECONDS,
                    "repeat_s": SECONDS,
                    "attended_s": SECONDS,
                    "group": st.booleans(),
                },
            ),
            max_size=2,
        ),
    },
)


@given(
    WHATEVER,
    st.integers(0, 4 * 10**12),
    st.sampled_from(list(AlertKind)),
    st.sampled_from(list(Severity)),
)
@settings(max_examples=100, deadline=None)
def test_what_is_accepted_decides_at_any_time_and_is_heard_of(
    told: dict[str, object], now_ms: int, kind: AlertKind, severity: Severity
) -> None:
    """Whatever a file says: it is refused, or never fails, and nothing that waits waits for ever."""
    try:
        policies = Policies.model_validate(told)
    except ValidationError:
        return
    it = Life("alert-1")
    it.changed(changed(at_ms=now_ms, kind=kind, severity=severity))
    at_ms = now_ms
    for _ in range(20):
        answer = wanted(it, policies, CHANNELS, lambda _: False, Around(), at_ms)
        if any(call.due_ms <= at_ms for call in answer.calls):
            return
        due_ms = min((call.due_ms for call in answer.calls), default=at_ms)
        ends_ms = [w.ends_ms for w in policies.maintenance if w.holds(at_ms)]
        awake_ms = policies.awake_ms(severity, "KZ-75", at_ms)
        at_ms = max(due_ms, *ends_ms, awake_ms, at_ms + 1)
    raise AssertionError("nobody hears of it")
