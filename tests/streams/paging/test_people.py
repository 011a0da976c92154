"""Messages to people by the real apprise, to a bot's server on loopback: each chat and piece by itself."""

import asyncio
import logging
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web
from apprise.plugins.telegram import NotifyTelegram

from streams.paging import people
from streams.paging.channels import load_channels
from streams.paging.page import Page
from streams.paging.people import AppriseChannel
from streams.paging.retry import NotDelivered
from tests.streams.paging.receiver import private
from tests.streams.paging.test_channels import BASE, said

TOKEN = "123456789:AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"
LONGEST = 4_096
"""Characters that Telegram takes in a message (core.telegram.org/bots/api#sendmessage)."""


@dataclass
class Bot:
    """``answers``: of each chat, a status and what it says; 0: nothing."""

    channel: AppriseChannel
    answers: dict[str, tuple[int, str]] = field(default_factory=dict)
    got: list[tuple[str, str]] = field(default_factory=list)

    def texts(self, chat: str) -> list[str]:
        return [text for to, text in self.got if to == chat]


@pytest.fixture
async def bot(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Bot]:
    text = f'[channels.duty]\nkind = "apprise"\nurl = "tgram://{TOKEN}/111/222"\nlanguage = "en"\n'
    it = Bot(load_channels(private(tmp_path / "channels.toml", text))["duty"])

    async def take(request: web.Request) -> web.Response:
        told: dict[str, Any] = await request.json()
        chat = str(told["chat_id"])
        it.got.append((chat, told["text"]))
        status, words = it.answers.get(chat, (200, ""))
        if not status:
            await asyncio.sleep(30)
        return web.json_response({"ok": status == 200, "description": words}, status=status)

    app = web.Application()
    app.router.add_post("/{path:.*}", take)
    runner = web.AppRunner(app, shutdown_timeout=0.1)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    monkeypatch.setattr(
        NotifyTelegram, "notify_url", f"http://127.0.0.1:{runner.addresses[0][1]}/bot"
    )
    yield it
    await runner.cleanup()


async def refused(bot: Bot, receiver: str, page: Page | None = None) -> NotDelivered:
    with pytest.raises(NotDelivered) as why:
        await bot.channel.deliver(page or said(), BASE, receiver=receiver)
    return why.value


async def test_each_chat_of_an_address_is_asked_by_itself(bot: Bot) -> None:
    first, second = bot.channel.receivers()
    assert [first, second] == bot.channel.receivers()
    bot.answers["222"] = 403, "Forbidden: bot was blocked by the user"
    await bot.channel.deliver(said(), BASE, receiver=first)
    why = await refused(bot, second)
    assert why.final
    assert [chat for chat, _ in bot.got] == ["111", "222"]


@pytest.mark.parametrize(
    ("status", "words", "final", "after_s"),
    [
        (400, "Bad Request: chat not found", True, 0),
        (403, "Forbidden: bot was kicked from the group chat", True, 0),
        (429, "Too Many Requests: retry after 35", False, 35),
        (500, "Internal Server Error", False, 0),
    ],
)
async def test_its_refusals_are_told_from_its_failures(
    bot: Bot, status: int, words: str, final: bool, after_s: float
) -> None:
    bot.answers["111"] = status, words
    why = await refused(bot, bot.channel.receivers()[0])
    assert (why.final, why.after_s, why.unclear) == (final, after_s, False)
    assert str(status) in str(why)


async def test_a_lost_answer_is_unclear(bot: Bot, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(people, "ANSWER_WITHIN_S", 0.3)
    monkeypatch.setattr(NotifyTelegram, "socket_read_timeout", 0.3)
    bot.answers["111"] = 0, ""
    why = await refused(bot, bot.channel.receivers()[0])
    assert why.unclear
    assert not why.final


@pytest.mark.parametrize("count", [1, 40, 400, 4_000])
async def test_a_long_page_is_few_messages_that_say_how_many_more_there_are(
    bot: Bot, count: int
) -> None:
    page = said(count=count)
    first, _ = bot.channel.receivers()
    ranges = bot.channel.pieces(page, BASE)
    assert len(ranges) <= people.MOST_PIECES
    assert [ranges[0][0], *(until for _, until in ranges)] == [
        *(begin for begin, _ in ranges),
        count,
    ]
    for number, (begin, until) in enumerate(ranges):
        part = {"id": f"{page.id}-{number}", "calls": page.calls[begin:until]}
        await bot.channel.deliver(page.model_copy(update=part), BASE, receiver=first)
    texts = bot.texts("111")
    assert len(texts) == len(ranges)  # apprise split none of them
    assert max(len(text) for text in texts) <= LONGEST
    named = sum(call.school in text for call in page.calls for text in texts)
    assert named == count or f"and {count - named} more: {BASE}" in texts[-1]
    assert count > 400 or named >= count


async def test_nothing_that_apprise_logs_goes_anywhere(
    bot: Bot, caplog: pytest.LogCaptureFixture, capfd: pytest.CaptureFixture[str]
) -> None:
    bot.answers["111"] = 500, "no"
    root = logging.getLogger()
    root.setLevel(logging.DEBUG)
    why = await refused(bot, bot.channel.receivers()[0])
    out, err = capfd.readouterr()
    assert TOKEN not in out + err + str(why)
    assert not [record for record in caplog.records if record.name.startswith("apprise")]


def test_the_smallest_message_names_its_school() -> None:
    """An SMS: what does not fit is two, but no page is empty."""
    channel = AppriseChannel.model_validate({"url": "bulksms://user:pass@+77010000000"})
    page = said(count=3)
    for begin, until in channel.pieces(page, BASE):
        part = page.model_copy(update={"calls": page.calls[begin:until]})
        assert until - begin == 1
        assert part.calls[0].school
