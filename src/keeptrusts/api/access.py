"""Who asks, and whether this route is theirs: bearer tokens, compared in constant time, one permission per route."""

from collections.abc import Awaitable, Callable, Mapping
from hmac import compare_digest
from typing import Annotated, Literal

from fastapi import Depends, Request

from keeptrusts.api.errors import ApiError
from keeptrusts.control.access_keys import actor_of_access_key
from keeptrusts.control.context import Actor, Control
from keeptrusts.control.nodes import NODE_PREFIX, node_of_token
from keeptrusts.core.identity.gateway_key import ACCESS_PREFIX, GATEWAY_PREFIX, GROUP_PREFIX, key_digest

Permission = Literal["open", "operate", "machine"]
"""``open``: anybody; ``operate``: administrators; ``machine``: registered gateway nodes."""

GRANTED: Mapping[str, frozenset[Permission]] = {
    "admin": frozenset({"operate"}),
    "access_key": frozenset({"operate"}),
    "node": frozenset({"machine"}),
}
"""What each kind of actor may use beside the open routes."""

MAX_TOKEN = 512
CHALLENGE = {"www-authenticate": "Bearer"}


def the_control(request: Request) -> Control:
    """The control plane that this API serves."""
    control: Control = request.app.state.control
    return control


async def the_actor(request: Request) -> Actor:
    """Whoever sent the request. Raises ApiError 401 when nobody knows the token."""
    # Sent twice it is no token: whose word counts would be a guess.
    scheme, _, token = ", ".join(request.headers.getlist("authorization")).partition(" ")
    token = token.strip()
    if scheme.lower() != "bearer" or not token:
        raise _unknown("Send the API token as `Authorization: Bearer <token>`.", "missing_token")
    if len(token) > MAX_TOKEN or not token.isascii():
        raise _unknown("This token is not known here.", "invalid_token")
    control = the_control(request)
    if compare_digest(key_digest(control.pepper, token), control.admin_digest):
        return Actor("admin", "admin")
    if token.startswith((GATEWAY_PREFIX, GROUP_PREFIX)):
        raise ApiError(
            403,
            "permission_error",
            "gateway_key_has_no_rights",
            "A gateway key is for calls through the gateway; the API takes the admin token or an access key (kt_ak_).",
        )
    actor = None
    if token.startswith(NODE_PREFIX):
        actor = await node_of_token(control, token)
    elif token.startswith(ACCESS_PREFIX):
        actor = await actor_of_access_key(control, token)
    if actor is None:
        raise _unknown("This token is not known here, or it is revoked, suspended or expired.", "invalid_token")
    return actor


def permit(permission: Permission) -> Callable[..., Awaitable[None]]:
    """A dependency that lets only those through who hold ``permission``."""

    async def check(actor: TheActor) -> None:
        if permission not in GRANTED[actor.kind]:
            raise ApiError(403, "permission_error", "forbidden", f"This route needs the permission `{permission}`.")

    return check


def _unknown(message: str, code: str) -> ApiError:
    return ApiError(401, "authentication_error", code, message, headers=CHALLENGE)


TheControl = Annotated[Control, Depends(the_control)]
TheActor = Annotated[Actor, Depends(the_actor)]
