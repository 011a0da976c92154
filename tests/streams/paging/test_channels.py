"""Pages to a real HTTPS receiver: signed, pinned, refused where they should be."""

import hmac
import json
import socket
from collections.abc import AsyncIterator
from datetime import datetime
from ipaddress import ip_network
from pathlib import Path
from typing import Any

import jsonschema
import pytest
from aiohttp import web as http

from schemas.private import NotPrivate
from schemas.steps import Took
from streams.paging.alertmanager import postable_alerts
from streams.paging.channels import load_channels
from streams.paging.files import Unusable
from streams.paging.page import OVER, Call, Page, Why, page
from streams.paging.retry import NotDelivered, next_try_ms
from streams.paging.web import allowed
from tests.streams.paging.receiver import SECRET, Receiver, private, receiver

BASE = "https://console.example.kz/"
NOW_MS = 1_764_000_000_000

# Written from definitions.postableAlerts of Alertmanager's api/v2/openapi.yaml (Apache-2.0).
LABEL_SET = {"type": "object", "additionalProperties": {"type": "string"}}
POSTABLE_ALERTS = {
    "type": "array",
    "items": {
        "type": "object",
        "required": ["labels"],
        "properties": {
            "startsAt": {"type": "string", "format": "date-time"},
            "endsAt": {"type": "string", "format": "date-time"},
            "annotations": LABEL_SET,
            "labels": LABEL_SET,
            "generatorURL": {"type": "string", "format": "uri"},
        },
        "additionalProperties": False,
    },
}


def said(why: Why = "opened", count: int = 1) -> Page:
    calls = [
        Call(
            id=f"call-000{number}",
            alert=f"alert-{number}",
            school=f"KZ-75-{number:05}",
            kind="panic",
            channel="hook",
            why=why,
            took=Took.NOTIFIED,
            due_ms=0,
        )
        for number in range(count)
    ]
    return page("hook", calls, NOW_MS)


@pytest.fixture
async def taken(tmp_path: Path) -> AsyncIterator[Receiver]:
    async with receiver(tmp_path) as it:
        yield it


def channel(tmp_path: Path, text: str) -> Any:
    (it,) = load_channels(private(tmp_path / "channels.toml", text)).values()
    return it


async def refused(it: Any) -> NotDelivered:
    with pytest.raises(NotDelivered) as why:
        await it.deliver(said(), BASE)
    return why.value


async def test_a_webhook_is_signed_and_carries_alert_school_kind_and_link(
    taken: Receiver, tmp_path: Path
) -> None:
    await channel(tmp_path, taken.channel()).deliver(said(), BASE)
    ((headers, body),) = taken.requests
    signed = f"{headers['X-Saqshy-Timestamp']}.".encode() + body
    expected = hmac.new(SECRET.encode(), signed, "sha256").hexdigest()
    assert headers["X-Saqshy-Signature"] == f"v1={expected}"
    assert headers["Idempotency-Key"] == said().id
    assert json.loads(body) == {
        "page": said().id,
        "alerts": [
            {
                "id": "alert-0",
                "school": "KZ-75-00000",
                "kind": "panic",
                "why": "opened",
                "link": f"{BASE}?alert=alert-0",
            }
        ],
    }


async def test_a_redirect_is_not_followed(taken: Receiver, tmp_path: Path) -> None:
    taken.answer = lambda number: 307
    taken.headers = {"Location": f"{taken.url}/elsewhere"}
    assert "307" in str(await refused(channel(tmp_path, taken.channel())))
    assert taken.paths == ["/hook"]


async def test_a_private_address_is_refused_unless_it_is_allowed(
    taken: Receiver, tmp_path: Path
) -> None:
    why = await refused(channel(tmp_path, taken.channel(allow="[]")))
    assert why.final
    assert not taken.requests


async def test_a_name_is_asked_for_once_and_its_checked_address_is_used(
    taken: Receiver, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A second answer of DNS, of another address, would be a way around the check."""
    asked: list[object] = []
    real = socket.getaddrinfo

    def once(host: object, *rest: Any, **more: Any) -> Any:
        asked.append(host)
        assert asked.count(host) == 1 or host != "localhost"
        return real("127.0.0.1" if host == "localhost" else host, *rest, **more)  # type: ignore[arg-type]

    monkeypatch.setattr(socket, "getaddrinfo", once)
    await channel(tmp_path, taken.channel()).deliver(said(), BASE)
    assert asked.count("localhost") == 1
    assert len(taken.requests) == 1


async def test_a_certificate_that_nobody_vouches_for_is_refused(
    taken: Receiver, tmp_path: Path
) -> None:
    text = taken.channel().replace(f'ca_file = "{taken.ca_file}"\n', "")
    assert "certificate" in str(await refused(channel(tmp_path, text)))


async def test_silence_is_a_failure_after_its_time(taken: Receiver, tmp_path: Path) -> None:
    taken.answer = lambda number: 0
    text = taken.channel(timeout_s=0.3)
    assert "no answer within 0.3 s" in str(await refused(channel(tmp_path, text)))


async def test_nobody_there_says_so_without_the_address(tmp_path: Path, taken: Receiver) -> None:
    url = "https://127.0.0.1:1"
    text = taken.channel().replace(taken.url, url)
    why = str(await refused(channel(tmp_path, text)))
    assert "no connection" in why
    assert url not in why


@pytest.mark.parametrize(
    ("address", "is_allowed"),
    [
        ("93.184.216.34", True),
        ("2606:2800:220:1:248:1893:25c8:1946", True),
        ("127.0.0.1", False),
        ("10.1.2.3", False),
        ("169.254.169.254", False),
        ("100.64.0.1", False),
        ("0.0.0.0", False),
        ("224.0.0.1", False),
        ("::1", False),
        ("fe80::1%eth0", False),
        ("fd00::1", False),
        ("::ffff:127.0.0.1", False),
        ("::ffff:10.1.2.3", False),
        ("64:ff9b::10.1.2.3", False),
        ("2002:0a01:0203::1", False),
    ],
)
def test_only_public_addresses_are_reached(address: str, is_allowed: bool) -> None:
    assert allowed(address, []) is is_allowed


@pytest.mark.parametrize("address", ["10.1.2.3", "::ffff:10.1.2.3"])
def test_an_allow_list_opens_its_networks_only(address: str) -> None:
    assert allowed(address, [ip_network("10.1.0.0/16")])
    assert not allowed(address, [ip_network("10.2.0.0/16")])


@pytest.mark.parametrize("why", ["opened", "repeated", "escalated", "resolved"])
async def test_alertmanager_takes_what_its_published_api_says(
    taken: Receiver, tmp_path: Path, why: Why
) -> None:
    text = (
        f'[channels.am]\nkind = "alertmanager"\nurl = "{taken.url}/"\n'
        f'allow_private = ["127.0.0.0/8"]\nca_file = "{taken.ca_file}"\n'
    )
    await channel(tmp_path, text).deliver(said(why, 3), BASE)
    assert taken.paths == ["/api/v2/alerts"]
    ((_, body),) = taken.requests
    jsonschema.validate(
        json.loads(body), POSTABLE_ALERTS, format_checker=jsonschema.FormatChecker()
    )
    assert len(json.loads(body)) == 3


def test_a_repeat_is_the_same_alert_to_alertmanager_and_the_end_ends_it() -> None:
    (opened,), (resolved,) = postable_alerts(said(), BASE), postable_alerts(said("resolved"), BASE)
    assert opened["labels"] == resolved["labels"]
    assert resolved["endsAt"] < opened["endsAt"]
    assert set(opened["labels"]) == {"alertname", "alert", "school", "source"}


def test_a_page_that_comes_late_does_not_revive_an_alert_that_is_over() -> None:
    one, other = postable_alerts(said(count=2), BASE, {"alert-0"})
    (resolved,) = postable_alerts(said("resolved"), BASE)
    assert one["endsAt"] == resolved["endsAt"] < other["endsAt"]


@pytest.mark.parametrize(
    ("language", "panic"), [("en", "panic"), ("ru", "тревога"), ("kk", "дабыл")]
)
async def test_apprise_reaches_a_channel_in_its_language_and_says_when_it_does_not(
    tmp_path: Path, language: str, panic: str
) -> None:
    got: list[Any] = []

    async def take(request: http.Request) -> http.Response:
        got.append(await request.json())
        return http.Response(status=200 if len(got) == 1 else 500)

    app = http.Application()
    app.router.add_post("/{path:.*}", take)
    runner = http.AppRunner(app)
    await runner.setup()
    await http.TCPSite(runner, "127.0.0.1", 0).start()
    port = runner.addresses[0][1]
    try:
        text = f'[channels.people]\nkind = "apprise"\nurl = "json://127.0.0.1:{port}/x"\n'
        it = channel(tmp_path, text + f'language = "{language}"\n')
        await it.deliver(said(), BASE)
        assert "did not take it" in str(await refused(it))
    finally:
        await runner.cleanup()
    assert got[0]["title"] == f"Saqshy: {panic}: KZ-75-00000"
    assert f"{BASE}?alert=alert-0" in got[0]["message"]


def test_channels_come_only_from_a_file_that_nobody_else_reads(tmp_path: Path) -> None:
    path = private(tmp_path / "channels.toml", '[channels.a]\nkind = "log"\n')
    path.chmod(0o640)
    with pytest.raises(NotPrivate, match="chmod 600"):
        load_channels(path)


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("[channels", "not TOML"),
        ('[channels.a]\nkind = "pigeon"\n', "kind"),
        ('[channels.a]\nkind = "apprise"\nurl = "secret-nonsense"\n', "does not understand"),
        ('[channels.a]\nkind = "webhook"\nurl = "http://secret.kz"\nsecret = "s"\n', "https://"),
        ('[channels.a]\nkind = "webhook"\nurl = "https://a:secret@b.kz"\nsecret = "s"\n', "user"),
        ('[channels.a]\nkind = "webhook"\nurl = "https://b.kz"\nsecret = "secret"\n', "32"),
        ('[channels.a]\nkind = "log"\nsecrets = "secret"\n', "extra"),
    ],
)
def test_a_wrong_channel_is_explained_without_its_secrets(
    tmp_path: Path, text: str, why: str, caplog: pytest.LogCaptureFixture
) -> None:
    with pytest.raises(Unusable, match="(?i)" + why) as error:
        load_channels(private(tmp_path / "channels.toml", text))
    assert "secret-nonsense" not in str(error.value) + caplog.text
    assert "secret.kz" not in str(error.value)


@pytest.mark.parametrize(
    ("status", "final"),
    [(status, True) for status in (301, 302, 303, 307, 308, 400, 401, 403, 404, 405, 410, 413, 422)]
    + [(status, False) for status in (408, 421, 423, 425, 429, 500, 502, 503, 504)],
)
async def test_what_cannot_be_taken_later_either_is_told_from_what_can(
    taken: Receiver, tmp_path: Path, status: int, final: bool
) -> None:
    taken.answer = lambda number: status
    assert (await refused(channel(tmp_path, taken.channel()))).final is final


@pytest.mark.parametrize("status", [429, 503])
@pytest.mark.parametrize(
    ("told", "date", "after_s"),
    [
        ("120", None, 120),
        ("0", None, 0),
        ("Wed, 25 Nov 2026 10:02:00 GMT", "Wed, 25 Nov 2026 10:00:00 GMT", 120),
        ("Wed, 25 Nov 2026 09:00:00 GMT", "Wed, 25 Nov 2026 10:00:00 GMT", 0),
        ("-5", None, 0),
        ("soon", None, 0),
        ("9" * 400, None, 999_999_999),
    ],
)
async def test_who_asks_to_be_tried_later_is(
    taken: Receiver, tmp_path: Path, status: int, told: str, date: str | None, after_s: float
) -> None:
    taken.answer = lambda number: status
    taken.headers = {"Retry-After": told} | ({"Date": date} if date else {})
    assert (await refused(channel(tmp_path, taken.channel()))).after_s == after_s


def test_what_is_asked_for_is_waited_for_up_to_an_hour() -> None:
    for after_s, wait_s in [(0, 1), (120, 120), (86_400, 3_600)]:
        why = NotDelivered("it answered 429", after_s=after_s)
        assert next_try_ms(why, 1, 0, NOW_MS, NOW_MS) == NOW_MS + wait_s * 1000


async def test_a_long_page_is_several_requests_none_of_which_is_large(
    taken: Receiver, tmp_path: Path
) -> None:
    hook, long = channel(tmp_path, taken.channel()), said(count=4_000)
    for number, (first, until) in enumerate(hook.pieces(long, BASE)):
        part = {"id": f"{long.id}-{number}", "calls": long.calls[first:until]}
        await hook.deliver(long.model_copy(update=part), BASE)
    assert len(taken.pages) == 20
    assert max(len(body) for _, body in taken.requests) < 64_000
    told = [alert["id"] for page in taken.pages.values() for alert in page["alerts"]]
    assert sorted(told) == sorted(call.alert for call in long.calls)


@pytest.mark.parametrize("began_ms", [0, NOW_MS - 60_000, NOW_MS, NOW_MS + 60_000])
@pytest.mark.parametrize("why", ["opened", "repeated", "renewed", "resolved", "corrected"])
@pytest.mark.parametrize("over", [False, True])
def test_alertmanager_takes_begin_and_end_as_valid(began_ms: int, why: Why, over: bool) -> None:
    """As its alerts' Validate() wants them: a begin, and no begin after the end."""
    one = said(why)
    calls = tuple(call.model_copy(update={"began_ms": began_ms}) for call in one.calls)
    (alert,) = postable_alerts(
        one.model_copy(update={"calls": calls}), BASE, {"alert-0"} if over else set()
    )
    starts, ends = (datetime.fromisoformat(alert[name]) for name in ("startsAt", "endsAt"))
    assert starts <= ends
    assert starts.tzinfo and ends.tzinfo
    if 0 < began_ms <= NOW_MS:
        assert starts.timestamp() * 1000 == began_ms
    assert (ends.timestamp() * 1000 > NOW_MS) is (why not in OVER and not over)


@pytest.mark.parametrize(
    ("change", "why"),
    [
        ('url = "https://b.kz:99999"', "port"),
        ('url = "https://b.kz"\nca_file = "/nowhere.pem"', "certificates"),
        ('url = "https://b.kz"\nper_minute = -1', "per_minute"),
        ('url = "https://b.kz"\ntimeout_s = nan', "timeout_s"),
    ],
)
def test_what_would_fail_at_the_first_page_is_refused_at_the_start(
    tmp_path: Path, change: str, why: str
) -> None:
    text = f'[channels.a]\nkind = "webhook"\nsecret = "{SECRET}"\n{change}\n'
    with pytest.raises(Unusable, match="channels.toml.*" + why):
        load_channels(private(tmp_path / "channels.toml", text))
