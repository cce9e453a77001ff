"""The address that limits count by: the connection's other end, or what trusted proxies say, by their number or by name."""

import pytest

from keeptrusts.core.identity.networks import networks
from keeptrusts.gateway.client import Client
from keeptrusts.gateway.client_address import client_address

PROXIES = networks(["10.0.0.0/8"])


@pytest.mark.parametrize(
    ("peer", "said", "depth", "proxies", "counted"),
    [
        ("192.0.2.7", "198.51.100.1", 0, (), "192.0.2.7"),
        ("192.0.2.7", "203.0.113.1, 198.51.100.1", 1, (), "198.51.100.1"),
        ("192.0.2.7", "203.0.113.1, 198.51.100.1", 2, (), "203.0.113.1"),
        ("192.0.2.7", "198.51.100.1", 2, (), "192.0.2.7"),
        ("192.0.2.7", "nonsense", 1, (), "192.0.2.7"),
        ("192.0.2.7", "198.51.100.1", 0, PROXIES, "192.0.2.7"),
        ("10.0.0.1", "203.0.113.1, 198.51.100.1", 0, PROXIES, "198.51.100.1"),
        ("10.0.0.1", "198.51.100.1, 10.0.0.2", 0, PROXIES, "198.51.100.1"),
        ("10.0.0.1", "nonsense", 0, PROXIES, "10.0.0.1"),
        ("10.0.0.1", "203.0.113.1, 198.51.100.1", 2, PROXIES, "203.0.113.1"),
        ("2001:db8:1:2:3::4", "", 0, (), "2001:db8:1:2::/64"),
        ("::ffff:192.0.2.7", "", 0, (), "192.0.2.7"),
        ("", "", 0, (), "unknown"),
    ],
)
def test_the_address_that_is_counted(peer: str, said: str, depth: int, proxies: object, counted: str) -> None:
    client = Client({b"x-forwarded-for": said.encode()} if said else {}, None, peer=peer)
    assert client_address(client, depth, proxies) == counted  # type: ignore[arg-type]
