"""Everything of a process that serves its operators: the endpoints, the listener of their own, the socket for siblings."""

import socket
from collections.abc import Mapping
from pathlib import Path

from keeptrusts.core.rulebook.rulebook import Rulebook
from keeptrusts.gateway.acceptor import Place
from keeptrusts.gateway.admin import Admin
from keeptrusts.gateway.admin_access import access_of
from keeptrusts.gateway.admin_listener import AdminListener, listening
from keeptrusts.gateway.node import Node, StartRefused
from keeptrusts.gateway.siblings import Siblings


class Administration:
    """Built with the node, started before it is ready, stopped after its last call. ``listener`` None: there is none here."""

    def __init__(
        self,
        node: Node,
        listener: socket.socket | None,
        place: Place | None,
        data_dir: Path,
        environment: Mapping[str, str],
    ) -> None:
        # One worker alone on a port has no siblings, and is like a gateway without a place.
        alone = place is None or len(place.counts) == 1
        self._siblings = None if place is None or alone else Siblings(place, data_dir)
        self.admin = Admin(node, access_of(node.rulebook, environment), self._siblings)
        self._listener = None if listener is None else AdminListener(node, self.admin, listener)

    async def start(self) -> None:
        """Answers operators and siblings from now on."""
        if self._siblings is not None:
            await self._siblings.open(self.admin.part)
        if self._listener is not None:
            self._listener.start()

    async def stop(self) -> None:
        """Answers nobody any more."""
        if self._siblings is not None:
            self._siblings.close()
        if self._listener is not None:
            await self._listener.stop()


def admin_socket(rulebook: Rulebook, environment: Mapping[str, str], place: Place | None) -> socket.socket | None:
    """The admin listener's socket, if the rules want one; of several workers the first has it. Raises StartRefused."""
    listen = rulebook.admin.listen
    if listen is None or (place is not None and place.number != 0):
        return None
    access = access_of(rulebook, environment)
    if not listen.startswith("/") and not access.has_token:
        raise StartRefused(
            f"the admin listener on {listen} needs a token to let operators in: set {access.token_env}, "
            "or listen on the path of a Unix socket"
        )
    return listening(listen)
