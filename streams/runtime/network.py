"""Which addresses are one subscriber's, so that a bound for one holds for all of its addresses."""

from ipaddress import ip_address


def network_of(address: str) -> str:
    """Of IPv6 the /64, which one subscriber has whole (RFC 6177); of an IPv4 address that is written as
    IPv6 that one; of all else the address itself.
    """
    if ":" not in address:
        return address
    try:
        parsed = ip_address(address.partition("%")[0])
    except ValueError:
        return address
    if parsed.version == 4:
        return str(parsed)
    if parsed.ipv4_mapped is not None:
        return str(parsed.ipv4_mapped)
    return f"{int(parsed) >> 64:016x}/64"
