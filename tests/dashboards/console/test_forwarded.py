"""From which address a request comes: what anybody may write is not believed."""

from ipaddress import ip_network

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dashboards.console.forwarded import address_of

PROXIES = [ip_network("10.0.0.0/24"), ip_network("fd00::/64")]
TEXT = st.text(max_size=60)
ADDRESS = st.ip_addresses().map(str)


@given(ADDRESS, st.lists(TEXT | ADDRESS, max_size=4))
def test_who_is_no_proxy_of_ours_says_nothing_of_others(peer: str, lines: list[str]) -> None:
    assert address_of(peer, lines, []) == peer


@given(
    ADDRESS.filter(lambda text: not text.startswith(("10.0.0.", "fd00:"))),
    st.lists(TEXT, max_size=4),
)
def test_what_stands_before_the_word_of_our_proxy_is_nothing(client: str, lines: list[str]) -> None:
    believed = address_of("10.0.0.1", [*lines, client], PROXIES)
    assert believed == address_of("10.0.0.1", [client], PROXIES)


@pytest.mark.parametrize(
    ("peer", "lines", "address"),
    [
        ("10.0.0.1", ["192.0.2.7"], "192.0.2.7"),
        ("10.0.0.1", ["6.6.6.6, 192.0.2.7"], "192.0.2.7"),
        ("10.0.0.1", ["6.6.6.6", "192.0.2.7, 10.0.0.2"], "192.0.2.7"),
        ("10.0.0.1", ["10.0.0.3"], "10.0.0.3"),
        ("10.0.0.1", [], "10.0.0.1"),
        ("10.0.0.1", ["nonsense"], "10.0.0.1"),
        ("10.0.0.1", ["192.0.2.7:4711"], "192.0.2.7"),
        ("10.0.0.1", ["[2001:db8::1]:4711"], "2001:db8::1"),
        ("10.0.0.1", ["::ffff:192.0.2.7"], "192.0.2.7"),
        ("::ffff:10.0.0.1", ["192.0.2.7"], "192.0.2.7"),
        ("fd00::1", ["2001:db8::1"], "2001:db8::1"),
        ("192.0.2.9", ["6.6.6.6"], "192.0.2.9"),
        ("", ["6.6.6.6"], ""),
    ],
)
def test_the_last_that_is_no_proxy_of_ours_is_who_it_is(
    peer: str, lines: list[str], address: str
) -> None:
    assert address_of(peer, lines, PROXIES) == address
