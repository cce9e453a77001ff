"""Where a call came from: proxies are believed only when they are trusted, and only about what they have seen themselves."""

import pytest

from keeptrusts.core.identity.networks import caller_address, networks, read_address, read_network, within

PROXIES = networks(["10.0.0.0/8", "2001:db8::/32"])


@pytest.mark.parametrize("text", ["10.0.0.0/8", "192.0.2.7/32", "2001:db8::/32", "::1/128", "0.0.0.0/0"])
def test_networks_are_read(text):
    assert read_network(text) == text


def test_an_address_is_a_network_of_one():
    assert read_network("192.0.2.7") == "192.0.2.7/32"


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("10.0.0.1/8", "did you mean 10.0.0.0/8"),
        ("10.0.0", "for example"),
        ("host", "for example"),
        ("10.0.0.0/33", "for example"),
    ],
)
def test_what_is_no_network_is_told_so(text, said):
    with pytest.raises(ValueError, match=said):
        read_network(text)


@pytest.mark.parametrize(
    ("text", "read"),
    [
        ("192.0.2.7", "192.0.2.7"),
        ("192.0.2.7:443", "192.0.2.7"),
        ("[2001:db8::1]:443", "2001:db8::1"),
        ("2001:db8::1", "2001:db8::1"),
        ("fe80::1%eth0", "fe80::1"),
        ("::ffff:192.0.2.7", "192.0.2.7"),
        ("", None),
        ("unknown", None),
        ("[2001:db8::1", None),
        ("1.2.3", None),
        ("0x7f.1", None),
    ],
)
def test_addresses_are_read_as_sockets_and_proxies_write_them(text, read):
    found = read_address(text)
    assert (None if found is None else str(found)) == read


@pytest.mark.parametrize(
    ("peer", "forwarded", "caller"),
    [
        ("192.0.2.7", "198.51.100.1", "192.0.2.7"),
        ("10.1.1.1", "", "10.1.1.1"),
        ("10.1.1.1", "198.51.100.1", "198.51.100.1"),
        ("10.1.1.1", "203.0.113.9, 198.51.100.1", "198.51.100.1"),
        ("10.1.1.1", "198.51.100.1, 10.2.2.2", "198.51.100.1"),
        ("10.1.1.1", "10.9.9.9", "10.9.9.9"),
        ("10.1.1.1", "198.51.100.1, nonsense", None),
        ("10.1.1.1", "nonsense, 198.51.100.1", "198.51.100.1"),
        ("2001:db8::1", "198.51.100.1:8080", "198.51.100.1"),
        ("::ffff:10.1.1.1", "198.51.100.1", "198.51.100.1"),
        ("", "198.51.100.1", None),
        ("10.1.1.1", ",".join(["198.51.100.1"] + ["10.0.0.1"] * 100), "10.0.0.1"),
    ],
)
def test_only_trusted_proxies_are_believed(peer, forwarded, caller):
    found = caller_address(peer, forwarded, PROXIES)
    assert (None if found is None else str(found)) == caller


def test_nobody_is_within_who_is_not_known():
    everywhere = networks(["0.0.0.0/0", "::/0"])
    assert not within(None, everywhere)
    assert within(read_address("192.0.2.7"), everywhere)
    assert not within(read_address("192.0.2.7"), networks(["::/0"]))
