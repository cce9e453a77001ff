"""The gateway's process: binds its port, starts the node, serves until it is told to stop, and leaves in good order."""

import asyncio
import logging
import signal
import socket
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from msgspec import Struct

from keeptrusts.collector import calm_collector
from keeptrusts.core.rulebook.rulebook import Rulebook
from keeptrusts.gateway.acceptor import Place
from keeptrusts.gateway.administration import Administration, admin_socket
from keeptrusts.gateway.counts import SharedMemory
from keeptrusts.gateway.draining import GatewayServer
from keeptrusts.gateway.hangup import Terminal
from keeptrusts.gateway.last_good import LastGood
from keeptrusts.gateway.managed_policy import config_version
from keeptrusts.gateway.node import Node, StartRefused
from keeptrusts.gateway.policy_files import StartPolicy
from keeptrusts.gateway.reloading import Reloader
from keeptrusts.gateway.remote_link import RemoteLink
from keeptrusts.gateway.telemetry import Telemetry

if TYPE_CHECKING:
    from keeptrusts.gateway.store_link import StoreLink

log = logging.getLogger("keeptrusts::gateway")

BACKLOG = 4_096


class CutShort(Exception):
    """A second signal came while the gateway was leaving: what was under way is recovered at the next start."""


class GatewayOptions(Struct, frozen=True):
    """What a gateway process is started with. ``environment`` holds the providers' secrets and the API's token.

    ``place`` is given to a worker that serves a port together with others; ``host`` and ``port`` are not used then.
    ``supervised``: whoever started it kills it when it is to end at once, so that a second signal says nothing new: it comes
    from the kernel, or from an init system that signals every process of a group. ``policy`` is where the rulebook is from, to
    be read again when it changes; None: it never does.
    """

    rulebook: Rulebook
    host: str
    port: int
    data_dir: Path
    environment: Mapping[str, str]
    place: Place | None = None
    supervised: bool = False
    policy: StartPolicy | None = None


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
    if rulebook.limits.store is not None:
        log.info("Limits: counted for all hosts in a store.")
    elif rulebook.limits.nodes > 1:
        log.info("Limits: this host has one part of %d of each, and never less than 1.", rulebook.limits.nodes)
    for target in rulebook.targets:
        if target.provider == "simulated":
            log.info("Target %s is simulated: no provider is called, and the answers mean nothing.", target.id)


async def serve(options: GatewayOptions) -> None:
    """Runs the gateway until SIGINT or SIGTERM, then drains it; a second signal cuts that short.

    Raises StartRefused when it can't start and CutShort after a second signal.
    """
    rulebook, place = options.rulebook, options.place
    logging.getLogger("uvicorn").setLevel(logging.WARNING)
    listener = bind(options.host, options.port) if place is None else None
    link_for = _link_maker(rulebook, options.environment)
    if place is None or place.number == 0:
        announce(rulebook)
    admin_at = admin_socket(rulebook, options.environment, place)
    telemetry = Telemetry(rulebook.telemetry, options.environment)
    store = _store_of_limits(rulebook, options.environment)
    limits = None if place is None else SharedMemory(place.limits_fd, place.number)
    node = Node(rulebook, options.environment, options.data_dir, link_for, limits)
    if store is not None:
        _count_in(store, node)
    administration = Administration(node, admin_at, place, options.data_dir, options.environment)
    server = GatewayServer(node, administration.admin, place, options.supervised)
    node.on_retired = server.told_to_stop
    loop = asyncio.get_running_loop()

    def told_to_stop() -> None:
        # Held calls would keep the drain waiting for people: each is answered with its ticket.
        node.waiting_room.close()
        node.escalations.close()
        server.told_to_stop()

    terminal = Terminal()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, told_to_stop)
    node.reloader = _reloader(node, options)

    def hung_up() -> None:
        if terminal.gone or node.reloader is None:
            told_to_stop()
        else:
            node.reloader.ask("SIGHUP")

    loop.add_signal_handler(signal.SIGHUP, hung_up)
    serving = loop.create_task(server.serve(sockets=[] if listener is None else [listener]))
    sweeping = loop.create_task(server.close_idle())
    watching: asyncio.Task[None] | None = None
    try:
        await administration.start()
        telemetry.start(node)
        await node.start()
        calm_collector()
        server.accept()
        if node.ready:
            log.info("Gateway ready")
        if node.reloader is not None:
            watching = loop.create_task(node.reloader.watch())
        await serving
    finally:
        sweeping.cancel()
        if watching is not None:
            watching.cancel()
        server.should_exit = True
        await serving
        try:
            await _leave(node, server)
        finally:
            if node.meters.store is not None:
                await node.meters.store.stop()
            await administration.stop()
            await telemetry.stop()


def _store_of_limits(rulebook: Rulebook, environment: Mapping[str, str]) -> "StoreLink | None":
    """The way to the store in which several hosts count limits, if the rules name one. Raises StartRefused."""
    if rulebook.limits.store is None:
        return None
    # Most gateways have none, and its client takes room.
    from keeptrusts.gateway.store_link import NoStore, StoreLink

    try:
        return StoreLink(rulebook.limits.store, environment)
    except NoStore as trouble:
        raise StartRefused(str(trouble)) from None


def _count_in(store: "StoreLink", node: Node) -> None:
    from keeptrusts.gateway.limit_store import LimitStore

    node.meters.store = limits = LimitStore(lambda: node.rulebook.limits.nodes, store, node.meters)
    limits.start()


def _reloader(node: Node, options: GatewayOptions) -> Reloader | None:
    policy, place = options.policy, options.place
    if policy is None:
        return None
    node.config_version = config_version(policy.texts)
    # Of several workers the first one keeps what works.
    keeps = place is None or place.number == 0
    return Reloader(
        node, policy, options.environment, LastGood(options.data_dir, policy.files.names) if keeps else None
    )


async def _leave(node: Node, server: GatewayServer) -> None:
    stopping = asyncio.create_task(node.stop(all_ended=not server.server_state.tasks))
    hurried = asyncio.create_task(server.hurry.wait())
    await asyncio.wait({stopping, hurried}, return_when=asyncio.FIRST_COMPLETED)
    hurried.cancel()
    if server.hurry.is_set():
        stopping.cancel()
        await asyncio.wait({stopping})
        raise CutShort
    await stopping
    if node.retired:
        raise StartRefused("this node was retired by an operator; started again, the gateway is a new node")


def _link_maker(rulebook: Rulebook, environment: Mapping[str, str]) -> Callable[[], RemoteLink] | None:
    api = rulebook.api
    if api is None:
        return None
    url, token = api.url, environment.get(api.token_env)
    if not token:
        raise StartRefused(f"{api.token_env} is not set: the gateway needs it to register with {url}")
    return lambda: RemoteLink(url, token)
