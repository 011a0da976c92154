"""``saqshy users``: who may sign in to the console with a password of their own."""

import getpass
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Annotated, Literal

import typer
from pydantic import ValidationError

from dashboards.console.access import WHOLE_COUNTRY, Role
from dashboards.console.audit import audit_of, entry_of
from dashboards.console.users import Users, UserTrouble, to_json, users_path
from deploy.cli.output import AsJson, Code, fail, load_settings, print_json, print_table, say

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
    with _explained():
        users = _users()
        if login in users.all():
            fail(
                f"There is a user {login} already.",
                f"`saqshy users password {login}` makes a new password.",
                Code.WRONG,
            )
        password = users.put(login, name or login, Role(role), place or [WHOLE_COUNTRY])
    _noted("user.added", login, role=role, places=place or [WHOLE_COUNTRY])
    _told(login, password, as_json)


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
    _noted("user.password", login)
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
    _noted("user.removed", login)
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


def _noted(did: str, login: str, **what: object) -> None:
    """Into the console's audit log, with the account of this machine that did it."""
    who = f"saqshy:users:{getpass.getuser()}"
    entry = {"at_ms": time.time_ns() // 1_000_000, "who": who, "did": did, "login": login, **what}
    with _explained():
        audit_of(load_settings()).write(*entry_of(entry))


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
