"""The gateway's HTTP server, from its first connection to its last: accepting, closing what is idle, and draining.

Draining takes no new connection, tells those that are open that the answer under way is their last, and waits for the calls
under way, within a bound.
"""

import asyncio
import contextlib
import logging
import socket
from collections.abc import Coroutine, Iterator
from typing import Any

import uvicorn

from keeptrusts.gateway.acceptor import Acceptor, Place
from keeptrusts.gateway.admin import Admin
from keeptrusts.gateway.client import Client
from keeptrusts.gateway.doors import CHAT
from keeptrusts.gateway.endpoints import application
from keeptrusts.gateway.fast_http import ShortWay
from keeptrusts.gateway.life_of_a_call import serve
from keeptrusts.gateway.node import Node

log = logging.getLogger("keeptrusts::gateway")

KEEP_ALIVE_S = 75

DRAIN_S = 30.0
"""How long calls under way may take to their end once the gateway is told to stop."""

BREAK_OFF_S = 2.0
"""How long calls that were broken off may take to write their rows."""

LOOK_S = 0.02


class GatewayServer(uvicorn.Server):
    """uvicorn's server with its signals and its end left to us. ``place``: see Acceptor; None: it has a socket of its own."""

    def __init__(self, node: Node, admin: Admin, place: Place | None, supervised: bool) -> None:
        self._supervised = supervised
        self.hurry = asyncio.Event()
        self._acceptor: Acceptor | None = None
        super().__init__(
            uvicorn.Config(
                application(node, admin),
                http=self._protocol(node),
                ws="none",
                lifespan="off",
                interface="asgi3",
                loop="uvloop",
                log_config=None,
                access_log=False,
                server_header=False,
                proxy_headers=False,
            )
        )
        node.observed.in_flight = lambda: len(self.server_state.tasks)
        if place is not None:
            self._acceptor = Acceptor(place, self._connection)

    def _protocol(self, node: Node) -> type[ShortWay]:
        server = self

        class NodeProtocol(ShortWay):
            def serve(self, client: Client) -> Coroutine[Any, Any, None]:
                return serve(node, client, CHAT)

            def new_request_id(self) -> bytes:
                return node.new_request_id().encode()

            def connection_lost(self, exc: Exception | None) -> None:
                super().connection_lost(exc)
                if server._acceptor is not None:
                    server._acceptor.gone()

        return NodeProtocol

    def _connection(self) -> asyncio.Protocol:
        protocol: asyncio.Protocol = self.config.http_protocol_class(  # type: ignore[call-arg]
            config=self.config, server_state=self.server_state, app_state={}
        )
        return protocol

    def accept(self) -> None:
        """Takes connections from now on, at a shared port; one of its own is open already, to say that it is not ready."""
        if self._acceptor is not None and not self.should_exit:
            self._acceptor.open()

    def told_to_stop(self) -> None:
        """Asks for an end in order; asked again, for an end at once, unless a supervisor sees to that."""
        if self.should_exit and not self._supervised:
            self.force_exit = True
            self.hurry.set()
        self.should_exit = True

    async def close_idle(self) -> None:
        """Closes connections that were silent for long, over and over."""
        while True:
            await asyncio.sleep(KEEP_ALIVE_S)
            for connection in list(self.server_state.connections):
                if isinstance(connection, ShortWay):
                    connection.close_idle()

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Signals are ours."""
        yield

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Drains: see the module. What is not over after DRAIN_S, or after a second signal, is broken off."""
        if self._acceptor is not None:
            self._acceptor.close()
        for server in self.servers:
            server.close()
        for listener in sockets or []:
            listener.close()
        state = self.server_state
        for connection in list(state.connections):
            connection.shutdown()
        if state.tasks:
            log.info("Stopping: %d calls are under way and have %d s to end.", len(state.tasks), DRAIN_S)
        loop = asyncio.get_running_loop()
        ends = loop.time() + DRAIN_S
        hurried = loop.create_task(self.hurry.wait())
        while (state.connections or state.tasks) and not hurried.done() and loop.time() < ends:
            await asyncio.wait({hurried}, timeout=LOOK_S)
        hurried.cancel()
        if state.tasks:
            log.warning("%d calls were not over in time: they are broken off.", len(state.tasks))
            await self._break_off(set(state.tasks))

    @staticmethod
    async def _break_off(tasks: set[asyncio.Task[None]]) -> None:
        # uvicorn takes a call that is cancelled for a fault of ours and logs its stack.
        logging.getLogger("uvicorn.error").setLevel(logging.CRITICAL)
        for task in tasks:
            task.cancel()
        await asyncio.wait(tasks, timeout=BREAK_OFF_S)
