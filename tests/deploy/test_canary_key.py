"""The key of the watchdog's canaries: made once, known to the gateway, never a school's."""

from pathlib import Path

from deploy.canary_key import CANARY, canary_key_file
from schemas.events import is_canary
from schemas.settings import Settings
from streams.keys import Device, add, changing, claimed, is_valid, keys_path, read_keys
from streams.keys import write_keys as write
from streams.watchdog.gateway import load_key


def test_it_is_made_on_first_use_kept_private_and_the_same_ever_after(tmp_path: Path) -> None:
    settings = Settings(var=tmp_path)
    with changing(keys_path(settings)) as keys:
        write(keys_path(settings), add(keys, Device("KZ-75-00001", "button-1"), 0)[0])
    path = canary_key_file(settings)
    key = load_key(path)
    said = claimed(f"Bearer {key}")
    assert said is not None and is_canary(said[0].school)
    assert is_valid(read_keys(keys_path(settings)), *said)
    assert load_key(canary_key_file(settings)) == key
    assert set(read_keys(keys_path(settings))) == {CANARY, Device("KZ-75-00001", "button-1")}


def test_it_is_made_anew_when_either_file_was_lost(tmp_path: Path) -> None:
    settings = Settings(var=tmp_path)
    first = load_key(canary_key_file(settings))
    keys_path(settings).unlink()
    second = load_key(canary_key_file(settings))
    canary_key_file(settings).unlink()
    third = load_key(canary_key_file(settings))
    said = claimed(f"Bearer {third}")
    assert len({first, second, third}) == 3
    assert said is not None and is_valid(read_keys(keys_path(settings)), *said)
