"""Speaks HTTP to an ASGI application without a socket: exact JSON in and out."""

import asyncio
import json
from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import Any
from urllib.parse import urlencode


@dataclass(frozen=True, slots=True)
class Answer:
    """``text`` is the body as sent, for tests about digits."""

    status: int
    headers: Mapping[str, str]
    text: str

    @property
    def json(self) -> Any:
        return json.loads(self.text, parse_float=Decimal)

    @property
    def code(self) -> str:
        return str(self.json["error"]["code"])


class Caller:
    """One caller with one token (None: nobody)."""

    def __init__(self, app: Any, token: str | None) -> None:
        self._app = app
        self._token = token

    async def get(self, path: str, **query: Any) -> Answer:
        return await self.send("GET", path, b"", query=query)

    async def post(self, path: str, body: Any = None) -> Answer:
        return await self.send("POST", path, _bytes(body))

    async def patch(self, path: str, body: Any = None) -> Answer:
        return await self.send("PATCH", path, _bytes(body))

    async def delete(self, path: str) -> Answer:
        return await self.send("DELETE", path, b"")

    async def send(
        self,
        method: str,
        path: str,
        body: bytes,
        headers: Mapping[str, str] | None = None,
        query: Mapping[str, Any] | None = None,
        breaks_off: bool = False,
    ) -> Answer:
        head = {"content-type": "application/x-www-form-urlencoded", **(headers or {})}
        if self._token is not None:
            head["authorization"] = f"Bearer {self._token}"
        scope = {
            "type": "http",
            "asgi": {"version": "3.0"},
            "http_version": "1.1",
            "method": method,
            "scheme": "http",
            "path": path,
            "raw_path": path.encode(),
            "root_path": "",
            "query_string": urlencode(query or {}).encode(),
            "headers": [(name.lower().encode(), value.encode()) for name, value in head.items()],
            "client": ("127.0.0.1", 1),
            "server": ("127.0.0.1", 8080),
            "state": {},
        }
        incoming: list[dict[str, Any]] = [{"type": "http.request", "body": body, "more_body": breaks_off}]
        if breaks_off:
            incoming.append({"type": "http.disconnect"})
        status, answered, parts = 0, {}, []

        async def receive() -> Any:
            if not incoming:
                await asyncio.Event().wait()  # this client never hangs up
            return incoming.pop(0)

        async def send(message: Any) -> None:
            nonlocal status, answered
            if message["type"] == "http.response.start":
                status = message["status"]
                answered = {name.decode(): value.decode() for name, value in message["headers"]}
            else:
                parts.append(message.get("body", b""))

        await self._app(scope, receive, send)
        return Answer(status, answered, b"".join(parts).decode())


def _bytes(body: Any) -> bytes:
    return body if isinstance(body, bytes) else b"" if body is None else json.dumps(body).encode()
