"""Local users: their file, their sessions, and who guesses."""

import json
import stat
from pathlib import Path

import pytest

from dashboards.console.access import Person, Role
from dashboards.console.sessions import Sessions, login_of
from dashboards.console.users import Users, UserTrouble, bearer, machine_token, token_path

HOURS = 13.0


@pytest.fixture
def users(tmp_path: Path) -> Users:
    return Users(tmp_path / "console" / "users.json")


class Clock:
    now = 1_000_000

    def __call__(self) -> int:
        return self.now


def test_a_password_is_kept_as_argon2id_in_a_file_of_its_owner(users: Users) -> None:
    password = users.put("aigerim", "Aigerim", Role.OPERATOR, ["KZ-75"])
    text = users.path.read_text()
    assert password not in text
    assert json.loads(text)["aigerim"]["password"].startswith("$argon2id$")
    assert stat.S_IMODE(users.path.stat().st_mode) == 0o600


def test_only_the_password_lets_in(users: Users) -> None:
    password = users.put("aigerim", "Aigerim", Role.OPERATOR, ["*"])
    assert users.verified("aigerim", password) is not None
    assert users.verified("aigerim", password + "x") is None
    assert users.verified("nobody", password) is None


@pytest.mark.parametrize("login", ["", "A", "saqshy:dispatch", "a b", "../x", "a" * 40])
def test_a_login_that_could_be_mistaken_is_refused(users: Users, login: str) -> None:
    with pytest.raises(UserTrouble, match="is no login"):
        users.put(login, "X", Role.VIEWER, ["*"])


def test_a_machine_is_no_user(users: Users) -> None:
    with pytest.raises(UserTrouble, match="token"):
        users.put("robot", "R", Role.MACHINE, ["*"])


def test_another_process_s_change_counts_at_once(users: Users) -> None:
    users.put("aigerim", "Aigerim", Role.OPERATOR, ["*"])
    assert set(users.all()) == {"aigerim"}
    other = Users(users.path)
    other.put("bolat", "Bolat", Role.VIEWER, ["*"])
    assert set(users.all()) == {"aigerim", "bolat"}
    other.remove("aigerim")
    assert set(users.all()) == {"bolat"}


def test_a_spoilt_file_does_not_throw_out_who_is_in(users: Users) -> None:
    users.put("aigerim", "Aigerim", Role.OPERATOR, ["*"])
    users.all()
    users.path.write_text("{")
    assert set(users.all()) == {"aigerim"}
    with pytest.raises(ValueError, match="JSON"):
        Users(users.path).all()


def sessions(users: Users, clock: Clock) -> Sessions:
    return Sessions(users.path.with_name("sessions.json"), users, clock)


def test_a_session_outlives_a_restart_and_its_file_does_not_give_it_away(users: Users) -> None:
    users.put("aigerim", "Aigerim", Role.OPERATOR, ["*"])
    clock = Clock()
    person = users.all()["aigerim"].person("aigerim")
    id_ = sessions(users, clock).begin(person, HOURS, local=True)
    again = sessions(users, clock)
    assert again.person(id_) == person
    assert id_ not in users.path.with_name("sessions.json").read_text()
    again.end(id_)
    assert sessions(users, clock).person(id_) is None


def test_a_session_ends_with_its_shift(users: Users) -> None:
    clock = Clock()
    kept = sessions(users, clock)
    id_ = kept.begin(Person(login_of("o"), "O", Role.OPERATOR), HOURS, local=False, sub="o")
    clock.now += int(HOURS * 3_600_000) - 1
    assert kept.person(id_) is not None
    clock.now += 1
    assert kept.person(id_) is None


@pytest.mark.parametrize("what", ["removed", "new password", "another role"])
def test_a_change_of_the_user_counts_in_open_sessions(users: Users, what: str) -> None:
    users.put("aigerim", "Aigerim", Role.SUPERVISOR, ["*"])
    kept = sessions(users, Clock())
    id_ = kept.begin(users.all()["aigerim"].person("aigerim"), HOURS, local=True)
    if what == "removed":
        users.remove("aigerim")
        assert kept.person(id_) is None
    elif what == "new password":
        users.put("aigerim", "Aigerim", Role.SUPERVISOR, ["*"])
        assert kept.person(id_) is None
    else:
        changed = json.loads(users.path.read_text())
        changed["aigerim"]["role"] = "viewer"
        users.path.write_text(json.dumps(changed))
        now = kept.person(id_)
        assert now is not None
        assert now.role is Role.VIEWER


def test_machines_share_one_token_that_only_its_owner_reads(tmp_path: Path) -> None:
    assert machine_token(tmp_path) == machine_token(tmp_path)
    assert bearer(tmp_path) == {"Authorization": f"Bearer {machine_token(tmp_path)}"}
    assert stat.S_IMODE(token_path(tmp_path).stat().st_mode) == 0o600
