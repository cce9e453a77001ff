"""The admin listener: an address of its own for what operators ask, so that the data port need not be reachable for them.

On a TCP address it takes the API token, wherever it listens: any user of a machine can reach its loopback. A Unix socket is
readable by its owner alone, and needs none.
"""

import asyncio
import contextlib
import logging
import os
import socket
import stat
from collections.abc import Iterator
from typing import Any

import uvicorn

from keeptrusts.gateway.admin import Admin
from keeptrusts.gateway.client import Client
from keeptrusts.gateway.node import Node, StartRefused
from keeptrusts.gateway.parsed_http import ParsedConnection

log = logging.getLogger("keeptrusts::gateway")

BACKLOG = 128
STOP_S = 2


class AdminListener(uvicorn.Server):
    """uvicorn's server for the admin endpoints alone; its signals are the gateway's."""

    def __init__(self, node: Node, admin: Admin, listener: socket.socket) -> None:
        self._listener = listener
        self._serving: asyncio.Task[None] | None = None
        private = listener.family == socket.AF_UNIX
        self._path = listener.getsockname() if private else None

        async def app(scope: dict[str, Any], receive: Any, send: Any) -> None:
            client = Client.of_asgi(scope, receive, send)
            client.name_request(node.new_request_id())
            await admin.serve(client, scope["method"], scope["path"], trusted=private)

        super().__init__(
            uvicorn.Config(
                app,
                http=ParsedConnection,
                ws="none",
                lifespan="off",
                interface="asgi3",
                loop="uvloop",
                log_config=None,
                access_log=False,
                server_header=False,
                proxy_headers=False,
                timeout_graceful_shutdown=STOP_S,
            )
        )

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Signals are the gateway's."""
        yield

    def start(self) -> None:
        """Answers from now on, also while the gateway is not ready or drains."""
        self._serving = asyncio.get_running_loop().create_task(self.serve(sockets=[self._listener]))
        log.info("Admin listener on %s", shown(self._listener))

    async def stop(self) -> None:
        """Answers no more."""
        self.should_exit = True
        if self._serving is not None:
            await self._serving
        self._listener.close()
        if self._path is not None:
            with contextlib.suppress(OSError):
                os.unlink(self._path)


def listening(listen: str) -> socket.socket:
    """The listening socket of ``HOST:PORT`` or of an absolute path. Raises StartRefused in one line for people."""
    try:
        if listen.startswith("/"):
            return _at_path(listen)
        host, _, port = listen.rpartition(":")
        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        listener = socket.socket(family, socket.SOCK_STREAM)
        try:
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            listener.bind((host.removeprefix("[").removesuffix("]"), int(port)))
            listener.listen(BACKLOG)
        except OSError:
            listener.close()
            raise
    except OSError as error:
        raise StartRefused(f"can't listen for admin requests on {listen}: {error.strerror or error}") from None
    return listener


def _at_path(path: str) -> socket.socket:
    with contextlib.suppress(FileNotFoundError):
        if not stat.S_ISSOCK(os.stat(path).st_mode):
            raise OSError(None, "something that is no socket is there already")
        if _answers(path):
            raise OSError(None, "another process listens there")
        os.unlink(path)
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    before = os.umask(0o177)
    try:
        listener.bind(path)
        listener.listen(BACKLOG)
    except OSError:
        listener.close()
        raise
    finally:
        os.umask(before)
    return listener


def _answers(path: str) -> bool:
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
        try:
            probe.connect(path)
        except OSError:
            return False
    return True


def shown(listener: socket.socket) -> str:
    """Where it listens, for people."""
    name = listener.getsockname()
    return name if isinstance(name, str) else f"{name[0]} port {name[1]}"
