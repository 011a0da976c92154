"""``saqshy contacts``: whom the console says to call at a school and at its police center."""

import csv
import io
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Any, Final

import typer
from pydantic import ValidationError

from dashboards.console.contacts import ContactBook, contacts_path
from dashboards.console.refusals import wrong
from deploy.cli.noted import noted
from deploy.cli.output import AsJson, Code, fail, load_settings, print_json, print_table, say
from schemas.contacts import ContactRole, Contacts, FloorPlan

app = typer.Typer(
    no_args_is_help=True,
    rich_markup_mode=None,
    help="Telephone numbers of schools and centers, for the console (docs/console.md).",
)

COLUMNS: Final = ("of", "role", "name", "phone", "mobile", "address")
CENTER: Final = "center"
MOST_ERRORS: Final = 10
_TRUTH: Final = {
    "yes": True,
    "true": True,
    "1": True,
    "no": False,
    "false": False,
    "0": False,
    "": False,
}

Of = Annotated[str, typer.Argument(help="A school (KZ-75-00001) or a center.")]


class _Wrong(Exception):
    """Lines of a file that can't be used."""

    def __init__(self, lines: list[str]) -> None:
        super().__init__("\n".join(lines[:MOST_ERRORS]))
        self.count = len(lines)


@app.command(name="import")
def import_(
    file: Annotated[
        Path, typer.Argument(help="CSV or JSON, by its ending.", exists=True, dir_okay=False)
    ],
) -> None:
    """Take over what a file says: of each school and center in it, instead of what was known before.

    Either all of the file is taken or, with one wrong line in it, nothing.

    \b
    CSV has the columns of,role,name,phone,mobile,address: `of` is a school or a center; `role` one of
    duty, director, guard, provider, reception, or center; mobile is yes or no; the address is the school's.
    JSON is {"schools": [{"school", "address", "contacts": [{"role", "name", "phone", "mobile"}]}],
    "centers": [{"center", "name", "phone"}]}.

    \b
    Examples:
      saqshy contacts import schools.csv
    """
    try:
        text = file.read_text(encoding="utf-8-sig")
        contacts = (
            _of_csv(text) if file.suffix.lower() == ".csv" else Contacts.model_validate_json(text)
        )
    except UnicodeDecodeError:
        fail(f"{file} is no text in UTF-8.", "Save it as UTF-8 and import it again.", Code.WRONG)
    except ValidationError as trouble:
        told = "\n".join([f"{file} can't be used:", *_lines(trouble)[:MOST_ERRORS]])
        fail(told, _REMEDY, Code.WRONG)
    except _Wrong as unusable:
        told = f"{file} can't be used ({unusable.count} wrong lines):\n{unusable}"
        fail(told, _REMEDY, Code.WRONG)
    with _explained():
        _book().put(contacts)
    noted("contacts.imported", entries=len(contacts.schools) + len(contacts.centers))
    say(f"{len(contacts.schools)} schools and {len(contacts.centers)} centers are known.")


@app.command()
def show(of: Of, as_json: AsJson = False) -> None:
    """What is known of a school or a center; the look is in the audit log.

    \b
    Examples:
      saqshy contacts show KZ-75-00001
    """
    with _explained():
        school, center = _book().school(of), _book().center(of)
    if school is None and center is None:
        fail(f"Nothing is known of {of}.", "`saqshy contacts import` takes a file.", Code.WRONG)
    noted("contacts.looked", school=of)
    found: dict[str, Any] = (school or center).model_dump(mode="json")  # type: ignore[union-attr]
    if as_json:
        print_json(found)
        return
    if found.get("address"):
        say(found["address"])
    rows = found.get("contacts", [{"role": CENTER, **found}])
    print_table(
        ("role", "name", "phone", "mobile"),
        [(r["role"], r["name"], r["phone"], "yes" if r.get("mobile") else "") for r in rows],
    )


@app.command()
def plan(
    of: Annotated[str, typer.Argument(help="A school (KZ-75-00001).")],
    floor: Annotated[str, typer.Argument(help="Like 1, or B-2.")],
    file: Annotated[Path, typer.Argument(help="A PNG or a JPEG.", exists=True, dir_okay=False)],
) -> None:
    """Keep the plan of a floor, for whoever answers an alarm of this school.

    \b
    Examples:
      saqshy contacts plan KZ-75-00001 1 first-floor.png
    """
    try:
        known = FloorPlan(school=of, floor=floor, image=file.read_bytes())
        _ = known.type
    except ValidationError as trouble:
        told = "\n".join(["The plan can't be used:", *_lines(trouble)])
        fail(told, "Nothing was taken over.", Code.WRONG)
    except ValueError as trouble:
        fail(f"{file} can't be used: {trouble}.", "Nothing was taken over.", Code.WRONG)
    with _explained():
        _book().put_plan(known)
    noted("contacts.planned", school=of)
    say(f"The plan of floor {floor} of {of} is kept.")


@app.command()
def remove(of: Of) -> None:
    """Forget a school or a center wholly: what was written of it is overwritten.

    \b
    Examples:
      saqshy contacts remove KZ-75-00001
    """
    with _explained():
        if not _book().remove(of):
            fail(f"Nothing is known of {of}.", "Is it written like KZ-75-00001?", Code.WRONG)
    noted("contacts.removed", school=of)
    say(f"{of} is forgotten.")


def _of_csv(text: str) -> Contacts:
    """Raises _Wrong with each line that can't be used."""
    reader = csv.DictReader(io.StringIO(text), skipinitialspace=True)
    missing = [name for name in COLUMNS[:4] if name not in (reader.fieldnames or ())]
    if missing:
        raise _Wrong([f"the first line has no {', '.join(missing)}: it names {','.join(COLUMNS)}"])
    schools: dict[str, dict[str, Any]] = {}
    centers: list[dict[str, Any]] = []
    unusable: list[str] = []
    for row in reader:
        line = {name: (row.get(name) or "").strip() for name in COLUMNS}
        try:
            _take(line, schools, centers)
        except ValidationError as trouble:
            unusable.append(f"line {reader.line_num}: {'; '.join(_lines(trouble))}")
        except ValueError as trouble:
            unusable.append(f"line {reader.line_num}: {trouble}")
    if unusable:
        raise _Wrong(unusable)
    return Contacts.model_validate({"schools": list(schools.values()), "centers": centers})


def _take(
    line: dict[str, str], schools: dict[str, dict[str, Any]], centers: list[dict[str, Any]]
) -> None:
    """Raises ValueError and pydantic's ValidationError."""
    if line["role"] == CENTER:
        one = {"center": line["of"], "name": line["name"], "phone": line["phone"]}
        Contacts.model_validate({"centers": [one]})
        centers.append(one)
        return
    if line["role"] not in set(map(str, ContactRole)):
        known = ", ".join([*ContactRole, CENTER])
        raise ValueError(f"role: {line['role'] or 'nothing'} is none of {known}")
    if line["mobile"].lower() not in _TRUTH:
        raise ValueError(f"mobile: {line['mobile']} is neither yes nor no")
    contact = {
        "role": line["role"],
        "name": line["name"],
        "phone": line["phone"],
        "mobile": _TRUTH[line["mobile"].lower()],
    }
    alone = {"school": line["of"], "address": line["address"], "contacts": [contact]}
    Contacts.model_validate({"schools": [alone]})
    known_school = schools.setdefault(line["of"], {**alone, "contacts": []})
    known_school["contacts"].append(contact)
    known_school["address"] = line["address"] or known_school["address"]


_REMEDY: Final = (
    "Nothing was taken over. `saqshy contacts import --help` shows how a file is written."
)


def _lines(trouble: ValidationError) -> list[str]:
    return [f"{_where(one['loc'])}: {wrong(one)[1]}" for one in trouble.errors(include_url=False)]


def _where(loc: tuple[int | str, ...]) -> str:
    return (
        ".".join(str(part) for part in loc if part not in ("schools", "contacts", 0)) or "the file"
    )


def _book() -> ContactBook:
    return ContactBook(contacts_path(load_settings().var))


@contextmanager
def _explained() -> Iterator[None]:
    try:
        yield
    except (OSError, ValidationError) as trouble:
        fail(f"The contacts can't be used: {str(trouble)[:300]}", "Is SAQSHY_VAR right?")
