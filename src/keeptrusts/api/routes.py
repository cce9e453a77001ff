"""Every route of the API, in one list: address, who may use it, and what it answers."""

from collections.abc import Callable
from typing import Any

from msgspec import Struct
from pydantic import BaseModel

from keeptrusts.api.access import Permission
from keeptrusts.api.resources import gateway, health


class Route(Struct, frozen=True):
    """``shape`` documents the answer; None leaves the route out of ``/openapi.json``."""

    method: str
    path: str
    endpoint: Callable[..., Any]
    permission: Permission
    shape: type[BaseModel] | Any | None = None
    status: int = 200


ROUTES: tuple[Route, ...] = (
    Route("GET", "/healthz", health.healthz, "open"),
    Route("GET", "/readyz", health.readyz, "open"),
    Route("POST", "/v1/gateway/register", gateway.register, "operate"),
    Route("GET", "/v1/gateway/snapshot", gateway.snapshot, "machine"),
    Route("POST", "/v1/gateway/heartbeat", gateway.heartbeat, "machine"),
    Route("POST", "/v1/gateway/leases", gateway.grant, "machine"),
    Route("POST", "/v1/gateway/batches", gateway.ship, "machine"),
)
