from datetime import date, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from dashboards.grafana.compare import differences
from dashboards.grafana.files import files
from dashboards.grafana.notify import mute_timings, templates
from dashboards.grafana.settings import GrafanaSettings
from tests.dashboards.grafana.test_provision import SETTINGS


@given(st.dates(date(2025, 1, 1), date(2028, 1, 1)), st.integers(0, 400))
def test_a_holiday_mutes_each_of_its_days_and_no_other(first: date, length: int) -> None:
    last = first + timedelta(days=length)
    timing = mute_timings(GrafanaSettings(holidays=[f"{first}/{last}"]))[0]
    muted = []
    for part in timing["time_intervals"][2:]:
        (year,), (month,), (days,) = part["years"], part["months"], part["days_of_month"]
        begin, end = map(int, days.split(":"))
        muted += [date(int(year), int(month), day) for day in range(begin, end + 1)]
    assert muted == [first + timedelta(days=n) for n in range(length + 1)]


def test_a_holiday_that_ends_before_it_begins_is_refused() -> None:
    with pytest.raises(ValidationError, match="comes after"):
        GrafanaSettings(holidays=["2026-11-01/2026-10-26"])


def test_there_is_a_text_in_each_language_and_its_brackets_close() -> None:
    texts = {template["name"]: template["template"] for template in templates()}
    assert set(texts) == {"saqshy-kk", "saqshy-ru", "saqshy-en"}
    for text in texts.values():
        assert text.count("{{") == text.count("}}")
        opened = sum(text.count(word) for word in ("{{ if", "{{ range", "{{ define"))
        assert text.count("{{ end }}") == opened


def test_files_hold_no_secret() -> None:
    text = "".join(files(SETTINGS).values())
    for secret in ("123:abc", "hush", "key-of-32"):
        assert secret not in text
    assert "${SAQSHY_PANIC_TELEGRAM_0}" in text and "${SAQSHY_READER_PASSWORD}" in text


def test_files_name_the_folder_by_its_title_and_the_rest_as_grafana_reads_files() -> None:
    made = files(SETTINGS)
    alerting = made["alerting/saqshy.yaml"]
    assert '"folder": "Saqshy"' in alerting and '"keepFiringFor"' in alerting
    assert "keep_firing_for" not in alerting
    assert sum(path.startswith("dashboards/saqshy/") for path in made) == 7


def test_an_absent_field_is_an_empty_one_and_a_foreign_field_is_none_of_ours() -> None:
    assert differences({"a": "", "b": 0, "for": "2m"}, {"for": "2m0s", "id": 9}) == []
    assert differences({"a": [1, {"b": 2}]}, {"a": [1, {"b": 3}]}) == ["a[1].b"]
    assert differences({"a": [1]}, {"a": [1, 2]}) == ["a (2 there, 1 wanted)"]
    assert differences({"a": {"password": "x"}}, {"a": {}}, {"password"}) == []
