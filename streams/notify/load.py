"""The policies file (TOML), checked as a whole."""

from collections.abc import Collection
from pathlib import Path

from pydantic import ValidationError

from streams.notify.policy import Policies, without_use
from streams.paging.files import Unusable, explained, text_of, toml


def load_policies(path: Path | None, channels: Collection[str]) -> Policies:
    """The policies of this file, the built-in ones without it.

    Raises Unusable when it is wrong or names channels that are not there, and OSError.
    """
    if path is None:
        return Policies()
    with path.open("rb") as file:
        told = toml(path, text_of(path, file))
    try:
        policies = Policies.model_validate(told)
    except ValidationError as error:
        raise Unusable(f"{path}: {explained(error)}") from None
    named = {
        name
        for chain in policies.chains.values()
        for level in chain.levels
        for name in level.channels
    }
    if missing := sorted(named - set(channels)):
        raise Unusable(
            f"{path} names channels that are not there: {', '.join(missing)}; "
            f"there are {', '.join(sorted(channels))}"
        )
    for rule in without_use(policies):
        raise Unusable(
            f"{path}: rule {rule.name!r} never counts, as the rules before it take all that it fits: "
            "put it before them"
        )
    return policies
