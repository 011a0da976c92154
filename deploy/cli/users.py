"""``saqshy users``: who may sign in to the console with a password of their own."""

import re
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Annotated, Literal

import typer
from pydantic import ValidationError

from dashboards.console.access import WHOLE_COUNTRY, Role
from dashboards.console.users import Users, UserTrouble, to_json, users_path
from deploy.cli.noted import noted
from deploy.cli.output import AsJson, Code, fail, load_settings, print_json, print_table, say
from schemas.regions import REGIONS
from streams.dispatch.centers import CentersWrong
from streams.dispatch.centers import load as load_centers

app = typer.Typer(
    no_args_is_help=True,
    rich_markup_mode=None,
    help="Who may sign in to the console (docs/console.md).",
)

RoleName = Literal["viewer", "operator", "supervisor", "engineer"]
Login = Annotated[str, typer.Argument(help="Like a.serikova: small letters, digits, . _ -")]


@app.command()
def add(
    login: Login,
    role: Annotated[RoleName, typer.Option(help="What this person may see and do.")] = "viewer",
    name: Annotated[str, typer.Option(help="As others see it; the login when empty.")] = "",
    place: Annotated[
        list[str] | None,
        typer.Option(help="A region (KZ-75) or a center; may be repeated. None: the country."),
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Add somebody, with a password that is made here and said only now.

    \b
    Examples:
      saqshy users add a.serikova --role operator --place KZ-75
      saqshy users add duty --role supervisor --name "Duty supervisor"
    """
    refuse_unknown(place or [])
    with _explained():
        users = _users()
        if login in users.all():
            fail(
                f"There is a user {login} already.",
                f"`saqshy users password {login}` makes a new password.",
                Code.WRONG,
            )
        password = users.put(login, name or login, Role(role), place or [WHOLE_COUNTRY])
    noted("user.added", login=login, role=role, places=place or [WHOLE_COUNTRY])
    _told(login, password, as_json)


@app.command()
def change(
    login: Login,
    role: Annotated[RoleName | None, typer.Option(help="What this person may see and do.")] = None,
    place: Annotated[
        list[str] | None,
        typer.Option(
            help="Instead of the old ones: regions (KZ-75), centers, or * for the country."
        ),
    ] = None,
) -> None:
    """Give somebody another role or other places; it counts at once, also in open pages.

    \b
    Examples:
      saqshy users change a.serikova --role supervisor
      saqshy users change a.serikova --place KZ-75 --place KZ-19
    """
    if role is None and place is None:
        fail("Nothing to change.", "Give --role, or --place, or both.", Code.WRONG)
    refuse_unknown(place or [])
    with _explained():
        _users().change(login, role=Role(role) if role else None, places=place)
    noted("user.changed", login=login, role=role or "", places=place or [])
    say(f"{login} is changed.")


@app.command()
def password(login: Login, as_json: AsJson = False) -> None:
    """Give somebody a new password and end all their sessions.

    \b
    Examples:
      saqshy users password operator
    """
    with _explained():
        users = _users()
        user = users.all().get(login)
        if user is None:
            fail(f"There is no user {login}.", "`saqshy users list` names them.", Code.WRONG)
        made = users.put(login, user.name, user.role, list(user.places))
    noted("user.password", login=login)
    _told(login, made, as_json)


@app.command()
def remove(login: Login) -> None:
    """Remove somebody: their sessions and open pages end at once.

    \b
    Examples:
      saqshy users remove a.serikova
    """
    with _explained():
        _users().remove(login)
    noted("user.removed", login=login)
    say(f"{login} is removed.")


@app.command(name="list")
def list_(as_json: AsJson = False) -> None:
    """Who may sign in, with which role, for which places.

    \b
    Examples:
      saqshy users list --json
    """
    with _explained():
        users = to_json(_users().all())
    if as_json:
        print_json(users)
        return
    columns = ("login", "name", "role", "places")
    print_table(
        columns, [(u["login"], u["name"], u["role"], " ".join(_texts(u["places"]))) for u in users]
    )


def _texts(places: object) -> list[str]:
    return [str(place) for place in places] if isinstance(places, list) else []


def _told(login: str, password: str, as_json: bool) -> None:
    if as_json:
        print_json({"login": login, "password": password})
    else:
        say(f"{login} signs in with {password}")
        say("This is not said again and not kept in clear anywhere.")


def refuse_unknown(places: list[str]) -> None:
    """What is no region and no center would be seen by nobody, and nobody would say so."""
    settings = load_settings()
    try:
        centers = {one.id for one in load_centers(settings.dispatch.centers_file).centers}
    except (CentersWrong, OSError):
        centers = set()
    known = {WHOLE_COUNTRY, *REGIONS, *centers}
    for place in places:
        # Without the file with the centers nobody here knows their names.
        region = re.fullmatch("KZ-[0-9]{2}", place)
        if place in known or (region is None and not centers):
            continue
        fail(
            f"There is no place {place}.",
            f"Regions are {', '.join(sorted(REGIONS))}; centers "
            + (f"{', '.join(sorted(centers))}." if centers else "as in the registry."),
            Code.WRONG,
        )


def _users() -> Users:
    return Users(users_path(load_settings().var))


@contextmanager
def _explained() -> Iterator[None]:
    try:
        yield
    except UserTrouble as trouble:
        fail(str(trouble), "`saqshy users --help` has examples.", Code.WRONG)
    except (OSError, ValidationError) as trouble:
        fail(f"The users file can't be used: {str(trouble)[:300]}", "Is SAQSHY_VAR right?")
