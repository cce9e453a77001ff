"""Where a call comes from, for limits by address: the connection's other end, or what trusted proxies say it was."""

from ipaddress import IPv6Address, ip_address, ip_network

from keeptrusts.gateway.client import Client

IPV6_PREFIX = 64
"""One subscriber has a whole network of this size."""

MAX_HEADER_BYTES = 4_096


def client_address(client: Client, trusted_proxies: int) -> str:
    """An address to count by. Each trusted proxy adds one entry at the right end of ``x-forwarded-for``; what stands further
    left is the client's own word. With fewer entries than proxies the connection's other end counts."""
    if trusted_proxies:
        entries = client.headers.get(b"x-forwarded-for", b"")[-MAX_HEADER_BYTES:].split(b",")
        if len(entries) >= trusted_proxies and (found := _address(entries[-trusted_proxies].decode("latin-1"))):
            return found
    return _address(client.peer) or "unknown"


def _address(text: str) -> str | None:
    text = text.strip()
    if text.startswith("["):
        text = text[1:].partition("]")[0]
    elif text.count(":") == 1:
        text = text.partition(":")[0]
    try:
        address = ip_address(text)
    except ValueError:
        return None
    if isinstance(address, IPv6Address):
        if address.ipv4_mapped is not None:
            return str(address.ipv4_mapped)
        return str(ip_network((address.packed, IPV6_PREFIX), strict=False))
    return str(address)
