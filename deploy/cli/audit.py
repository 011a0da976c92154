"""``saqshy audit``: who saw and did what in the console, and whether the log is whole."""

from typing import Annotated

import typer

from dashboards.console.audit import audit_path, entries
from dashboards.console.audit import verify as verified
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
    as_json: AsJson = False,
) -> None:
    """Check that no line was changed, removed or put in between.

    A cut end shows only against a hash that was noted elsewhere: give it with --head.

    \b
    Examples:
      saqshy audit verify
      saqshy audit verify --head 5f2c… --json
    """
    path = audit_path(load_settings().var)
    try:
        count, last, broken = verified(path, head)
    except OSError as trouble:
        fail(f"{path} can't be read: {trouble.strerror}.", "Is SAQSHY_VAR the console's?")
    if as_json:
        wrong = None if broken is None else {"line": broken.line, "what": broken.what}
        print_json({"entries": count, "head": last, "broken": wrong})
    elif broken is None:
        say(f"{count} entries, the chain is whole. Head: {last}")
    else:
        say(f"Line {broken.line}: {broken.what}.")
    if broken is not None:
        raise typer.Exit(Code.WRONG)


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
    found = entries(audit_path(load_settings().var), limit)
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
