"""Where servers listen: `--port` is this machine alone, and a port in use is one clear line."""

import socket

import pytest

from keeptrusts.cli.failure import Failure
from keeptrusts.cli.listening import Address, address, bound, must_be_free


@pytest.mark.parametrize(
    ("port", "listen", "at"),
    [
        (None, None, ("127.0.0.1", 8080)),
        (9, None, ("127.0.0.1", 9)),
        (None, "0.0.0.0:80", ("0.0.0.0", 80)),
        (None, "[::1]:80", ("::1", 80)),
        (None, "localhost:0", ("localhost", 0)),
    ],
)
def test_addresses(port: int | None, listen: str | None, at: tuple[str, int]) -> None:
    assert address(port, listen, 8080) == at


@pytest.mark.parametrize("listen", ["80", ":80", "h:", "h:x", "h:70000", "h:-1", "h:٣"])
def test_what_is_no_address(listen: str) -> None:
    with pytest.raises(Failure, match=r"--listen is HOST:PORT"):
        address(None, listen, 8080)


def test_port_and_listen_do_not_go_together() -> None:
    with pytest.raises(Failure, match="not both"):
        address(1, "h:1", 8080)


def test_a_port_in_use_names_port_and_host() -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        with pytest.raises(Failure) as refused:
            must_be_free(Address("127.0.0.1", port))
    assert refused.value.exit_code == 1
    assert refused.value.message.startswith(f"port {port} on 127.0.0.1 is in use: ")
    must_be_free(Address("127.0.0.1", port))


def test_an_address_of_another_machine_or_of_nobody() -> None:
    for host in ("192.0.2.1", "no such host"):
        with pytest.raises(Failure, match="cannot listen at"):
            bound(Address(host, 1))
