"""The provisioning client against the stand-in, once directly and once through Prism, which holds the
client (and the stand-in) to the contract of Grafana's API."""

import json
from collections.abc import Iterator
from dataclasses import dataclass, replace

import pytest
from pydantic import SecretStr

from dashboards.grafana.gateway import Grafana, GrafanaTrouble
from dashboards.grafana.provision import What, carry_out, held, plan
from dashboards.grafana.settings import GrafanaSettings, Reach, Telegram, Webhook
from tests.dashboards.grafana.prism import checked
from tests.dashboards.grafana.server import TOKEN, Held, serving

SETTINGS = GrafanaSettings(
    token=SecretStr(TOKEN),
    panic=Reach(language="ru", telegram=[Telegram(token=SecretStr("123:abc"), chat="-100")]),
    operations=Reach(
        webhooks=[Webhook(url="https://pager.example/hook", bearer=SecretStr("hush"))],
        emails=["duty@example.kz", "second@example.kz"],
    ),
    engineers=Reach(language="en", pagerduty=[SecretStr("key-of-32")]),
    holidays=["2026-10-26/2026-11-01"],
)


@dataclass
class Place:
    held: Held
    url: str
    settings: GrafanaSettings

    def connect(self) -> Grafana:
        return Grafana(self.settings)

    def apply(self, *, secrets: bool = False) -> dict[str, What]:
        grafana = self.connect()
        grafana.check()
        done = {}
        for change in plan(grafana, self.settings, secrets=secrets):
            carry_out(grafana, change)
            done[f"{change.kind} {change.key}"] = change.what
        return done


THROUGH_PRISM = pytest.mark.broker  # as slow as a broker: not in make test-fast


@pytest.fixture(params=["directly", pytest.param("through Prism", marks=THROUGH_PRISM)])
def place(request: pytest.FixtureRequest) -> Iterator[Place]:
    kept = Held()
    with serving(kept) as url:
        if request.param == "directly":
            yield Place(kept, url, SETTINGS.model_copy(update={"url": url}))
            return
        with checked(url) as proxy:
            yield Place(kept, proxy, SETTINGS.model_copy(update={"url": proxy, "timeout_s": 30.0}))


def test_it_creates_everything_once_and_then_nothing(place: Place) -> None:
    first = place.apply()
    kinds = [key.split(" ")[0] for key in first]
    assert kinds.count("dashboard") == 7 and kinds.count("rule") == 4
    assert set(first.values()) == {What.CREATE}
    writes = len(place.held.log)
    assert writes == len(first)
    assert set(place.apply().values()) == {What.SAME}
    assert len(place.held.log) == writes


def test_it_repairs_what_was_changed_by_hand_and_says_where(place: Place) -> None:
    place.apply()
    group = next(v for k, v in place.held.things.items() if k.endswith("saqshy-silence"))
    group["rules"][0]["for"] = "9m"
    place.held.things["/dashboards/uid/saqshy-panic"]["dashboard"]["title"] = "Mine now"
    changes = {c.key: c for c in plan(place.connect(), place.settings) if c.what != What.SAME}
    assert changes["saqshy-silence"].differs == ["rules.saqshy-school-offline.for"]
    assert changes["saqshy-panic"].differs == ["title"]
    assert set(changes) == {"saqshy-silence", "saqshy-panic"}
    place.apply()
    assert set(place.apply().values()) == {What.SAME}


def test_it_never_takes_away_what_others_made(place: Place) -> None:
    theirs = {"receiver": "theirs", "object_matchers": [["team", "=", "kitchen"]]}
    place.held.policies["routes"].append(theirs)
    place.apply()
    path = "/v1/provisioning/folder/saqshy/rule-groups/saqshy-silence"
    foreign = {
        **place.held.things[path]["rules"][0],
        "uid": "theirs",
        "labels": {"team": "kitchen"},
    }
    ours_of_old = {**foreign, "uid": "saqshy-gone", "labels": {"managed_by": "saqshy"}}
    place.held.things[path]["rules"] += [foreign, ours_of_old]
    place.held.contact_points["theirs"] = {
        "uid": "theirs", "name": "theirs", "type": "email", "settings": {"addresses": "a@b.kz"},
    }  # fmt: skip
    place.apply()
    uids = [rule["uid"] for rule in place.held.things[path]["rules"]]
    assert "theirs" in uids and "saqshy-gone" not in uids
    assert theirs in place.held.policies["routes"]
    assert place.held.policies["receiver"] == "grafana-default-email"
    assert "theirs" in place.held.contact_points
    assert all(method != "DELETE" for method, _ in place.held.log)


def test_it_writes_secrets_anew_only_when_asked(place: Place) -> None:
    place.apply()
    again = place.apply(secrets=True)
    renewed = {key for key, what in again.items() if what == What.UPDATE}
    assert renewed == {
        "data source saqshy-clickhouse",
        "contact point saqshy-panic-telegram-0",
        "contact point saqshy-operations-webhook-0",
        "contact point saqshy-engineers-pagerduty-0",
    }


def test_it_exports_what_the_server_holds(place: Place) -> None:
    place.apply()
    found = held(place.connect(), place.settings)
    assert len(found) == 8 and len(found["rules.json"]) == 4


def test_a_panic_is_never_muted_and_goes_out_first(place: Place) -> None:
    place.apply()
    ours = place.held.policies["routes"][0]
    assert ours["group_by"] == ["alertname", "region"]
    panic = ours["routes"][0]
    assert panic["object_matchers"] == [["severity", "=", "panic"]]
    assert "mute_time_intervals" not in panic and panic["receiver"] == "saqshy-panic"
    muted = [route for route in ours["routes"] if route.get("mute_time_intervals")]
    assert len(muted) == 2


@THROUGH_PRISM
def test_prism_refuses_a_misspelled_field() -> None:
    """The proof that the contract bites: else the tests above would prove nothing."""
    kept = Held()
    with serving(kept) as url, checked(url) as proxy:
        grafana = Grafana(SETTINGS.model_copy(update={"url": proxy, "timeout_s": 30.0}))
        with pytest.raises(GrafanaTrouble, match="refuses"):
            grafana.write("PUT", "/v1/provisioning/policies", {"reciever": "typo"})
    assert kept.log == []


@pytest.fixture
def direct() -> Iterator[Place]:
    kept = Held()
    with serving(kept) as url:
        yield Place(kept, url, SETTINGS.model_copy(update={"url": url}))


def test_it_names_a_wrong_token_without_printing_it(direct: Place) -> None:
    settings = direct.settings.model_copy(update={"token": SecretStr("glsa_wrong_one")})
    with pytest.raises(GrafanaTrouble, match="does not accept the token") as trouble:
        Place(direct.held, direct.url, settings).apply()
    assert "glsa_wrong_one" not in str(trouble.value)
    assert "glsa_wrong_one" not in repr(settings)


@pytest.mark.parametrize("version", ["13.1.9", "12.4.0", "9.5.1-pre"])
def test_it_refuses_an_old_grafana(direct: Place, version: str) -> None:
    direct.held.version = version
    with pytest.raises(GrafanaTrouble, match=r"13\.2 or newer"):
        direct.apply()
    assert direct.held.log == []


def test_it_says_how_to_install_a_missing_plugin(direct: Place) -> None:
    direct.held.plugin = False
    with pytest.raises(GrafanaTrouble, match="grafana cli plugins install"):
        direct.apply()


def test_it_says_when_nobody_answers() -> None:
    settings = SETTINGS.model_copy(update={"url": "http://127.0.0.1:9"})
    with pytest.raises(GrafanaTrouble, match="does not answer"):
        Grafana(settings).check()


@pytest.mark.parametrize("url", ["grafana.example.kz", "ftp://grafana.example.kz", ""])
def test_it_says_when_the_address_is_none(url: str) -> None:
    with pytest.raises(GrafanaTrouble, match="SAQSHY_GRAFANA__URL"):
        Grafana(SETTINGS.model_copy(update={"url": url}))


def test_without_anybody_to_tell_it_leaves_the_policies_alone(direct: Place) -> None:
    nobody = GrafanaSettings(url=direct.url, token=SecretStr(TOKEN))
    place = replace(direct, settings=nobody)
    done = place.apply()
    assert not [key for key in done if key.startswith(("policies", "contact"))]
    assert "/v1/provisioning/policies" not in json.dumps(direct.held.log)
