"""Which addresses are one subscriber's."""

import pytest

from streams.runtime.network import network_of


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        ("2001:db8::1", "2001:db8::ffff:1", True),
        ("2001:db8::1", "2001:db8:0:1::1", False),
        ("::ffff:192.0.2.1", "192.0.2.1", True),
        ("fe80::1%eth0", "fe80::2", True),
        ("192.0.2.1", "192.0.2.2", False),
    ],
)
def test_addresses_of_one_subscriber_are_one(one: str, other: str, same: bool) -> None:
    assert (network_of(one) == network_of(other)) is same
