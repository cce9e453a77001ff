"""Everything of a process that serves its operators: the endpoints, the listener of their own, the socket for siblings."""

import asyncio
import logging
import socket
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path

from keeptrusts.core.rulebook.rulebook import Rulebook
from keeptrusts.gateway.acceptor import Place
from keeptrusts.gateway.admin import Admin
from keeptrusts.gateway.admin_access import access_of
from keeptrusts.gateway.admin_listener import AdminListener, listening
from keeptrusts.gateway.node import Node, StartRefused
from keeptrusts.gateway.siblings import Siblings

log = logging.getLogger("keeptrusts::gateway")

AGAIN_S = 2.0
"""How often a worker tries to have an admin listener's address that somebody else uses."""


class Administration:
    """Built with the node, started before it is ready, stopped after its last call. ``listener`` None: there is none here,
    or, where the rules want one of this process, not yet."""

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
        self._node = node
        self._siblings = None if place is None or alone else Siblings(place, data_dir)
        self.admin = Admin(node, access_of(node.rulebook, environment), self._siblings)
        self._listener = None if listener is None else AdminListener(node, self.admin, listener)
        self._listen = node.rulebook.admin.listen if listener is None and _listens(place) else None
        self._trying: asyncio.Task[None] | None = None

    async def start(self) -> None:
        """Answers operators and siblings from now on."""
        if self._siblings is not None:
            await self._siblings.open(self.admin.part)
        if self._listener is not None:
            self._listener.start()
        elif self._listen is not None:
            self._trying = asyncio.create_task(self._listen_later(self._listen))

    async def _listen_later(self, listen: str) -> None:
        while self._listener is None:
            await asyncio.sleep(AGAIN_S)
            with suppress(StartRefused):
                self._listener = AdminListener(self._node, self.admin, listening(listen))
                self._listener.start()

    async def stop(self) -> None:
        """Answers nobody any more."""
        if self._trying is not None:
            self._trying.cancel()
        if self._siblings is not None:
            self._siblings.close()
        if self._listener is not None:
            await self._listener.stop()


def _listens(place: Place | None) -> bool:
    """Whether the admin listener is this process's: of several workers it is the first one's."""
    return place is None or place.number == 0


def admin_socket(rulebook: Rulebook, environment: Mapping[str, str], place: Place | None) -> socket.socket | None:
    """The admin listener's socket, if the rules want one of this process. Raises StartRefused.

    None too where a worker can't have it now: it is one that was started again, or soon is, and its calls matter more.
    """
    listen = rulebook.admin.listen
    if listen is None:
        return None
    access = access_of(rulebook, environment)
    if not listen.startswith("/") and not access.has_token:
        raise StartRefused(
            f"the admin listener on {listen} needs a token to let operators in: set {access.token_env}, "
            "or listen on the path of a Unix socket"
        )
    if not _listens(place):
        return None
    try:
        return listening(listen)
    except StartRefused as refused:
        if place is None:
            raise
        log.error("No admin listener yet, and trying again: %s", refused)
        return None
