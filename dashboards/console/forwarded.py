"""From which address a request comes. What a proxy says of it counts only if the proxy is ours. Pure."""

from collections.abc import Sequence
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address

Networks = Sequence[IPv4Network | IPv6Network]


def address_of(peer: str, forwarded_for: Sequence[str], proxies: Networks) -> str:
    """``peer`` itself, or, where that is one of ``proxies``, the last in X-Forwarded-For that is none of
    ours: what stands before it anybody may have written. ``forwarded_for``: the header's lines in order.
    """
    hops = [hop.strip() for line in forwarded_for for hop in line.split(",")]
    found = peer
    while hops and _ours(found, proxies):
        hop = _parsed(hops.pop())
        if hop is None:
            return found  # no address: the last that is one counts
        found = str(hop)
    return found


def _ours(address: str, proxies: Networks) -> bool:
    parsed = _parsed(address)
    return parsed is not None and any(parsed in network for network in proxies)


def _parsed(text: str) -> IPv4Address | IPv6Address | None:
    """With a port and in brackets, too, as some proxies write it."""
    if text.startswith("["):
        text = text[1:].partition("]")[0]
    elif text.count(":") == 1:
        text = text.partition(":")[0]
    try:
        found = ip_address(text.partition("%")[0])
    except ValueError:
        return None
    return found.ipv4_mapped or found if isinstance(found, IPv6Address) else found
