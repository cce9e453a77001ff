"""The rulebook's targets, ready to send to: each with its origin, its secret in the request head, and nothing else."""

import asyncio
from collections.abc import Awaitable, Mapping
from typing import Protocol

from keeptrusts.core.providers.openai import CHAT_PATH, VENDOR_BASE_URL
from keeptrusts.core.routing.target import Target
from keeptrusts.gateway.exchange import Exchange
from keeptrusts.gateway.journal import Journal
from keeptrusts.gateway.simulation import SimulatedTarget
from keeptrusts.gateway.upstream import Origin

BASE_URL_VARIABLE = "OPENAI_BASE_URL"


class Answer(Protocol):
    """An answer on its way, from a socket or from the simulated provider."""

    status: int
    headers: dict[bytes, bytes]
    sent: bool

    async def head(self) -> None:
        """Waits for status and headers."""

    def whole(self) -> Awaitable[bytes]:
        """The complete body, to wait for."""

    async def read(self) -> bytes:
        """The next bytes of the body; empty at its end."""

    def abandon(self) -> None:
        """Nobody wants the rest."""


class ReadyTarget(Protocol):
    """A target that can be called."""

    def send(self, body: bytes, request_id: bytes, whole: bool, journal: Journal) -> Answer:
        """Sends a chat request as soon as the journal holds what was appended to it. What fails, fails the answer."""

    def close(self) -> None:
        """Lets go of its connections."""


class HttpTarget:
    """A provider over HTTP, in the OpenAI dialect."""

    def __init__(self, target: Target, base_url: str, secret: str | None) -> None:
        self._origin = Origin(
            base_url,
            connect_timeout_s=target.connect_timeout_s,
            first_byte_timeout_s=target.first_byte_timeout_s,
            idle_timeout_s=target.idle_timeout_s,
        )
        lines = [f"POST {self._origin.path}{CHAT_PATH} HTTP/1.1", f"host: {self._origin.host_header}"]
        if secret is not None:
            lines.append(f"authorization: Bearer {secret}")
        lines += ["content-type: application/json", "accept: application/json, text/event-stream"]
        self._connecting: set[asyncio.Task[None]] = set()
        self._head = ("\r\n".join(lines) + "\r\nx-request-id: ").encode("latin-1")

    def send(self, body: bytes, request_id: bytes, whole: bool, journal: Journal) -> Answer:
        """See ReadyTarget."""
        head = b"%b%b\r\ncontent-length: %d\r\n\r\n" % (self._head, request_id, len(body))
        exchange = Exchange((head, body), whole)
        connection = self._origin.idle_connection()
        if connection is not None:
            journal.then(connection.start, exchange, exchange.fail)
        else:
            task = asyncio.get_running_loop().create_task(self._connect_and_send(exchange, journal))
            self._connecting.add(task)
            task.add_done_callback(self._connecting.discard)
        return exchange

    async def _connect_and_send(self, exchange: Exchange, journal: Journal) -> None:
        try:
            connection = await self._origin.connection()
        except Exception as failure:
            exchange.fail(failure)
        else:
            journal.then(connection.start, exchange, exchange.fail)

    def close(self) -> None:
        """See ReadyTarget."""
        self._origin.close()


def base_url_of(target: Target, environment: Mapping[str, str]) -> str:
    """Where the target answers: its own base URL, the environment's, else the vendor's."""
    return (target.base_url or environment.get(BASE_URL_VARIABLE) or VENDOR_BASE_URL).rstrip("/")


def usable_targets(targets: tuple[Target, ...], environment: Mapping[str, str]) -> tuple[Target, ...]:
    """The targets whose secret, if they need one, is in the environment."""
    return tuple(t for t in targets if t.secret_env is None or environment.get(t.secret_env))


def ready_targets(targets: tuple[Target, ...], environment: Mapping[str, str]) -> dict[str, ReadyTarget]:
    """Each usable target by its id."""
    ready: dict[str, ReadyTarget] = {}
    for target in targets:
        if target.provider == "simulated":
            ready[target.id] = SimulatedTarget(target)
        else:
            secret = environment.get(target.secret_env) if target.secret_env else None
            ready[target.id] = HttpTarget(target, base_url_of(target, environment), secret)
    return ready
