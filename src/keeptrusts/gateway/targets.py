"""The rulebook's targets, ready to send to: each with its origin, its secret in the request head, and nothing else."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from typing import Protocol

from keeptrusts.core.routing.rules import Routing
from keeptrusts.core.routing.target import Target
from keeptrusts.gateway.exchange import Exchange
from keeptrusts.gateway.journal import Journal
from keeptrusts.gateway.sign_in import SignIn, base_url_of, has_secret, path_of, sign_in_of
from keeptrusts.gateway.simulation import SimulatedTarget
from keeptrusts.gateway.target_state import TargetState
from keeptrusts.gateway.upstream import Origin

EVENT_STREAMS = "text/event-stream, application/vnd.amazon.eventstream"
MAX_PATHS = 1_000
JSON = "application/json"
ID_HEADERS = {"anthropic": b"request-id", "bedrock": b"x-amzn-requestid", "azure": b"apim-request-id"}
"""Where a provider says what it calls a request, for its support; elsewhere as OpenAI does."""


class Answer(Protocol):
    """An answer on its way, from a socket or from the simulated provider. ``given_id`` is what the provider calls the request;
    ``waited_ns`` how long it took, once it is over."""

    status: int
    headers: dict[bytes, bytes]
    sent: bool
    given_id: bytes
    waited_ns: int

    async def head(self) -> None:
        """Waits for status and headers."""

    def whole(self) -> Awaitable[bytes]:
        """The complete body, to wait for."""

    async def read(self) -> bytes:
        """The next bytes of the body; empty at its end."""

    def pour(self, outlet: Callable[[bytes], bool]) -> None:
        """``outlet`` may get bytes as they arrive, until it says False: what it got, ``read`` does not give."""

    def abandon(self) -> None:
        """Nobody wants the rest."""


class ReadyTarget(Protocol):
    """A target that can be called. ``state`` is what is known of it; who sends tells it when the attempt ends."""

    @property
    def state(self) -> TargetState:
        """How it has done so far."""

    def send(
        self,
        path: str,
        lines: bytes,
        body: bytes,
        request_id: bytes,
        whole: bool,
        journal: Journal,
        content_type: str = JSON,
    ) -> Answer:
        """Sends a request as soon as the journal holds what was appended to it. What fails, fails the answer.

        ``path`` is below the target's base URL; ``lines`` are further header lines, each ended by CRLF.
        """

    def retire(self) -> None:
        """Calls that have it may use it still; nothing is kept for others."""

    def close(self) -> None:
        """Lets go of its connections."""


class HttpTarget:
    """A provider over HTTP."""

    def __init__(self, target: Target, base_url: str, sign_in: SignIn, state: TargetState) -> None:
        self.state = state
        base_url, self._path_of = path_of(target, base_url)
        self._origin = Origin(
            base_url,
            connect_timeout_s=target.connect_timeout_s,
            first_byte_timeout_s=target.first_byte_timeout_s,
            idle_timeout_s=target.idle_timeout_s,
            total_timeout_s=target.total_timeout_s,
            id_header=ID_HEADERS.get(target.provider, b"x-request-id"),
        )
        self._fixed_lines = sign_in.fixed
        state.key = sign_in.key.encode()
        self._sign = sign_in.sign
        self._connecting: set[asyncio.Task[None]] = set()
        self._heads: dict[str, bytes] = {}

    def send(
        self,
        path: str,
        lines: bytes,
        body: bytes,
        request_id: bytes,
        whole: bool,
        journal: Journal,
        content_type: str = JSON,
    ) -> Answer:
        """See ReadyTarget."""
        head = self._heads.get(path) if content_type == JSON else self._head(path, content_type)
        if head is None:
            head = self._kept_head(path)
        if self._sign is not None:
            lines += self._sign(self._origin.host_header, self._origin.path + path, body)
        head = b"%b%b\r\n%bcontent-length: %d\r\n\r\n" % (head, request_id, lines, len(body))
        exchange = Exchange((head, body), whole)
        connection = self._origin.idle_connection()
        if connection is not None:
            journal.then(connection.start, exchange, exchange.fail)
        else:
            task = asyncio.get_running_loop().create_task(self._connect_and_send(exchange, journal))
            self._connecting.add(task)
            task.add_done_callback(self._connecting.discard)
        return exchange

    def _head(self, path: str, content_type: str) -> bytes:
        """Everything of the request's head that its path decides, up to the request's id."""
        if self._path_of is not None:
            path = self._path_of(path)
        lines = [f"POST {self._origin.path}{path} HTTP/1.1", f"host: {self._origin.host_header}", *self._fixed_lines]
        lines += [f"content-type: {content_type}", f"accept: application/json, {EVENT_STREAMS}"]
        return ("\r\n".join(lines) + "\r\nx-request-id: ").encode("latin-1")

    def _kept_head(self, path: str) -> bytes:
        if len(self._heads) >= MAX_PATHS:
            self._heads.clear()
        head = self._heads[path] = self._head(path, JSON)
        return head

    async def _connect_and_send(self, exchange: Exchange, journal: Journal) -> None:
        try:
            connection = await self._origin.connection()
        except Exception as failure:
            exchange.fail(failure)
        else:
            journal.then(connection.start, exchange, exchange.fail)

    def retire(self) -> None:
        """See ReadyTarget."""
        self._origin.retire()

    def close(self) -> None:
        """See ReadyTarget."""
        self._origin.close()


def usable_targets(targets: tuple[Target, ...], environment: Mapping[str, str]) -> tuple[Target, ...]:
    """The targets whose secret, if they need one, is in the environment."""
    return tuple(t for t in targets if has_secret(t, environment))


def ready_targets(
    targets: tuple[Target, ...], environment: Mapping[str, str], routing: Routing
) -> dict[str, ReadyTarget]:
    """Each usable target by its id."""
    ready: dict[str, ReadyTarget] = {}
    for target in targets:
        state = TargetState(target.id, routing)
        if target.provider == "simulated":
            ready[target.id] = SimulatedTarget(target, state)
        else:
            base_url, sign_in = base_url_of(target, environment), sign_in_of(target, environment)
            ready[target.id] = HttpTarget(target, base_url, sign_in, state)
    return ready
