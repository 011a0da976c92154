"""``saqshy contacts`` as its users meet it."""

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from dashboards.console.contacts import ContactBook, contacts_path
from deploy.cli.main import app
from loadtest.simulator.contacts import contacts_of
from loadtest.simulator.country import country
from schemas.contacts import Contacts

HEAD = "of,role,name,phone,mobile,address\n"
GOOD = (
    HEAD
    + 'KZ-75-00001,duty,Дежурный,+7 727 555 01 01,no,"Абая, 1"\n'
    + "KZ-75-00001,director,Б. Директор,+7 701 555 02 02,yes,\n"
    + "KZ-75-ocs,center,Center of Almaty,102,,\n"
)


@pytest.fixture
def var(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("SAQSHY_VAR", str(tmp_path))
    return tmp_path


def run(*arguments: str, code: int = 0) -> str:
    ended = CliRunner().invoke(app, ["contacts", *arguments])
    assert ended.exit_code == code, ended.output
    return ended.output


def file(var: Path, text: str, name: str = "schools.csv") -> str:
    path = var / name
    path.write_text(text, encoding="utf-8")
    return str(path)


def test_what_is_imported_is_shown_and_what_is_removed_is_gone(var: Path) -> None:
    assert "1 schools and 1 centers" in run("import", file(var, "\ufeff" + GOOD))
    shown = json.loads(run("show", "KZ-75-00001", "--json"))
    assert shown["address"] == "Абая, 1"
    assert [(c["role"], c["mobile"]) for c in shown["contacts"]] == [
        ("duty", False),
        ("director", True),
    ]
    assert "102" in run("show", "KZ-75-ocs")
    run("remove", "KZ-75-00001")
    assert "Nothing is known" in run("show", "KZ-75-00001", code=1)
    assert "Nothing is known" in run("remove", "KZ-75-00001", code=1)
    assert "Директор".encode() not in contacts_path(var).read_bytes()
    listed = CliRunner().invoke(app, ["audit", "list", "--json"]).output
    assert [e["did"] for e in json.loads(listed)][::-1] == [
        "contacts.imported", "contacts.looked", "contacts.looked", "contacts.removed",
    ]  # fmt: skip
    assert "Директор" not in listed


def test_an_import_replaces_a_school_whole_and_leaves_others(var: Path) -> None:
    run("import", file(var, GOOD))
    run("import", file(var, HEAD + "KZ-75-00002,guard,Охрана,+77015550303,yes,\n"))
    run("import", file(var, HEAD + "KZ-75-00001,guard,Охрана,+77015550303,yes,\n"))
    [contact] = json.loads(run("show", "KZ-75-00001", "--json"))["contacts"]
    assert contact["role"] == "guard"
    run("show", "KZ-75-00002")
    run("show", "KZ-75-ocs")


@pytest.mark.parametrize(
    ("line", "says"),
    [
        ("KZ-75-1,duty,X,102,no,", "line 3: school: is not written as it should be"),
        ("KZ-75-00002,boss,X,102,no,", "line 3: role: boss is none of duty, director"),
        ("KZ-75-00002,duty,X,call me,no,", "line 3: phone: is not written as it should be"),
        ("KZ-75-00002,duty,,102,no,", "line 3: name: must have at least 1 characters"),
        ("KZ-75-00002,duty,X,102,maybe,", "line 3: mobile: maybe is neither yes nor no"),
        ("KZ-75-00002", "line 3: role: nothing is none of"),
    ],
)
def test_a_wrong_line_is_named_and_nothing_is_taken(var: Path, line: str, says: str) -> None:
    good = HEAD + "KZ-75-00001,duty,X,102,no,\n"
    said = " ".join(run("import", file(var, good + line + "\n"), code=1).split())
    assert says in said and "Nothing was taken over" in said
    assert ContactBook(contacts_path(var)).school("KZ-75-00001") is None


def test_a_file_without_its_columns_or_of_another_kind_is_refused(var: Path) -> None:
    assert "no role, name, phone" in run("import", file(var, "of;role\n"), code=1).replace(
        "of, ", ""
    )
    assert "can't be used" in run("import", file(var, "{", "x.json"), code=1)
    (var / "y.csv").write_bytes(b"\xff\xfe\x00")
    assert "UTF-8" in run("import", str(var / "y.csv"), code=1)


def test_the_simulated_country_has_made_up_contacts_that_can_be_imported(var: Path) -> None:
    schools = country(1, 50)
    made_up = contacts_of(schools)
    assert made_up == contacts_of(country(1, 50))
    run("import", file(var, made_up.model_dump_json(), "made-up.json"))
    book = ContactBook(contacts_path(var))
    assert all(book.school(school.id) is not None for school in schools)
    assert all(book.center(school.center) is not None for school in schools if school.center)
    phones = [c.phone for s in Contacts.model_validate(made_up).schools for c in s.contacts]
    assert all(" 555 " in phone for phone in phones)


def test_a_floor_s_plan_is_kept_and_what_is_no_picture_refused(var: Path) -> None:
    picture = var / "floor.png"
    picture.write_bytes(b"\x89PNG\r\n\x1a\n and so on")
    assert "floor B-2" in run("plan", "KZ-75-00001", "B-2", str(picture))
    book = ContactBook(contacts_path(var))
    assert book.floors("KZ-75-00001") == ["B-2"]
    assert "PNG or a JPEG" in run("plan", "KZ-75-00001", "1", file(var, "<svg/>", "x.svg"), code=1)
    run("plan", "nowhere", "1", str(picture), code=1)
    run("plan", "KZ-75-00001", "../1", str(picture), code=1)
    assert book.floors("KZ-75-00001") == ["B-2"]
