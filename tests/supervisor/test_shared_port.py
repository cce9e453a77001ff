"""A port that several children serve: what the parent hands over is what the child takes."""

import os
import socket

from keeptrusts.gateway.acceptor import NOBODY
from keeptrusts.supervisor.shared_port import PLACE, share, take_place


def test_each_child_has_its_number_the_socket_and_everybodys_counts() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        address = listener.getsockname()
        port = share(listener, 3)
        places = []
        for number in range(3):
            # What a child inherits are descriptors of its own for the same things.
            listener_fd, counts_fd, limits_fd = (os.dup(fd) for fd in port.inherited)
            environ = {"HOME": "/", PLACE: f"{number}/3/{listener_fd}/{counts_fd}/{limits_fd}"}
            assert port.place(number)[PLACE].startswith(f"{number}/3/")
            places.append(take_place(environ))
            assert environ == {"HOME": "/"}
        first, second, third = places
        assert first
        assert second
        assert third
        assert [first.number, second.number, third.number] == [0, 1, 2]
        assert list(third.counts) == [NOBODY] * 3
        second.counts[1] = 7
        assert list(first.counts) == [NOBODY, 7, NOBODY]
        for place in (first, second, third):
            assert place.listener.getsockname() == address
            assert not os.get_inheritable(place.listener.fileno())
            assert not os.get_inheritable(place.limits_fd)
            assert os.fstat(place.limits_fd).st_ino == os.fstat(port.limits_fd).st_ino
            place.listener.close()
            os.close(place.limits_fd)
        os.close(port.counts_fd)
        os.close(port.limits_fd)


def test_who_was_given_none_has_none() -> None:
    assert take_place({}) is None
    assert take_place({PLACE: "not a place"}) is None
