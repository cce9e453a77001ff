"""What operators ask a gateway, as one table: its health, its metrics, its configuration. Only the API token, or a private socket, opens it.

Workers that share a port are nodes of their own, and whichever is asked answers for all: it asks the others for their part.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Mapping
from typing import Any

import msgspec
from msgspec import Struct

from keeptrusts.core.refusal import Reason, Refused
from keeptrusts.gateway.admin_access import Access
from keeptrusts.gateway.client import Client
from keeptrusts.gateway.config_endpoints import config_part, reload_part
from keeptrusts.gateway.health import health_part, write_health
from keeptrusts.gateway.metrics import metrics_part, write_metrics
from keeptrusts.gateway.node import Node
from keeptrusts.gateway.provider_figures import providers_part
from keeptrusts.gateway.refusals import JSON_LINE
from keeptrusts.gateway.request_body import read_body
from keeptrusts.gateway.siblings import Siblings

log = logging.getLogger("keeptrusts::gateway")

MAX_BODY_BYTES = 64 * 1024

Parts = Mapping[str, Any]
"""What each worker said, by its number; None: it did not answer in time. A gateway of one process has one part, ``""``."""

Written = tuple[int, bytes, bytes]
"""Status, header lines, body."""

_encode = msgspec.json.Encoder().encode


def as_json(parts: Parts) -> Written:
    """The part of a gateway of one process as it is; those of workers under their numbers."""
    return 200, JSON_LINE, _encode(parts.get("", {"workers": parts}))


class AdminEndpoint(Struct, frozen=True):
    """``part`` is what one process has to say to a request with this body, as a value that JSON can hold, or a Refused.
    ``written`` makes the answer of the parts of all."""

    part: Callable[[Node, bytes], Awaitable[Any]]
    written: Callable[[Parts], Written] = as_json


ADMIN_ENDPOINTS: Mapping[str, Mapping[str, AdminEndpoint]] = {
    "/health": {"GET": AdminEndpoint(health_part, write_health)},
    "/keeptrusts/config": {"GET": AdminEndpoint(config_part)},
    "/keeptrusts/config/reload": {"POST": AdminEndpoint(reload_part)},
    "/metrics": {"GET": AdminEndpoint(metrics_part, write_metrics)},
    "/keeptrusts/providers/metrics": {"GET": AdminEndpoint(providers_part)},
}
"""By path and method. On the data port they need the API token; on the admin listener see ``admin_listener.py``."""


class Admin:
    """Answers the table's requests for one node, and asks its siblings where there are any."""

    def __init__(self, node: Node, access: Access, siblings: Siblings | None = None) -> None:
        self._node = node
        self._access = access
        self._siblings = siblings

    async def serve(self, client: Client, method: str, path: str, trusted: bool = False) -> None:
        """Answers one request. ``trusted``: it came by a way that is open to operators alone."""
        try:
            if not trusted:
                self._access.check(client.headers)
            endpoint = _endpoint(method, path)
            body = client.complete_body()
            if body is None:
                body = await read_body(client, MAX_BODY_BYTES)
            parts = await self._parts(endpoint, method, path, body)
            # In a thread: a scrape of many models and teams takes longer than a call should wait for.
            status, lines, content = await asyncio.to_thread(endpoint.written, parts)
        except Refused as refused:
            await client.refuse(refused)
        except Exception as error:
            log.error("%s %s failed: %s: %s", method, path, type(error).__name__, error)
            await client.refuse(Refused(Reason.INTERNAL, "The gateway failed to answer; its log says why."))
        else:
            await client.whole(status, lines, content)

    async def _parts(self, endpoint: AdminEndpoint, method: str, path: str, body: bytes) -> Parts:
        if self._siblings is None:
            return {"": await endpoint.part(self._node, body)}
        own = self._siblings.name
        parts = {own: await endpoint.part(self._node, body)}
        parts |= await self._siblings.ask(method, path, body)
        return {name: parts[name] for name in sorted(parts, key=int)}

    async def part(self, method: str, path: str, body: bytes) -> Any:
        """This process's part, for a sibling that was asked. Raises Refused."""
        return await _endpoint(method, path).part(self._node, body)


def _endpoint(method: str, path: str) -> AdminEndpoint:
    methods = ADMIN_ENDPOINTS.get(path)
    if methods is None:
        raise Refused(Reason.ROUTE_NOT_FOUND, f"There is no {path} here. Known are: {', '.join(ADMIN_ENDPOINTS)}.")
    endpoint = methods.get(method)
    if endpoint is None:
        raise Refused(Reason.METHOD_NOT_ALLOWED, f"{path} takes {', '.join(methods)}, not {method}.")
    return endpoint
