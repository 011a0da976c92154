"""``saqshy keys``: what devices prove themselves with at the gateway."""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated

import typer

from deploy.cli.output import (
    AsJson,
    Code,
    explained,
    fail,
    load_settings,
    print_json,
    print_table,
    say,
)
from schemas.settings import Settings
from schemas.times import utc
from streams.keys import (
    Device,
    KeyTrouble,
    changing,
    keys_path,
    read_keys,
    write_keys,
)
from streams.keys import (
    add as add_key,
)
from streams.keys import (
    revoke as revoke_key,
)
from streams.keys import (
    rotate as rotate_key,
)

app = typer.Typer(no_args_is_help=True, rich_markup_mode=None, help="Device keys of the gateway.")

School = Annotated[str, typer.Argument(help="e.g. KZ-75-00001")]
Name = Annotated[str, typer.Argument(help="the device at its school, e.g. button-1")]


@app.command()
def add(school: School, device: Name, as_json: AsJson = False) -> None:
    """Make the first key of a device, and say it this one time.

    \b
    Examples:
      saqshy keys add KZ-75-00001 button-1
      curl -H "Authorization: Bearer $KEY" -H 'content-type: application/json' \\
           --data @press.json http://127.0.0.1:8071/v1/panic
    """
    with _troubled() as path, changing(path) as keys:
        new, said = add_key(keys, Device(school, device), _now_ms())
        write_keys(path, new)
    _tell(school, device, said, as_json)


@app.command()
def rotate(school: School, device: Name, as_json: AsJson = False) -> None:
    """Make a new key beside the device's newest one; older ones end.

    \b
    Examples:
      saqshy keys rotate KZ-75-00001 button-1
      saqshy keys revoke KZ-75-00001 button-1 --old    (when the device has the new one)
    """
    with _troubled() as path, changing(path) as keys:
        new, said = rotate_key(keys, Device(school, device), _now_ms())
        write_keys(path, new)
    _tell(school, device, said, as_json)


@app.command()
def revoke(
    school: School,
    device: Name,
    old: Annotated[bool, typer.Option("--old", help="Keep the newest key.")] = False,
    as_json: AsJson = False,
) -> None:
    """End the keys of a device, at once.

    \b
    Examples:
      saqshy keys revoke KZ-75-00001 button-1
      saqshy keys revoke KZ-75-00001 button-1 --old
    """
    with _troubled() as path, changing(path) as keys:
        new = revoke_key(keys, Device(school, device), only_old=old)
        write_keys(path, new)
    left = len(new.get(Device(school, device), ()))
    if as_json:
        print_json({"school": school, "device": device, "valid": left})
    else:
        say(f"{device} of {school} has {left or 'no'} valid key{'s' if left > 1 else ''} now.")


@app.command("list")
def list_(as_json: AsJson = False) -> None:
    """Say which devices have keys, and since when. The keys themselves are not kept.

    \b
    Examples:
      saqshy keys list
      saqshy keys list --json | jq '.keys | length'
    """
    with _troubled() as path:
        keys = read_keys(path)
    rows = [
        (device.school, device.device, _time(key.created_ms))
        for device, theirs in sorted(keys.items())
        for key in theirs
    ]
    if as_json:
        names = ("school", "device", "created")
        print_json({"keys": [dict(zip(names, row, strict=True)) for row in rows]})
    elif rows:
        print_table(("school", "device", "created"), rows)
    else:
        say("No device has a key yet: saqshy keys add KZ-75-00001 button-1")


@contextmanager
def _troubled() -> Iterator[Path]:
    settings: Settings = load_settings()
    try:
        with explained(settings):
            yield keys_path(settings)
    except KeyTrouble as error:
        fail(str(error), "saqshy keys list says what there is.", Code.WRONG)


def _tell(school: str, device: str, said: str, as_json: bool) -> None:
    if as_json:
        print_json({"school": school, "device": device, "key": said})
        return
    say(said)
    say("Give it to the device now: it is kept nowhere and can't be shown again.")


def _now_ms() -> int:
    return int(time.time() * 1000)


def _time(ms: int) -> str:
    return utc(ms).strftime("%Y-%m-%d %H:%M:%S UTC")
