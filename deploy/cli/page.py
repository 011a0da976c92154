"""``saqshy page``: try the channels by which people are paged."""

import asyncio
import time
from dataclasses import asdict, dataclass
from typing import Annotated
from uuid import uuid4

import typer

from deploy.cli.output import AsJson, Code, explained, fail, load_settings, print_json, print_table
from schemas.private import NotPrivate
from schemas.steps import Took
from streams.notify.load import load_policies
from streams.paging.channel import Channel
from streams.paging.channels import load_channels
from streams.paging.files import Unusable
from streams.paging.log import Log
from streams.paging.page import Call, Page, page
from streams.paging.retry import NotDelivered

app = typer.Typer(
    no_args_is_help=True, rich_markup_mode=None, help="Paging: the channels of the notifier."
)


@dataclass(frozen=True, slots=True)
class Tried:
    channel: str
    kind: str
    delivered: bool
    detail: str
    seconds: float


@app.callback()
def page_() -> None:
    """Paging: the channels of the notifier."""


@app.command("test")
def test_(
    channel: Annotated[
        list[str] | None, typer.Option("--channel", help="Only this one; may be repeated.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Send a test page to every channel and say what became of it. Policies are checked too.

    Exit code 1 when a channel did not take it.

    \b
    Examples:
      saqshy page test
      saqshy page test --channel duty-phone --json
    """
    settings = load_settings()
    with explained(settings):
        try:
            channels = load_channels(settings.notify.channels_file)
            load_policies(settings.notify.policies_file, channels)
        except (Unusable, NotPrivate) as trouble:
            fail(f"{trouble}.", "docs/paging.md shows both files.", Code.WRONG)
    if settings.notify.channels_file is None:
        fail(
            "No channels are configured, so nobody would be paged.",
            "Write a channels file (docs/paging.md) and name it in SAQSHY_NOTIFY__CHANNELS_FILE.",
            Code.WRONG,
        )
    if missing := sorted(set(channel or ()) - set(channels)):
        fail(
            f"There is no channel {', '.join(missing)}.",
            f"There are: {', '.join(sorted(channels))}.",
            Code.WRONG,
        )
    wanted = {name: channels[name] for name in channel or sorted(channels)}
    tried = asyncio.run(_try_all(wanted, settings.notify.link))
    if as_json:
        print_json({"channels": [asdict(one) for one in tried]})
    else:
        print_table(
            ("channel", "kind", "taken", "detail", "seconds"),
            [
                (t.channel, t.kind, "yes" if t.delivered else "NO", t.detail, t.seconds)
                for t in tried
            ],
        )
    raise typer.Exit(Code.WELL if all(one.delivered for one in tried) else Code.WRONG)


async def _try_all(channels: dict[str, Channel], link: str) -> list[Tried]:
    return await asyncio.gather(
        *(
            _try(name, it, link, receiver)
            for name, it in channels.items()
            for receiver in it.receivers()
        )
    )


async def _try(name: str, channel: Channel, link: str, receiver: str) -> Tried:
    """``receiver``: of several at one address, each answers for itself."""
    began_s = time.monotonic()
    try:
        await channel.deliver(_page_for(name), link, receiver=receiver)
        delivered, detail = True, "nobody is behind it" if isinstance(channel, Log) else ""
    except NotDelivered as why:
        delivered, detail = False, str(why)
    name = f"{name} ({receiver})" if receiver else name
    return Tried(name, channel.kind, delivered, detail, round(time.monotonic() - began_s, 2))


def _page_for(channel: str) -> Page:
    call = Call(
        id=uuid4().hex,
        alert="test",
        school="",
        kind="test",
        channel=channel,
        why="test",
        took=Took.NOTIFIED,
        due_ms=0,
    )
    return page(channel, [call], int(time.time() * 1000))
