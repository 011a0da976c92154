"""``saqshy grafana``: dashboards, alert rules and notifications of a Grafana, as this version has them."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer
from pydantic import ValidationError

from dashboards.grafana.files import files as provisioning_files
from dashboards.grafana.gateway import Grafana, GrafanaTrouble
from dashboards.grafana.generate import as_text
from dashboards.grafana.provision import BoardChange, What, carry_out, held, plan
from dashboards.grafana.settings import GrafanaSettings
from deploy.cli.output import AsJson, Code, fail, print_json, print_table, say

app = typer.Typer(
    no_args_is_help=True,
    rich_markup_mode=None,
    help="Dashboards and alert rules of Grafana (SAQSHY_GRAFANA__URL, …__TOKEN, docs/grafana.md).",
)

Secrets = Annotated[
    bool,
    typer.Option("--secrets", help="Write passwords and tokens anew: Grafana never shows them."),
]
COLOURS = {What.CREATE: "green", What.UPDATE: "yellow", What.SAME: "dim"}


@app.command()
def apply(
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Say what would change.")] = False,
    secrets: Secrets = False,
    as_json: AsJson = False,
) -> None:
    """Bring Grafana to what this version wants; can be run again at any time.

    What others made is left alone: their folders, dashboards, rules, contact points, and their
    branches of the notification policies.

    \b
    Examples:
      SAQSHY_GRAFANA__URL=https://grafana.example.kz SAQSHY_GRAFANA__TOKEN=glsa_… saqshy grafana apply
      saqshy grafana apply --dry-run
      saqshy grafana apply --secrets      after a password has changed
    """
    settings = _settings()
    with _explained():
        grafana = Grafana(settings)
        grafana.check()
        changes = []
        for change in plan(grafana, settings, secrets=secrets):
            if not dry_run:
                carry_out(grafana, change)
            changes.append(change)
    _show(changes, as_json, "would be done" if dry_run else "done")


@app.command()
def diff(as_json: AsJson = False) -> None:
    """Say where Grafana differs from what this version wants (exit code 1 if it does anywhere).

    \b
    Examples:
      saqshy grafana diff
      saqshy grafana diff --json | jq '.changes[] | select(.what != "same")'
    """
    settings = _settings()
    with _explained():
        grafana = Grafana(settings)
        grafana.check()
        changes = list(plan(grafana, settings))
    _show(changes, as_json, "to do")
    raise typer.Exit(Code.WELL if all(c.what == What.SAME for c in changes) else Code.WRONG)


@app.command()
def export(
    folder: Annotated[Path, typer.Argument(help="Made if it is not there.")],
    as_json: AsJson = False,
) -> None:
    """Save what Grafana holds of ours, to see what was changed there by hand.

    \b
    Examples:
      saqshy grafana export /tmp/grafana
      diff -r /tmp/grafana dashboards/grafana/generated
    """
    settings = _settings()
    with _explained():
        grafana = Grafana(settings)
        grafana.check()
        texts = {name: as_text(content) for name, content in held(grafana, settings).items()}
    _save(folder, texts, as_json)


@app.command()
def files(
    folder: Annotated[Path, typer.Argument(help="Made if it is not there.")],
    as_json: AsJson = False,
) -> None:
    """Write the same content as files that Grafana reads when it starts (no server is asked).

    \b
    Examples:
      saqshy grafana files deploy/grafana/provisioning
    """
    _save(folder, dict(provisioning_files(_settings())), as_json)


def _settings() -> GrafanaSettings:
    try:
        return GrafanaSettings()
    except ValidationError as error:
        wrong = "; ".join(
            f"{'.'.join(str(step) for step in one['loc'])}: {one['msg']}"
            for one in error.errors(include_input=False)
        )
        fail(
            f"A setting cannot be used: {wrong}.",
            "Look at the SAQSHY_GRAFANA__… variables and at [grafana] in saqshy.toml.",
        )
    except ValueError as error:
        fail(f"saqshy.toml cannot be read: {error}.", "Correct it, or move it away.")


@contextmanager
def _explained() -> Iterator[None]:
    try:
        yield
    except GrafanaTrouble as trouble:
        fail(str(trouble), "What was done so far stays; `saqshy grafana apply` can be run again.")


def _show(changes: list[BoardChange], as_json: bool, title: str) -> None:
    if as_json:
        fields = ("kind", "key", "what", "differs")
        print_json({"changes": [{f: asdict(change)[f] for f in fields} for change in changes]})
        return
    print_table(
        (title, "kind", "which", "where it differed"),
        [(c.what, c.kind, c.key, ", ".join(c.differs[:5])) for c in changes],
        [COLOURS[c.what] for c in changes],
    )


def _save(folder: Path, texts: dict[str, str], as_json: bool) -> None:
    try:
        for name, text in texts.items():
            path = folder / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text)
    except OSError as error:
        fail(f"{error}.", "Give a folder that may be written to.", Code.WRONG)
    if as_json:
        print_json({"written": sorted(texts)})
    else:
        say(f"{len(texts)} files written to {folder}.")
