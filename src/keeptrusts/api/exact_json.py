"""JSON with exact numbers: bodies are JSON whatever their Content-Type says, and money never passes through a float."""

from collections.abc import Callable, Coroutine
from decimal import Decimal
from typing import Any

import msgspec
from fastapi import Request
from fastapi.routing import APIRoute
from pydantic import BaseModel
from starlette.responses import Response

from keeptrusts.api.errors import ApiError, bad_request, encode
from keeptrusts.control.retrying import undone
from keeptrusts.store.contracts import StoreConflict

MAX_BODY_BYTES = 1024 * 1024
JSON_TYPE = (b"content-type", b"application/json")

_decode = msgspec.json.Decoder(float_hook=Decimal).decode


async def read_body(request: Request, limit_bytes: int) -> bytes:
    """The whole body. Raises ApiError 413 as soon as it is over the limit."""
    parts, size = [], 0
    async for part in request.stream():
        size += len(part)
        if size > limit_bytes:
            raise ApiError(
                413, "invalid_request_error", "body_too_large", f"The body is over {limit_bytes} bytes.", None
            )
        parts.append(part)
    return b"".join(parts)


class ExactRequest(Request):
    """A request whose numbers with a point arrive as Decimal."""

    async def body(self) -> bytes:
        """The body, within ``MAX_BODY_BYTES``."""
        if not hasattr(self, "_body"):
            self._body = await read_body(self, MAX_BODY_BYTES)
        return self._body

    @property
    def can_be_read_again(self) -> bool:
        """Whether the body was not asked for yet, or is kept."""
        return not self._stream_consumed or hasattr(self, "_body")

    async def json(self) -> Any:
        """The body as JSON. Raises ApiError for anything else."""
        try:
            return _decode(await self.body())
        except (msgspec.DecodeError, RecursionError, UnicodeDecodeError) as error:
            raise bad_request(f"The body is not JSON: {error}", "invalid_json") from None


class ExactRoute(APIRoute):
    """A route that takes every body for JSON: curl's ``-d`` calls it a form when nobody says otherwise.

    What another writer on a shared store was faster than is done again: nothing of it happened, and the caller need not know.
    """

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        """See APIRoute."""
        inner = super().get_route_handler()

        async def handle(request: Request) -> Response:
            scope = dict(request.scope)
            scope["headers"] = [pair for pair in scope["headers"] if pair[0] != b"content-type"] + [JSON_TYPE]
            exact = ExactRequest(scope, request.receive)
            try:
                return await inner(exact)
            except StoreConflict:
                if not exact.can_be_read_again:
                    raise
                return await undone(lambda: inner(exact))

        return handle


def answer(value: BaseModel | list[Any] | dict[str, Any], status: int = 200) -> Response:
    """The answer as JSON; amounts as plain exact numbers."""
    if isinstance(value, BaseModel):
        value = value.model_dump()
    return Response(encode(_plain(value)), status, media_type="application/json")


def _plain(value: Any) -> Any:
    """Amounts digit by digit (``0.000000001``): the encoder's own form of a small Decimal has an exponent."""
    match value:
        case Decimal():
            return msgspec.Raw(format(value, "f").encode())
        case dict():
            return {name: _plain(inner) for name, inner in value.items()}
        case list():
            return [_plain(inner) for inner in value]
        case _:
            return value
