"""The secret by which the gateway is known to those whom it tells directly."""

from pathlib import Path

import pytest

from streams.runtime.direct import NoSecret, is_ours


def test_only_the_secret_of_the_file_is_the_gateways(tmp_path: Path) -> None:
    file = tmp_path / "secret"
    file.write_text("only ours\n")
    assert is_ours("only ours", file)
    for said in ("", "only", "only ours ", "құпия", "\udcff"):
        assert not is_ours(said, file)
    file.write_text("қазақша")
    assert is_ours("қазақша", file)
    assert not is_ours("only ours", file)


def test_an_empty_secret_lets_nobody_in(tmp_path: Path) -> None:
    file = tmp_path / "secret"
    file.write_text(" \n")
    assert not is_ours("", file)


@pytest.mark.parametrize("content", [None, b"\xff"], ids=["no file", "no text"])
def test_without_a_secret_it_says_what_is_missing(tmp_path: Path, content: bytes | None) -> None:
    file = tmp_path / "secret"
    if content is not None:
        file.write_bytes(content)
    with pytest.raises(NoSecret, match="can't be read"):
        is_ours("", file)
    with pytest.raises(NoSecret, match="is not set"):
        is_ours("", None)
