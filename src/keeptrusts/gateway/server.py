"""The gateway's process: binds its port, starts the node, serves until it is told to stop, and leaves in good order."""

import asyncio
import contextlib
import gc
import logging
import signal
import socket
from collections.abc import Coroutine, Iterator, Mapping
from pathlib import Path
from typing import Any

import uvicorn
from msgspec import Struct

from keeptrusts.core.rulebook.rulebook import Rulebook
from keeptrusts.gateway.client import Client
from keeptrusts.gateway.endpoints import application
from keeptrusts.gateway.fast_http import ShortWay
from keeptrusts.gateway.life_of_a_call import chat_completion
from keeptrusts.gateway.node import Node, StartRefused
from keeptrusts.gateway.remote_link import RemoteLink

log = logging.getLogger("keeptrusts::gateway")

KEEP_ALIVE_S = 75
BACKLOG = 4_096
GRACE_S = 30


class GatewayOptions(Struct, frozen=True):
    """What a gateway process is started with. ``environment`` holds the providers' secrets and the API's token."""

    rulebook: Rulebook
    host: str
    port: int
    data_dir: Path
    environment: Mapping[str, str]


class _Server(uvicorn.Server):
    """uvicorn, with its signals left to us."""

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield


def _protocol(node: Node) -> type[ShortWay]:
    class NodeProtocol(ShortWay):
        def serve(self, client: Client) -> Coroutine[Any, Any, None]:
            return chat_completion(node, client)

    return NodeProtocol


def bind(host: str, port: int) -> socket.socket:
    """The listening socket. Raises StartRefused when the port is taken or the address is not ours."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listener = socket.socket(family, socket.SOCK_STREAM)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((host, port))
        listener.listen(BACKLOG)
    except OSError as error:
        listener.close()
        raise StartRefused(f"can't listen on {host} port {port}: {error.strerror}") from None
    listener.setblocking(False)
    return listener


def announce(rulebook: Rulebook) -> None:
    """The start-up lines that operators look for."""
    if rulebook.cost_tracking:
        log.info("Cost tracking: enabled, wallet_enforcement=%s", str(rulebook.wallet_enforcement).lower())
    else:
        log.info("Cost tracking: disabled")
    if rulebook.thresholds:
        log.info("Budget alerts: %s", ", ".join(f"{t.percent}%→{t.action}" for t in rulebook.thresholds))
    for target in rulebook.targets:
        if target.provider == "simulated":
            log.info("Target %s is simulated: no provider is called, and the answers mean nothing.", target.id)


async def _close_idle(server: uvicorn.Server) -> None:
    while True:
        await asyncio.sleep(KEEP_ALIVE_S)
        for connection in list(server.server_state.connections):
            if isinstance(connection, ShortWay):
                connection.close_idle()


def _calm_collector() -> None:
    # What lives now lives to the end, and calls make few cycles: look for garbage seldom, and not among the living.
    gc.collect()
    gc.freeze()
    gc.set_threshold(20_000, 20, 50)


async def serve(options: GatewayOptions) -> None:
    """Runs the gateway until SIGINT or SIGTERM. Raises StartRefused when it can't start."""
    rulebook, api = options.rulebook, options.rulebook.api
    logging.getLogger("uvicorn").setLevel(logging.WARNING)
    listener = bind(options.host, options.port)
    link_for = None
    if api is not None:
        token = options.environment.get(api.token_env)
        if not token:
            raise StartRefused(f"{api.token_env} is not set: the gateway needs it to register with {api.url}")
        url, operator_token = api.url, token

        def link_for() -> RemoteLink:
            return RemoteLink(url, operator_token)

    announce(rulebook)
    node = Node(rulebook, options.environment, options.data_dir, link_for)
    config = uvicorn.Config(
        application(node),
        http=_protocol(node),
        ws="none",
        lifespan="off",
        interface="asgi3",
        loop="uvloop",
        log_config=None,
        access_log=False,
        server_header=False,
        proxy_headers=False,
        timeout_graceful_shutdown=GRACE_S,
    )
    server = _Server(config)
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, setattr, server, "should_exit", True)
    serving = loop.create_task(server.serve(sockets=[listener]))
    sweeping = loop.create_task(_close_idle(server))
    try:
        await node.start()
        _calm_collector()
        if node.ready:
            log.info("Gateway ready")
        await serving
    finally:
        sweeping.cancel()
        server.should_exit = True
        await serving
        await node.stop()
