"""Where the admin listener listens: what keeps a gateway from starting, and what must not keep a worker from serving."""

import socket
from pathlib import Path

import pytest

from keeptrusts.core.rulebook.rulebook import AdminRules
from keeptrusts.gateway.acceptor import Place
from keeptrusts.gateway.administration import admin_socket
from keeptrusts.gateway.node import StartRefused
from tests.gateway.house import with_rules

TOKEN = {"TOKEN": "kt_ak_operator"}


def place(number: int, listener: socket.socket) -> Place:
    return Place(listener, memoryview(bytearray(8)).cast("i"), number, -1)


def test_an_address_needs_a_token_for_every_worker_and_a_socket_none(tmp_path: Path) -> None:
    rules = with_rules(admin=AdminRules("127.0.0.1:1"))
    with socket.socket() as listener:
        for where in (None, place(0, listener), place(1, listener)):
            with pytest.raises(StartRefused, match=r"needs a token .* set TOKEN"):
                admin_socket(rules, {}, where)
    made = admin_socket(with_rules(admin=AdminRules(str(tmp_path / "s"))), {}, None)
    assert made is not None
    assert (tmp_path / "s").stat().st_mode & 0o777 == 0o600
    made.close()


def test_an_address_in_use_ends_a_gateway_alone_and_no_worker() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        rules = with_rules(admin=AdminRules(f"127.0.0.1:{taken.getsockname()[1]}"))
        with pytest.raises(StartRefused, match="can't listen for admin requests"):
            admin_socket(rules, TOKEN, None)
        assert admin_socket(rules, TOKEN, place(0, taken)) is None


def test_only_the_first_worker_listens() -> None:
    with socket.socket() as listener:
        assert admin_socket(with_rules(admin=AdminRules("127.0.0.1:1")), TOKEN, place(1, listener)) is None


def test_a_path_takes_over_a_dead_socket_and_nothing_else(tmp_path: Path) -> None:
    path = tmp_path / "s"
    rules = with_rules(admin=AdminRules(str(path)))
    first = admin_socket(rules, {}, None)
    assert first is not None
    with pytest.raises(StartRefused, match="another process listens there"):
        admin_socket(rules, {}, None)
    first.close()
    again = admin_socket(rules, {}, None)
    assert again is not None
    again.close()
    path.unlink()
    path.write_text("kept")
    with pytest.raises(StartRefused, match="no socket"):
        admin_socket(rules, {}, None)
    assert path.read_text() == "kept"
