"""Services of the user's own that judge calls and answers: asked over HTTP, once for each policy and phase of a call."""

import asyncio
from collections.abc import Callable, Mapping
from typing import Any, TypeVar, cast
from urllib.parse import urlsplit

from msgspec import Struct

from keeptrusts.core.policies.external import ANSWER_BYTES_MAX, Answer, Question, Settings, read_answer, write_question
from keeptrusts.gateway.exchange import Exchange, UpstreamFailed
from keeptrusts.gateway.upstream import Origin

Made = TypeVar("Made")
Compiled = TypeVar("Compiled")


class ServiceFailed(Exception):
    """The service did not judge, and why: one line without anything that was sent to it."""


class Service(Struct, frozen=True, eq=False):
    """One policy's service, ready to be asked."""

    settings: Settings
    origin: Origin
    path: str
    secret: str | None

    async def ask(self, question: Question) -> Answer:
        """What it says. Raises ServiceFailed."""
        settings = self.settings
        if settings.secret_env is not None and not self.secret:
            raise ServiceFailed(f"{settings.secret_env} is not set")
        body = write_question(question)
        if len(body) > settings.max_bytes:
            raise ServiceFailed(f"the texts are longer than its max_bytes, {settings.max_bytes}")
        exchange = Exchange((self._head(len(body), question.request_id), body), True)
        try:
            async with asyncio.timeout(settings.timeout_ms / 1000):
                (await self.origin.connection()).start(exchange)
                content = await exchange.whole()
        except TimeoutError:
            raise ServiceFailed(f"no answer within {settings.timeout_ms} ms") from None
        except UpstreamFailed as failure:
            raise ServiceFailed(str(failure)) from None
        finally:
            if not exchange.over:
                exchange.abandon()
        if exchange.status != 200:
            raise ServiceFailed(f"it answered with status {exchange.status}")
        if len(content) > ANSWER_BYTES_MAX:
            raise ServiceFailed(f"its answer is larger than {ANSWER_BYTES_MAX} bytes")
        try:
            return read_answer(content, len(question.texts))
        except ValueError as error:
            raise ServiceFailed(str(error)) from None

    def _head(self, length: int, request_id: str) -> bytes:
        lines = [f"POST {self.path} HTTP/1.1", f"host: {self.origin.host_header}", "content-type: application/json"]
        lines += ["accept: application/json", f"x-request-id: {request_id}", f"content-length: {length}"]
        if self.secret:
            lines.append(f"authorization: Bearer {self.secret}")
        return ("\r\n".join(lines) + "\r\n\r\n").encode("latin-1", "replace")


MOST_REMEMBERED = 64


class Services:
    """The connections to all services. They outlive an edition, and end with the gateway; and so do compiled policies, which
    take a while to make."""

    def __init__(self) -> None:
        self._compiled: list[tuple[Any, Any]] = []
        self._origins: dict[tuple[str, float], Origin] = {}

    def service(self, settings: Settings, environment: Mapping[str, str]) -> Service:
        """The service of these settings."""
        parts = urlsplit(settings.url)
        base, seconds = f"{parts.scheme}://{parts.netloc}", settings.timeout_ms / 1000
        origin = self._origins.get((base, seconds))
        if origin is None:
            origin = Origin(base, connect_timeout_s=seconds, first_byte_timeout_s=seconds, idle_timeout_s=seconds)
            self._origins[base, seconds] = origin
        secret = None if settings.secret_env is None else environment.get(settings.secret_env, "")
        if secret is not None and not secret.isprintable():
            secret = ""
        return Service(settings, origin, parts.path or "/", secret)

    def compiled(self, policies: Made, make: Callable[[Made], Compiled]) -> Compiled:
        """What was made of equal policies before, or is made of these now."""
        for known, made in self._compiled:
            if known == policies:
                return cast(Compiled, made)
        made = make(policies)
        self._compiled = [*self._compiled[-MOST_REMEMBERED:], (policies, made)]
        return made

    def close(self) -> None:
        """Lets go of the connections."""
        for origin in self._origins.values():
            origin.close()
