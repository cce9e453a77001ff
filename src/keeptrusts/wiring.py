"""The composition root: one function per process builds it from what it needs, runs it, and returns when it is told to stop."""

import asyncio
import contextlib
import logging
import signal
import socket
from collections.abc import Coroutine, Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

import uvloop

from keeptrusts.collector import calm_collector
from keeptrusts.core.rulebook.rulebook import Rulebook
from keeptrusts.gateway.acceptor import Place
from keeptrusts.gateway.policy_files import StartPolicy
from keeptrusts.logs import BadLogSettings, start_logging
from keeptrusts.settings import Settings

API_KEEP_ALIVE_S = 75
API_GRACE_S = 5


class CannotStart(Exception):
    """A process cannot do its work; the message is one line that says why and what to do."""


class CutShort(Exception):
    """A process was told to stop twice, and left without putting things in order; the message says what follows."""


def run_api(listener: socket.socket, data_dir: Path, settings: Settings, environment: Mapping[str, str]) -> None:
    """Runs the API on a bound socket until SIGTERM or SIGINT. ``environment`` says how it logs. Raises CannotStart."""
    from keeptrusts.store.contracts import StoreAway
    from keeptrusts.store.data_dir import DataDirUnusable
    from keeptrusts.store.migrate import UnknownSchema
    from keeptrusts.store.postgres import DatabaseUrlInvalid

    _log(environment)
    try:
        _run(_serve_api(listener, data_dir, settings))
    except (DataDirUnusable, DatabaseUrlInvalid, UnknownSchema, StoreAway) as trouble:
        raise CannotStart(str(trouble)) from None


def run_gateway(
    rulebook: Rulebook,
    host: str,
    port: int,
    data_dir: Path,
    environment: Mapping[str, str],
    place: Place | None = None,
    supervised: bool = False,
    policy: StartPolicy | None = None,
) -> None:
    """Runs a gateway until SIGTERM or SIGINT. ``environment`` holds the providers' secrets and the API's token.

    ``policy`` is where the rulebook is from: on SIGHUP, and when the files change, it is read again.

    ``place``: it is a worker that serves a port together with others. ``supervised``: a second signal says nothing new.
    Raises CannotStart, and CutShort for a gateway that was told to stop twice.
    """
    from keeptrusts.gateway.node import StartRefused
    from keeptrusts.gateway.server import CutShort as LeftAtOnce
    from keeptrusts.gateway.server import GatewayOptions, serve

    _log(environment, (group.api_key for group in rulebook.groups if group.api_key is not None))
    try:
        _run(serve(GatewayOptions(rulebook, host, port, data_dir, environment, place, supervised, policy)))
    except StartRefused as trouble:
        raise CannotStart(str(trouble)) from None
    except LeftAtOnce:
        raise CutShort(
            "stopped at once: what was under way is recovered by the next gateway that starts here"
        ) from None


async def _serve_api(listener: socket.socket, data_dir: Path, settings: Settings) -> None:
    import uvicorn

    from keeptrusts.api.app import create_app
    from keeptrusts.control.opening import open_control
    from keeptrusts.gateway.parsed_http import ParsedConnection
    from keeptrusts.store.postgres import told_without_password
    from keeptrusts.workers.schedule import running_workers

    class Server(uvicorn.Server):
        """uvicorn, with its signals left to us: it would raise them again before the store is closed."""

        @contextlib.contextmanager
        def capture_signals(self) -> Iterator[None]:
            yield

    url = settings.database_url
    opening = open_control(
        data_dir,
        settings.api_token,
        database_url=url,
        key_pepper=settings.key_pepper,
        strict_teams=settings.strict_teams,
    )
    async with opening as control, running_workers(control):
        config = uvicorn.Config(
            create_app(control),
            http=ParsedConnection,
            ws="none",
            lifespan="off",
            log_config=None,
            access_log=False,
            server_header=False,
            proxy_headers=False,
            timeout_keep_alive=API_KEEP_ALIVE_S,
            timeout_graceful_shutdown=API_GRACE_S,
        )
        server = Server(config)
        loop = asyncio.get_running_loop()
        for number in (signal.SIGINT, signal.SIGTERM):
            loop.add_signal_handler(number, setattr, server, "should_exit", True)
        host, port = listener.getsockname()[:2]
        logging.getLogger("keeptrusts::api").info("API on %s port %d, data in %s", host, port, data_dir)
        if url is not None:
            logging.getLogger("keeptrusts::api").info("Ledger in %s", told_without_password(url))
        calm_collector()
        await server.serve(sockets=[listener])


def _run(work: Coroutine[Any, Any, None]) -> None:
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(work)


def _log(environ: Mapping[str, str], secrets: Iterable[str] = ()) -> None:
    try:
        start_logging(environ, secrets)
    except BadLogSettings as bad:
        raise CannotStart(str(bad)) from None
