"""``saqshy audit``: who saw and did what in the console, and whether the log is whole."""

from dataclasses import asdict
from typing import Annotated

import typer
from kafka.errors import KafkaError

from dashboards.console.audit import audit_of, entries, entry_of
from dashboards.console.audit_check import verify as verified
from deploy.audit_heads import heads_in_kafka
from deploy.cli.noted import entry_by_cli
from deploy.cli.output import AsJson, Code, fail, load_settings, print_json, print_table, say
from schemas.times import utc

app = typer.Typer(
    no_args_is_help=True,
    rich_markup_mode=None,
    help="The console's audit log (docs/console.md).",
)


@app.command()
def verify(
    head: Annotated[
        str, typer.Option(help="A hash noted earlier: it must still be in the chain.")
    ] = "",
    kafka: Annotated[
        bool, typer.Option("--kafka", help="Compare with the hashes that Kafka was told.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Check that no line was changed, removed or put in between.

    A cut end, and a log that somebody with the key has written anew, show only against hashes that are
    elsewhere: in Kafka, which is told one each minute (--kafka), or noted by somebody (--head).

    \b
    Examples:
      saqshy audit verify
      saqshy audit verify --kafka
      saqshy audit verify --head 5f2c… --json
    """
    settings = load_settings()
    log = audit_of(settings)
    try:
        heads = heads_in_kafka(settings) if kafka else {}
    except (KafkaError, OSError) as trouble:
        fail(f"Kafka does not tell its hashes: {trouble}.", "`saqshy doctor` says more.")
    try:
        verdict = verified(log, heads, head)
    except (OSError, ValueError) as trouble:
        fail(f"{log.folder} can't be checked: {trouble}.", "Is SAQSHY_VAR the console's?")
    broken = verdict.broken
    if as_json:
        wrong = None if broken is None else asdict(broken)
        print_json({"entries": verdict.count, "head": verdict.head, "broken": wrong})
    elif broken is None:
        say(f"{verdict.count} entries, the chain is whole. Head: {verdict.head}")
        if kafka:
            say(f"It agrees with the {len(heads)} hashes that Kafka was told.")
    else:
        where = f"{broken.file}, line {broken.line}: " if broken.file else ""
        say(f"{where}{broken.what}.")
    if broken is not None:
        raise typer.Exit(Code.WRONG)


@app.command(name="rotate-key")
def rotate_key() -> None:
    """Write with a new key from now on. Older lines are still judged by the older keys, which stay there.

    Do so when somebody has left who may have seen the key. Without it nobody can put in, change or remove a
    line, with the old one neither. Make a new copy of the key file afterwards.

    \b
    Examples:
      saqshy audit rotate-key
    """
    log = audit_of(load_settings())
    try:
        log.rotate(*entry_of(entry_by_cli("audit.key-rotated")))
    except (OSError, ValueError) as trouble:
        fail(f"There is no new key: {trouble}.", "Is the key's file ours to write?")
    say(f"Lines are written with a new key from now on. Copy {log.key_file} to where you keep it.")


@app.command(name="list")
def list_(
    limit: Annotated[int, typer.Option(min=1, max=100_000, help="The newest so many.")] = 50,
    as_json: AsJson = False,
) -> None:
    """The newest entries first.

    \b
    Examples:
      saqshy audit list --limit 200
    """
    log = audit_of(load_settings())
    try:
        found = entries(log.folder, limit)
    except (OSError, ValueError) as trouble:
        fail(f"{log.folder} can't be read: {trouble}.", "Is SAQSHY_VAR the console's?")
    if as_json:
        print_json(found)
        return
    rows = [
        (
            e["n"],
            utc(e["at_ms"]).isoformat(timespec="seconds"),
            e["who"],
            e["did"],
            " ".join(f"{k}={v}" for k, v in e.items() if k not in _OWN_COLUMNS and v),
        )
        for e in found
    ]
    print_table(("n", "time (UTC)", "who", "did", "what"), rows)


_OWN_COLUMNS = {"n", "at_ms", "who", "did", "before", "hash"}
