"""Where a call comes from, for limits by address: the connection's other end, or what trusted proxies say it was."""

from ipaddress import IPv6Address, ip_network

from keeptrusts.core.identity.networks import Address, Networks, caller_address, read_address
from keeptrusts.gateway.client import Client

IPV6_PREFIX = 64
"""One subscriber has a whole network of this size."""

MAX_HEADER_BYTES = 4_096


def client_address(client: Client, depth: int, proxies: Networks = ()) -> str:
    """An address to count by. Each of ``depth`` trusted proxies adds one entry at the right end of ``x-forwarded-for``; what
    stands further left is the client's own word. With fewer entries than proxies the connection's other end counts.

    Without a ``depth``, ``proxies`` are believed by their own addresses.
    """
    said = client.headers.get(b"x-forwarded-for", b"")[-MAX_HEADER_BYTES:].decode("latin-1")
    found = None
    if depth:
        entries = said.split(",")
        found = read_address(entries[-depth]) if len(entries) >= depth else None
    elif proxies:
        found = caller_address(client.peer, said, proxies)
    return _counted(found or read_address(client.peer))


def _counted(address: Address | None) -> str:
    if address is None:
        return "unknown"
    if isinstance(address, IPv6Address):
        return str(ip_network((address.packed, IPV6_PREFIX), strict=False))
    return str(address)
