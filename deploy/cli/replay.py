"""``saqshy replay``: the same records through the same decisions, against what was said."""

from dataclasses import asdict
from datetime import UTC, datetime
from enum import StrEnum
from typing import Annotated, Final

import typer
from aiokafka.errors import KafkaError

from deploy.cli.dlq import since_ms
from deploy.cli.output import (
    AsJson,
    Code,
    explained,
    fail,
    first_line,
    load_settings,
    print_json,
    say,
)
from deploy.replay import Compared, Span
from deploy.replay import replay as run

SHOWN: Final = 400


class Lane(StrEnum):
    LIVENESS = "liveness"
    OUTAGE = "outage"
    ARRIVALS = "arrivals"
    PANIC = "panic"


def replay(
    from_: Annotated[
        str, typer.Option("--from", help="90s, 15m, 2h, 3d ago, or 2026-01-31T08:00 (UTC).")
    ],
    to: Annotated[str, typer.Option("--to", help="The same; up to a minute ago.")] = "1m",
    lane: Annotated[Lane, typer.Option("--lane", help="Whose decisions.")] = Lane.LIVENESS,
    as_json: AsJson = False,
) -> None:
    """Read a span again through the same decisions; say whether the same alerts come out.

    Byte for byte, and nothing is written. Heartbeats are kept for two days, passes for seven, panics
    for ninety. A span in which the broker was away is not proven: nobody can read when it was not there.

    \b
    Examples:
      saqshy replay --from 2h
      saqshy replay --from 2026-11-24T08:00 --to 2026-11-24T09:00 --lane panic --json
    """
    settings = load_settings()
    span = Span(_moment(from_), _moment(to))
    if span.from_ms >= span.to_ms:
        raise typer.BadParameter("--from must be before --to")
    with explained(settings):
        try:
            compared = run(settings, lane.value, span)
        except KafkaError as error:
            where = settings.kafka.bootstrap
            fail(
                f"Kafka at {where} cannot be read: {first_line(error)}.",
                "Start the stack with `saqshy up`, or say where Kafka is with "
                "SAQSHY_KAFKA__BOOTSTRAP and who we are with …__USERNAME and …__PASSWORD_FILE.",
            )
    if as_json:
        print_json(
            {
                "identical": compared.identical,
                **asdict(compared),
                "differences": len(compared.differences),
                "first_difference": asdict(compared.differences[0])
                if compared.differences
                else None,
            }
        )
    else:
        _tell(compared)
    raise typer.Exit(Code.WELL if compared.identical else Code.WRONG)


def _tell(compared: Compared) -> None:
    counts = f"{compared.records:,} records, {compared.stand:,} transitions stand"
    if compared.identical:
        say(f"identical: {counts}, and the replay says the same, byte for byte.")
        return
    say(f"different: {counts}, {compared.replayed:,} were replayed;")
    say(f"{len(compared.differences):,} differ, first:")
    first = compared.differences[0]
    say(f"  stands:   {(first.stands or '(nothing)')[:SHOWN]}")
    say(f"  replayed: {(first.replayed or '(nothing)')[:SHOWN]}")


def _moment(text: str) -> int:
    try:
        return since_ms(text, datetime.now(UTC))
    except (ValueError, OverflowError):
        raise typer.BadParameter(
            f"{text!r} cannot be read; write it like 2h or 2026-01-31T08:00"
        ) from None
