"""``saqshy dlq``: look at dead letters and send them again."""

import base64
import re
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Annotated, Any, Final

import typer
from clickhouse_driver.errors import Error as ClickHouseError

from deploy.cli.output import (
    AsJson,
    Code,
    explained,
    fail,
    load_settings,
    print_json,
    print_table,
    say,
    warn,
)
from deploy.dead_letters import (
    Replay,
    StoredLetter,
    find,
    kept,
    log_access,
    replay,
    stored,
)
from deploy.origins import Origin, Selection
from schemas.alerts import DeadLetter, Reason
from schemas.settings import Settings
from schemas.times import utc
from schemas.topics import BY_NAME

UNITS: Final = {"s": "seconds", "m": "minutes", "h": "hours", "d": "days"}
UNSENT: Final = ("key unknown", "not genuine", "bytes gone", "refused")
SHOWN_BYTES: Final = 4096

app = typer.Typer(
    no_args_is_help=True,
    rich_markup_mode=None,
    help="Dead letters: records that no processor could use, kept for 14 days.",
)

Reasons = Annotated[
    list[Reason] | None, typer.Option("--reason", help="Only of this reason; may be repeated.")
]
Topic = Annotated[str | None, typer.Option("--topic", help="Only those that came by this topic.")]
Since = Annotated[
    str | None,
    typer.Option("--since", help="Only since then: 90s, 15m, 2h, 3d, or 2026-01-31T08:00."),
]
Limit = Annotated[int, typer.Option("--limit", min=1, help="At most so many.")]


@app.command("list")
def list_(
    reason: Reasons = None,
    topic: Topic = None,
    since: Since = None,
    limit: Limit = 50,
    as_json: AsJson = False,
) -> None:
    """List dead letters, the newest first: where they came from and why, not what was in them.

    \b
    Examples:
      saqshy dlq list --since 1h
      saqshy dlq list --reason invalid --reason not_json --topic saqshy.passes
      saqshy dlq list --json | jq '.dead_letters | group_by(.reason) | map({(.[0].reason): length})'
    """
    settings = load_settings()
    selection = _selection(reason, topic, since)
    with explained(settings):
        try:
            source, letters = "clickhouse", stored(settings.clickhouse, selection, limit)
        except (ClickHouseError, EOFError):
            warn("ClickHouse cannot say; reading the topic of dead letters instead.")
            source, letters = "kafka", _newest_in_kafka(settings, selection, limit)
    if as_json:
        print_json(
            {"source": source, "dead_letters": [one.model_dump(mode="json") for one in letters]}
        )
    elif letters:
        print_table(
            ("when", "reason", "origin", "path", "bytes", "detail"), [_row(one) for one in letters]
        )
    else:
        say("No dead letters.")


@app.command()
def show(
    origin: Annotated[
        str,
        typer.Argument(help="topic/partition/offset@ms, as `list` prints it; @ms may be left out."),
    ],
    as_json: AsJson = False,
) -> None:
    """Show one dead letter with its original bytes. The look is logged: they hold children's data.

    \b
    Examples:
      saqshy dlq show saqshy.passes/3/1742
      saqshy dlq show saqshy.passes/3/1742 --json | jq -r .value_base64 | base64 -d > record
    """
    settings = load_settings()
    wanted = _origin(origin)
    with explained(settings):
        letter = find(settings, wanted)
        if letter is None:
            fail(
                f"There is no dead letter {wanted}.",
                "It may have expired (14 days), or `saqshy dlq list` knows its right origin.",
                Code.WRONG,
            )
        log_access(settings.var, "show", letter.letter, datetime.now(UTC))
    if as_json:
        print_json(
            letter.letter.model_dump(mode="json")
            | {"key": _text(letter.key), "genuine": letter.is_genuine}
            | {"value_base64": base64.b64encode(letter.value or b"").decode()}
        )
    else:
        _print_letter(letter)


@app.command("replay")
def replay_(
    origin: Annotated[
        list[str] | None, typer.Argument(help="topic/partition/offset@ms; all that match if none.")
    ] = None,
    reason: Reasons = None,
    topic: Topic = None,
    since: Since = None,
    limit: Limit = 1000,
    yes: Annotated[bool, typer.Option("--yes", help="Send; without it, only say what.")] = False,
    as_json: AsJson = False,
) -> None:
    """Send dead letters again, byte for byte, to the partition they came from.

    Without --yes nothing is sent. What was replayed before is passed over. At least one of origin,
    --reason, --topic, --since must narrow the choice.

    \b
    Examples:
      saqshy dlq replay --reason unknown_school --since 2d        (what would be sent)
      saqshy dlq replay --reason unknown_school --since 2d --yes
      saqshy dlq replay saqshy.passes/3/1742 --yes
    """
    selection = _selection(reason, topic, since, origin or ())
    if selection == Selection():
        raise typer.BadParameter("say which: an origin, --reason, --topic or --since")
    settings = load_settings()
    done: list[Replay] = []
    with explained(settings):
        try:
            for one in replay(
                settings, selection, send=yes, limit=limit, now=lambda: datetime.now(UTC)
            ):
                done.append(one)
        finally:
            _report(done, yes, as_json)
    unsent = any(one.outcome in UNSENT for one in done)
    raise typer.Exit(Code.WRONG if unsent else Code.WELL)


def _report(done: list[Replay], sent: bool, as_json: bool) -> None:
    if as_json:
        print_json(
            {
                "sent": sent,
                "letters": [
                    {
                        "origin": str(Origin.of(one.letter)),
                        "reason": one.letter.reason,
                        "outcome": one.outcome,
                        "sent_as": one.sent_as and str(one.sent_as),
                    }
                    for one in done
                ],
            }
        )
        return
    if not done:
        say("No dead letter matches.")
        return
    print_table(
        ("origin", "reason", "bytes", "outcome", "sent as"),
        [
            (
                Origin.of(one.letter),
                one.letter.reason,
                one.letter.size_bytes,
                one.outcome,
                one.sent_as or "",
            )
            for one in done
        ],
    )
    if not sent:
        say("Nothing was sent. Add --yes to send.")


def since_ms(text: str, now: datetime) -> int:
    """Of an age (``90s``, ``15m``, ``2h``, ``3d``) or of an ISO time (UTC unless it says).

    Raises ValueError.
    """
    if age := re.fullmatch(r"(\d{1,6})([smhd])", text):
        then = now - timedelta(**{UNITS[age[2]]: int(age[1])})
    else:
        then = datetime.fromisoformat(text)
        then = then if then.tzinfo else then.replace(tzinfo=UTC)
    return max(0, int(then.timestamp() * 1000))


def _selection(
    reasons: list[Reason] | None,
    topic: str | None,
    since: str | None,
    origins: list[str] | tuple[str, ...] = (),
) -> Selection:
    if topic is not None and topic not in BY_NAME:
        raise typer.BadParameter(f"there is no topic {topic}; there are {', '.join(BY_NAME)}")
    return Selection(
        reasons=frozenset(reasons or ()),
        topic=topic,
        since_ms=_parsed(since, lambda text: since_ms(text, datetime.now(UTC)), "90s, 2h, 3d"),
        origins=frozenset(_origin(text) for text in origins),
    )


def _origin(text: str) -> Origin:
    origin: Origin = _parsed(text, Origin.parse, "saqshy.passes/3/1742")
    return origin


def _parsed(text: str | None, parse: Callable[[str], Any], example: str) -> Any:
    if text is None:
        return None
    try:
        return parse(text)
    except (ValueError, OverflowError):
        raise typer.BadParameter(f"{text!r} cannot be read; write it like {example}") from None


def _newest_in_kafka(settings: Settings, selection: Selection, limit: int) -> list[DeadLetter]:
    letters = [one.letter for one in kept(settings.kafka, selection)]
    return sorted(letters, key=lambda one: one.kafka_time_ms, reverse=True)[:limit]


def _row(letter: DeadLetter) -> tuple[object, ...]:
    return (
        _time(letter.kafka_time_ms),
        letter.reason,
        Origin.of(letter),
        letter.path,
        letter.size_bytes,
        letter.detail,
    )


def _time(ms: int) -> str:
    return utc(ms).strftime("%Y-%m-%d %H:%M:%S.%f")[:-3]


def _text(data: bytes | None) -> str | None:
    return None if data is None else data.decode("utf-8", "backslashreplace")


def _print_letter(letter: StoredLetter) -> None:
    genuine = "yes" if letter.is_genuine else "NO: the bytes are not those of the hash"
    if letter.without_bytes:
        genuine = "the bytes are too many for a letter, and their topic does not keep them any more"
    described: dict[str, object] = {
        "when": f"{_time(letter.letter.kafka_time_ms)} UTC",
        "key": "(unknown)" if letter.key is None else _text(letter.key) or "(none)",
        **letter.letter.model_dump(exclude={"kafka_time_ms"}),
        "genuine": genuine,
    }
    print_table(("what", "value"), list(described.items()))
    value = letter.value or b""
    say(f"\n{_text(value[:SHOWN_BYTES])}")
    if len(value) > SHOWN_BYTES:
        say(f"… and {len(value) - SHOWN_BYTES} bytes more; --json has them all.")
