from pathlib import Path

import pytest

from streams.keys import (
    Device,
    Keys,
    KeyTrouble,
    add,
    claimed,
    is_valid,
    read_keys,
    revoke,
    rotate,
    write_keys,
)

BUTTON = Device("KZ-75-00001", "button-1")
OTHER = Device("KZ-75-00002", "button-1")


def opens(keys: Keys, bearer: str) -> bool:
    said = claimed(f"Bearer {bearer}")
    return said is not None and is_valid(keys, *said)


def test_a_key_opens_for_its_device_only() -> None:
    keys, bearer = add({}, BUTTON, 1)
    assert opens(keys, bearer)
    secret = bearer.rpartition(".")[2]
    assert not opens(keys, f"{OTHER.school}.{OTHER.device}.{secret}")
    assert not opens(keys, bearer[:-1] + ("a" if bearer[-1] != "a" else "b"))


def test_two_keys_are_valid_while_a_device_changes_over_and_no_third() -> None:
    keys, first = add({}, BUTTON, 1)
    keys, second = rotate(keys, BUTTON, 2)
    assert opens(keys, first)
    assert opens(keys, second)
    keys, third = rotate(keys, BUTTON, 3)
    assert [opens(keys, bearer) for bearer in (first, second, third)] == [False, True, True]


def test_keys_end_when_they_are_revoked() -> None:
    keys, first = add({}, BUTTON, 1)
    keys, second = rotate(keys, BUTTON, 2)
    newest = revoke(keys, BUTTON, only_old=True)
    assert [opens(newest, bearer) for bearer in (first, second)] == [False, True]
    assert not opens(revoke(keys, BUTTON), second)


def test_a_second_first_key_is_refused_with_what_to_do() -> None:
    keys, _ = add({}, BUTTON, 1)
    with pytest.raises(KeyTrouble, match="rotate"):
        add(keys, BUTTON, 2)
    with pytest.raises(KeyTrouble, match="add one"):
        rotate({}, BUTTON, 2)
    with pytest.raises(KeyTrouble, match="no key"):
        revoke({}, BUTTON)
    with pytest.raises(KeyTrouble, match="no school"):
        add({}, Device("school-1", "button-1"), 1)


@pytest.mark.parametrize(
    "header", ["", "Bearer", "Bearer x", "Basic KZ-75-00001.button-1.x", "Bearer a.b.c.d"]
)
def test_a_header_that_says_nobody_is_nobody(header: str) -> None:
    assert claimed(header) is None


def test_the_file_holds_no_secret_and_only_its_owner_reads_it(tmp_path: Path) -> None:
    keys, bearer = add({}, BUTTON, 1)
    path = tmp_path / "keys.json"
    write_keys(path, keys)
    assert read_keys(path) == keys
    assert bearer.rpartition(".")[2] not in path.read_text()
    assert path.stat().st_mode & 0o777 == 0o600


def test_a_broken_file_is_said_and_a_missing_one_is_empty(tmp_path: Path) -> None:
    path = tmp_path / "keys.json"
    assert read_keys(path) == {}
    for broken in ("{", "[]", '{"devices": [{"school": 1}]}'):
        path.write_text(broken)
        with pytest.raises(KeyTrouble, match="no file of device keys"):
            read_keys(path)
