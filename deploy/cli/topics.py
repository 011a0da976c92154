"""``saqshy topics``: the declared Kafka topics against those that exist."""

from dataclasses import asdict

import typer

from deploy.cli.output import (
    AsJson,
    Code,
    explained,
    fail,
    load_settings,
    print_json,
    print_table,
    say,
)
from deploy.topics import TooFewReplicas, check_topics, ensure_topics
from deploy.topics import protect as make_protected

app = typer.Typer(no_args_is_help=True, rich_markup_mode=None, help="Kafka topics, as declared.")


@app.command()
def create(as_json: AsJson = False) -> None:
    """Create the declared topics that do not exist; change none that does.

    \b
    Examples:
      saqshy topics create
      SAQSHY_KAFKA__PARTITIONS=32 SAQSHY_KAFKA__REPLICATION=3 saqshy topics create
    """
    settings = load_settings()
    with explained(settings):
        created = ensure_topics(settings)
    if as_json:
        print_json({"created": [asdict(change) for change in created]})
    elif created:
        print_table(
            ("created", "partitions", "replication"),
            [(change.topic, change.partitions, change.replication) for change in created],
        )
    else:
        say("All topics exist. `saqshy topics check` says whether they are as declared.")


@app.command()
def protect(as_json: AsJson = False) -> None:
    """Have as many replicas acknowledge as declared: 2 when there are 3 (min.insync.replicas).

    Changes nothing else, and nothing at all where it would stop what is written.

    \b
    Examples:
      saqshy topics protect
    """
    settings = load_settings()
    with explained(settings):
        try:
            changed = make_protected(settings)
        except TooFewReplicas as error:
            fail("Too few replicas are in step.", str(error), Code.WRONG)
    if as_json:
        print_json({"changed": changed})
    else:
        say(f"Changed: {', '.join(changed)}." if changed else "All topics are as declared.")


@app.command()
def check(as_json: AsJson = False) -> None:
    """Say where existing topics differ from what is declared (exit code 1 if any does).

    \b
    Examples:
      saqshy topics check
      saqshy topics check --json | jq '.mismatches[].remedy'
    """
    settings = load_settings()
    with explained(settings):
        found = check_topics(settings)
    if as_json:
        print_json({"mismatches": [asdict(mismatch) for mismatch in found]})
    elif found:
        print_table(
            ("topic", "what", "declared", "found"),
            [(one.topic, one.what, one.declared, one.found) for one in found],
        )
        for remedy in dict.fromkeys(one.remedy for one in found):
            say(f"- {remedy}")
    else:
        say("All topics are as declared.")
    raise typer.Exit(Code.WRONG if found else Code.WELL)
