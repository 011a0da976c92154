"""``saqshy walls``: which screens may show the console's wall."""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Annotated

import typer

from dashboards.console.access import WHOLE_COUNTRY
from dashboards.console.users import UserTrouble
from dashboards.console.walls import Walls, walls_path
from deploy.addresses import console_url
from deploy.cli.noted import noted
from deploy.cli.output import AsJson, Code, fail, load_settings, print_json, print_table, say
from deploy.cli.users import refuse_unknown
from schemas.times import utc

app = typer.Typer(
    no_args_is_help=True,
    rich_markup_mode=None,
    help="Screens on walls: they watch, and nothing else (docs/console.md).",
)

Name = Annotated[str, typer.Argument(help="Like lobby: small letters, digits, . _ -")]


@app.command()
def add(
    name: Name,
    place: Annotated[
        list[str] | None,
        typer.Option(help="A region (KZ-75) or a center; may be repeated. None: the country."),
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Make the address that a wall's browser opens; it is said only now, and whoever has it may watch.

    \b
    Examples:
      saqshy walls add lobby
      saqshy walls add center-75 --place KZ-75
    """
    refuse_unknown(place or [])
    settings = load_settings()
    places = place or [WHOLE_COUNTRY]
    with _explained():
        token = Walls(walls_path(settings.var)).add(name, places, time.time_ns() // 1_000_000)
    noted("wall.added", login=name, places=places)
    url = f"{settings.console.public_url.rstrip('/') or console_url(settings)}/wall#{token}"
    if as_json:
        print_json({"name": name, "url": url})
    else:
        say(f"The wall {name} opens {url}")


@app.command()
def revoke(name: Name) -> None:
    """End a wall: what it shows goes within a second.

    \b
    Examples:
      saqshy walls revoke lobby
    """
    with _explained():
        Walls(walls_path(load_settings().var)).revoke(name)
    noted("wall.revoked", login=name)
    say(f"The wall {name} is revoked.")


@app.command(name="list")
def list_(as_json: AsJson = False) -> None:
    """Which walls there are, and of which places.

    \b
    Examples:
      saqshy walls list --json
    """
    walls = Walls(walls_path(load_settings().var)).all()
    if as_json:
        told = [
            {"name": name, "places": wall.places, "since_ms": wall.since_ms}
            for name, wall in sorted(walls.items())
        ]
        print_json(told)
        return
    rows = [
        (name, " ".join(wall.places), utc(wall.since_ms).isoformat(timespec="seconds"))
        for name, wall in sorted(walls.items())
    ]
    print_table(("name", "places", "since (UTC)"), rows)


@contextmanager
def _explained() -> Iterator[None]:
    try:
        yield
    except UserTrouble as trouble:
        fail(f"{str(trouble).capitalize()}.", "`saqshy walls list` names them.", Code.WRONG)
    except OSError as trouble:
        fail(f"The walls can't be changed: {trouble}.", "Is SAQSHY_VAR right?")
