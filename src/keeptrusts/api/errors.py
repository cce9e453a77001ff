"""How the API says no: the gateway's envelope for every status, whoever found the fault, with the request's id."""

import logging
from collections.abc import Mapping
from typing import Any

import msgspec
from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect
from starlette.responses import Response

from keeptrusts.control.denial import Denial, DenialKind
from keeptrusts.store.contracts import StoreAway

log = logging.getLogger("keeptrusts::api")

RETRY_AFTER_S = 1

DENIALS: Mapping[DenialKind, tuple[int, str]] = {
    "invalid": (400, "invalid_request_error"),
    "not_found": (404, "not_found_error"),
    "conflict": (409, "conflict_error"),
}

STATUSES: Mapping[int, tuple[str, str, str]] = {
    400: ("invalid_request_error", "invalid_request", "The request could not be read."),
    404: ("not_found_error", "route_not_found", "There is nothing at this address: see /openapi.json."),
    405: ("invalid_request_error", "method_not_allowed", "This address does not take that method: see /openapi.json."),
    413: ("invalid_request_error", "body_too_large", "The request's body is too large."),
}
"""Type, code and message of statuses that the framework finds by itself."""

encode = msgspec.json.Encoder(decimal_format="number").encode


class ApiError(HTTPException):
    """An error that a door found: an HTTP status with everything the envelope needs."""

    def __init__(
        self,
        status: int,
        error_type: str,
        code: str,
        message: str,
        details: Mapping[str, Any] | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__(status, message, dict(headers or {}))
        self.error_type = error_type
        self.code = code
        self.details = details or {}


def bad_request(message: str, code: str = "invalid_request", **details: Any) -> ApiError:
    """400: what was sent can't be right."""
    return ApiError(400, "invalid_request_error", code, message, details)


def envelope(
    request: Request,
    status: int,
    error_type: str,
    code: str,
    message: str,
    details: Mapping[str, Any] | None = None,
    headers: Mapping[str, str] | None = None,
) -> Response:
    """The one shape of every error."""
    error: dict[str, Any] = {"message": message, "type": error_type, "code": code}
    if details:
        error["details"] = dict(details)
    error["request_id"] = request.scope.get("request_id", "")
    return Response(encode({"error": error}), status, dict(headers or {}), "application/json")


async def on_http(request: Request, error: Exception) -> Response:
    """Our own ApiError, or what the framework raises for unknown addresses and methods."""
    if isinstance(error, ApiError):
        return envelope(
            request,
            error.status_code,
            error.error_type,
            error.code,
            str(error.detail),
            error.details,
            error.headers,
        )
    assert isinstance(error, HTTPException)
    known = STATUSES.get(error.status_code, ("invalid_request_error", "invalid_request", str(error.detail)))
    return envelope(request, error.status_code, *known, headers=error.headers)


async def on_validation(request: Request, error: Exception) -> Response:
    """Everything that is wrong with a request, each thing with its place."""
    assert isinstance(error, RequestValidationError)
    problems = [_problem(found) for found in error.errors()]
    message = "; ".join(f"{problem['field']}: {problem['message']}" for problem in problems)
    return envelope(request, 400, "invalid_request_error", "invalid_request", message, {"problems": problems})


def _problem(found: Mapping[str, Any]) -> dict[str, str]:
    """The field and what is wrong with it; a rule over several fields names its field at the start of its sentence."""
    inner = [str(part) for part in found["loc"][1:]]
    says = _says(found)
    if not inner:
        field, named, rest = says.partition(": ")
        return {"field": field, "message": rest} if named else {"field": str(found["loc"][0]), "message": says}
    return {"field": ".".join(inner), "message": says}


def _says(found: Mapping[str, Any]) -> str:
    if found["type"] == "missing":
        return "is missing"
    if found["type"] == "extra_forbidden":
        return "is not a field of this request"
    return str(found["msg"]).removeprefix("Value error, ")


async def on_denial(request: Request, error: Exception) -> Response:
    """An operation said no."""
    assert isinstance(error, Denial)
    status, error_type = DENIALS[error.kind]
    return envelope(request, status, error_type, error.code, error.message, error.details)


async def on_store_away(request: Request, error: Exception) -> Response:
    """The store can't answer now."""
    log.warning("%s", error)
    headers = {"retry-after": str(RETRY_AFTER_S)}
    return envelope(request, 503, "service_unavailable", "store_unavailable", str(error), headers=headers)


async def on_gone(request: Request, error: Exception) -> Response:
    """The client went away in the middle of its request, as a killed gateway does: no fault of ours, and nobody reads this."""
    return envelope(request, 400, *STATUSES[400])


async def on_anything(request: Request, error: Exception) -> Response:
    """A fault of ours: the log has the trace (the server's own) and the request's id, which the caller has too."""
    asked = {"request_id": request.scope.get("request_id"), "method": request.method, "path": request.url.path}
    log.error("A request failed: %s", type(error).__name__, extra=asked)
    message = "Something went wrong here; the log of the API has it under this request id."
    return envelope(request, 500, "internal_error", "internal_error", message)


def install(app: FastAPI) -> None:
    """Makes ``app`` answer every error this way."""
    app.add_exception_handler(HTTPException, on_http)
    app.add_exception_handler(RequestValidationError, on_validation)
    app.add_exception_handler(Denial, on_denial)
    app.add_exception_handler(StoreAway, on_store_away)
    app.add_exception_handler(ClientDisconnect, on_gone)
    app.add_exception_handler(Exception, on_anything)
