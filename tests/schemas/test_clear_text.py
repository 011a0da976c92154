"""Every address of every setting and configuration file: refused in clear text beyond this machine."""

import importlib
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from apprise import Apprise
from hypothesis import given
from hypothesis import strategies as st
from pydantic import BaseModel, SecretStr, ValidationError

from dashboards.grafana.settings import GrafanaClickHouse, GrafanaSettings, Reach
from dashboards.grafana.settings import Webhook as GrafanaWebhook
from schemas.clear_text import Reaching, elsewhere, is_here, told, url_in_clear
from schemas.contacts import SchoolContacts
from schemas.events import Contract
from schemas.settings import (
    ClickHouseSettings,
    ConsoleSettings,
    DispatchSettings,
    GatewaySettings,
    KafkaSettings,
    NotifySettings,
    Settings,
    WatchdogSettings,
    WorkerSettings,
    settings_of_process,
)
from streams.dispatch.centers import Center, CentersWrong, load
from streams.gateway.accounts import Account, in_clear, read_accounts
from streams.paging.alertmanager import Alertmanager
from streams.paging.people import AppriseChannel
from streams.paging.web import Ping, WebAddress
from streams.paging.webhook import Webhook

ROOT = Path(__file__).parents[2]
ROOMS = ("schemas", "streams", "dashboards", "deploy")
ADDRESSING = re.compile(
    r"(^|_)(url|urls|uri|host|hosts|bootstrap|address|addresses|issuer|link|server|servers|endpoint"
    r"|peers?|broker|brokers|proxy)$"
)
HOSTS = ("kafka.example", "10.0.0.5", "192.0.2.1", "fd00::5", "127.0.0.1.example", "0.0.0.0")
LOCAL = ("127.0.0.1", "localhost", "::1", "127.8.9.1")


def _url(host: str, scheme: str = "http") -> str:
    return f"{scheme}://{f'[{host}]' if ':' in host else host}:1234/x"


def _server(host: str) -> str:
    return f"{f'[{host}]' if ':' in host else host}:1234"


MORE: dict[type[BaseModel], tuple[dict[str, Any], ...]] = {
    Center: (
        {"id": "a", "adapter": "cap"},
        {"id": "a", "adapter": "webhook", "key_file": "/nowhere"},
        {"id": "a", "adapter": "dc09"},
    ),
    Webhook: ({"secret": "s" * 32},),
}
"""What a model needs beside the address, in each form in which it has one."""
ALWAYS_TLS = (WebAddress, Webhook, Alertmanager, Ping)
"""Nothing but https:// is taken, here neither."""
ONLY: dict[type[BaseModel], Callable[[str], object]] = {
    AppriseChannel: lambda host: Apprise.instantiate(f"json://{host}") is not None,
}
SAFE: dict[tuple[type[BaseModel], str], dict[str, Any]] = {
    (KafkaSettings, "bootstrap"): {"security_protocol": "SASL_SSL"},
    (ClickHouseSettings, "host"): {"secure": True},
    (GrafanaClickHouse, "host"): {"secure": True},
    (GatewaySettings, "host"): {"tls_cert_file": "/c", "tls_key_file": "/k"},
}
"""What makes an address that is no URL safe; listeners without TLS of their own have nothing."""


def models() -> list[type[BaseModel]]:
    """All that are read from outside and are no events."""
    for room in ROOMS:
        for path in (ROOT / room).rglob("*.py"):
            name = ".".join(path.relative_to(ROOT).with_suffix("").parts)
            if path.stem not in ("__init__", "__main__") and "BaseModel" in path.read_text():
                importlib.import_module(name)
    found: set[type[BaseModel]] = set()
    waiting: list[type[BaseModel]] = [BaseModel]
    while waiting:
        for model in waiting.pop().__subclasses__():
            if model not in found:
                found.add(model)
                waiting.append(model)
    return sorted(
        (m for m in found if m.__module__.split(".")[0] in ROOMS and not issubclass(m, Contract)),
        key=lambda m: (m.__qualname__, m.__module__),
    )


def fields() -> Iterator[tuple[type[BaseModel], str]]:
    for model in models():
        for name, field in model.model_fields.items():
            default = field.default
            looks = isinstance(default, str) and "://" in default
            if (ADDRESSING.search(name) or looks) and field.annotation is not int:
                yield model, name


ALL = [
    (model, name)
    for model, name in fields()
    if not model.__name__.startswith("_") and model not in (Account, SchoolContacts)
]
"""Panels that speak plaintext are heard all the same, and told of; a school's address is a street."""


def shaped(model: type[BaseModel], name: str, host: str, scheme: str, more: dict[str, Any]) -> Any:
    """The address in the shape that this field has."""
    field = model.model_fields[name]
    if model is Center:
        return [_server(host) if more["adapter"] == "dc09" else _url(host, scheme)]
    if model is AppriseChannel:
        return _url(host, {"http": "json", "https": "jsons"}[scheme])
    if name == "bootstrap":
        return f"127.0.0.1:1,{_server(host)}"
    if name.endswith("host"):
        return host
    url = _url(host, scheme)
    annotation = field.annotation
    if getattr(annotation, "__origin__", None) is list:
        return ["https://good.example/", url]
    if getattr(annotation, "__origin__", None) is dict:
        return {"good": "https://good.example/", "it": url}
    return SecretStr(url) if annotation is SecretStr else url


def forms() -> Iterator[Any]:
    for model, name in ALL:
        for more in MORE.get(model, ({},)):
            yield pytest.param(model, name, more, id=f"{model.__name__}-{name}-{len(more)}")


def test_the_walk_finds_what_is_known_to_be_there() -> None:
    assert {
        (KafkaSettings, "bootstrap"),
        (ClickHouseSettings, "host"),
        (GatewaySettings, "host"),
        (GatewaySettings, "direct_urls"),
        (ConsoleSettings, "host"),
        (ConsoleSettings, "public_url"),
        (ConsoleSettings, "oidc_issuer"),
        (ConsoleSettings, "direct_urls"),
        (WorkerSettings, "health_host"),
        (NotifySettings, "link"),
        (WatchdogSettings, "health_urls"),
        (WatchdogSettings, "events_url"),
        (GrafanaSettings, "url"),
        (GrafanaWebhook, "url"),
        (GrafanaClickHouse, "host"),
        (Center, "addresses"),
        (AppriseChannel, "url"),
        (Webhook, "url"),
        (Alertmanager, "url"),
        (Ping, "url"),
    } <= set(ALL)


@pytest.mark.parametrize(("model", "name", "more"), forms())
def test_clear_text_beyond_this_machine_is_refused_unless_it_is_wanted(
    model: type[BaseModel], name: str, more: dict[str, Any]
) -> None:
    for host in filter(ONLY.get(model, str), HOSTS):
        given_ = {**more, name: shaped(model, name, host, "http", more)}
        with pytest.raises(ValidationError) as refused:
            model.model_validate(given_)
        said = told(refused.value)
        assert name in said
        if model in ALWAYS_TLS:
            continue
        assert issubclass(model, Reaching)
        assert "insecure = true" in said
        model.model_validate({**given_, "insecure": True})
        if (model, name) in SAFE:
            model.model_validate({**given_, **SAFE[model, name]})
    for host in filter(ONLY.get(model, str), LOCAL):
        if model not in ALWAYS_TLS:
            model.model_validate({**more, name: shaped(model, name, host, "http", more)})


@pytest.mark.parametrize(("model", "name", "more"), forms())
def test_https_is_taken_everywhere(model: type[BaseModel], name: str, more: dict[str, Any]) -> None:
    if (model, name) in SAFE or name.endswith("host") or more.get("adapter") == "dc09":
        return
    model.model_validate({**more, name: shaped(model, name, "a.example", "https", more)})


def test_the_defaults_need_no_leave() -> None:
    Settings()
    GrafanaSettings()
    Reach()
    DispatchSettings()


@given(st.ip_addresses())
def test_an_address_is_here_only_when_it_is_a_loopback_one(address: Any) -> None:
    mapped = getattr(address, "ipv4_mapped", None) or address
    assert is_here(str(address)) == mapped.is_loopback
    assert url_in_clear(_url(str(address))) != mapped.is_loopback


@pytest.mark.parametrize(
    "url",
    [
        "http://127.0.0.1@evil.example/",
        "http://127.0.0.1.evil.example/",
        "HTTP://EVIL.example",
        " http://evil.example",
        "//evil.example",
        "evil.example/path",
        "ws://evil.example",
        "ftp://evil.example",
        "http://localhost.evil.example",
        "http://0.0.0.0/",
        "http://[::]/",
        "http://2130706433/",
        "http:/evil",
    ],
)
def test_what_only_looks_like_this_machine_or_like_tls_is_clear_text(url: str) -> None:
    assert url_in_clear(url)


@pytest.mark.parametrize(
    ("servers", "found"),
    [
        ("127.0.0.1:9092", []),
        ("localhost:1, [::1]:2,127.0.0.1", []),
        ("a:1,127.0.0.1:2, b", ["a:1", "b"]),
        ("::1", []),
        ("fd00::1", ["fd00::1"]),
        ("/run/kafka.sock", []),
        ("", []),
    ],
)
def test_of_several_servers_each_is_looked_at(servers: str, found: list[str]) -> None:
    assert list(elsewhere(servers)) == found


def test_a_process_says_the_field_and_what_to_do_and_no_secret(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("SAQSHY_KAFKA__BOOTSTRAP", "kafka.example:9092")
    monkeypatch.setenv("SAQSHY_KAFKA__PASSWORD", "hunter2")
    with pytest.raises(SystemExit) as ended:
        settings_of_process()
    said = str(ended.value)
    assert "kafka: bootstrap: set security_protocol to SASL_SSL" in said
    assert "insecure = true" in said
    assert "hunter2" not in said
    monkeypatch.setenv("SAQSHY_KAFKA__INSECURE", "true")
    assert settings_of_process().kafka.insecure


def test_the_files_say_which_of_them_and_where(tmp_path: Path) -> None:
    centers = tmp_path / "centers.toml"
    centers.write_text(
        '[[centers]]\nid = "almaty"\nadapter = "cap"\naddresses = ["http://102.example/cap"]\n'
    )
    with pytest.raises(CentersWrong, match=r"centers\.toml.*addresses.*almaty.*insecure = true"):
        load(centers)
    accounts = tmp_path / "accounts.json"
    accounts.write_text(
        '{"1234": {"school": "KZ-75-00001", "device": "panel-1", "addresses": ["10.1.0.0/16"]}}'
    )
    assert "1234" in in_clear(read_accounts(accounts))


@pytest.mark.parametrize(
    ("network", "more", "told_of"),
    [
        ("10.1.0.0/16", {}, True),
        ("fd00::/64", {}, True),
        ("10.1.0.0/16", {"insecure": True}, False),
        ("10.1.0.0/16", {"key": "0" * 32}, False),
        ("127.0.0.0/8", {}, False),
        ("::1/128", {}, False),
    ],
)
def test_a_panel_in_clear_text_is_heard_and_told_of(
    network: str, more: dict[str, Any], told_of: bool
) -> None:
    panel = {"school": "KZ-75-00001", "device": "panel-1", "addresses": [network], **more}
    account = Account.model_validate(panel)
    assert bool(in_clear({"1234": account})) == told_of
