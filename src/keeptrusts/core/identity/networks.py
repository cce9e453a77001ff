"""Where calls may come from: networks as people write them, and the address that a call came from, behind proxies or not."""

from collections.abc import Iterable, Sequence
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network

Address = IPv4Address | IPv6Address
Networks = tuple[IPv4Network | IPv6Network, ...]

MAX_HOPS = 32
"""Proxies that one call may have come through."""


def read_network(text: str) -> str:
    """A network or a single address in its usual form (``10.0.0.0/8``, ``2001:db8::/32``). Raises ValueError, saying what is
    wrong, for anything else and for a network with host bits set."""
    try:
        return str(ip_network(text))
    except ValueError as error:
        reason = str(error)
    try:
        likely = ip_network(text, strict=False)
    except ValueError:
        raise ValueError("expected an address or a network, for example 10.0.0.0/8 or 2001:db8::/32") from None
    raise ValueError(f"{reason}; did you mean {likely}?")


def networks(texts: Iterable[str]) -> Networks:
    """Networks that ``read_network`` took."""
    return tuple(ip_network(text) for text in texts)


def read_address(text: str) -> Address | None:
    """An address, perhaps with a port or in brackets, as sockets and proxies write it; None for anything else.

    An IPv4 address that is written as an IPv6 one (``::ffff:10.0.0.1``) is the IPv4 address.
    """
    text = text.strip()
    if text.startswith("["):
        text, closed, _ = text[1:].partition("]")
        if not closed:
            return None
    elif text.count(":") == 1:
        text = text.partition(":")[0]
    try:
        address = ip_address(text.partition("%")[0])
    except ValueError:
        return None
    mapped = address.ipv4_mapped if isinstance(address, IPv6Address) else None
    return mapped or address


def within(address: Address | None, allowed: Networks) -> bool:
    """Whether one of the networks holds the address; nobody knows one that is None."""
    return address is not None and any(address in network for network in allowed if network.version == address.version)


def caller_address(peer: str, forwarded_for: str, proxies: Networks) -> Address | None:
    """Where a call came from: the connection's other end, unless that is a trusted proxy. Then the last entry of
    ``X-Forwarded-For`` that no trusted proxy has; None when an entry on the way there can't be read.

    What stands before that entry was written by the client, and says nothing.
    """
    address = read_address(peer)
    if not proxies or not within(address, proxies):
        return address
    entries: Sequence[str] = forwarded_for.split(",")[-MAX_HOPS:] if forwarded_for else ()
    for entry in reversed(entries):
        address = read_address(entry)
        if not within(address, proxies):
            return address
    return address
