"""``saqshy topics``: the declared Kafka topics against those that exist."""

from dataclasses import asdict

import typer

from deploy.cli.output import AsJson, Code, explained, load_settings, print_json, print_table, say
from deploy.topics import check_topics, ensure_topics

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
