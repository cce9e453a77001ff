"""The gateway's doors, as one table: path and method to handler. A bare ASGI application; nothing stands in between."""

from collections.abc import Awaitable, Callable, Mapping
from functools import partial
from typing import Any

import msgspec

from keeptrusts.core.calls.messages import parse_messages
from keeptrusts.core.dialects.anthropic import write_count
from keeptrusts.core.refusal import Reason, Refused
from keeptrusts.gateway.admin import ADMIN_ENDPOINTS, Admin
from keeptrusts.gateway.attributing import attribute
from keeptrusts.gateway.azure_doors import PREFIX as AZURE
from keeptrusts.gateway.azure_doors import deployment_door, plain_path, take_key
from keeptrusts.gateway.client import ANTHROPICS_ID_FORM, Client
from keeptrusts.gateway.doors import DOORS, MESSAGES, anthropic_body
from keeptrusts.gateway.identify import identify
from keeptrusts.gateway.life_of_a_call import serve
from keeptrusts.gateway.limiting import admit
from keeptrusts.gateway.node import Node
from keeptrusts.gateway.refusals import JSON_LINE
from keeptrusts.gateway.request_body import read_body, refuse_unreadable
from keeptrusts.gateway.token_count import counted_input

Handler = Callable[[Node, Client], Awaitable[None]]

_encode = msgspec.json.Encoder().encode


async def list_models(node: Node, client: Client) -> None:
    """``GET /v1/models``: the models that this key may use, in OpenAI's shape."""
    try:
        edition = node.edition()
        caller, refusal = identify(edition.callers, client)
    except Refused as refused:
        await client.refuse(node.count_unknown(refused, client))
        return
    if refusal is not None:
        await client.refuse(refusal)
        return
    data = [
        {"id": model, "object": "model", "created": 0, "owned_by": owner} for model, owner in edition.models_for(caller)
    ]
    await client.whole(200, JSON_LINE, _encode({"object": "list", "data": data}))


async def count_tokens(node: Node, client: Client) -> None:
    """``POST /v1/messages/count_tokens``: about how many tokens the prompt has, by our own count: no provider is asked."""
    client.refusal, client.id_form = anthropic_body, ANTHROPICS_ID_FORM
    client.name_request(client.request_id)
    try:
        edition = node.edition()
        caller, refusal = identify(edition.callers, client)
        if refusal is not None:
            raise refusal.again()
        bound = edition.rulebook.max_body_bytes
        refuse_unreadable(client.headers, bound)
        body = client.complete_body()
        request = parse_messages(await read_body(client, bound) if body is None else body, counting=True)
        if caller.additions is not None:
            caller = attribute(edition.callers, caller, caller.additions, client.headers, request)
        gate = edition.gate(edition.lane(caller, request.model), caller, client)
        if node.meters.store is None:
            admit(gate, request, 0, node.now_s()).leave(0, node.now_s())
        else:
            (await node.meters.store.admit(gate, request, 0, node.now_s())).leave(0, node.now_s())
    except Refused as refused:
        await client.refuse(refused)
        return
    await client.whole(200, JSON_LINE, write_count(counted_input(request)))


async def healthz(node: Node, client: Client) -> None:
    """The process is alive."""
    del node
    await client.whole(200, JSON_LINE, b'{"status":"ok"}')


async def readyz(node: Node, client: Client) -> None:
    """Calls are served."""
    status, text = (200, b'{"status":"ready"}') if node.ready else (503, b'{"status":"not ready"}')
    await client.whole(status, JSON_LINE, text)


async def serve_messages(node: Node, client: Client) -> None:
    """``POST /v1/messages``, whose clients know a request's id by another name too."""
    client.id_form = ANTHROPICS_ID_FORM
    await serve(node, client, MESSAGES)


CALLS_A_PROVIDER: Mapping[str, Handler] = {
    **{path: partial(serve, door=door) for path, door in DOORS.items()},
    "/v1/messages": serve_messages,
}
"""What can cost money: each goes the whole way of ``life_of_a_call.py``."""

ROUTES: Mapping[str, Mapping[str, Handler]] = {
    **{path: {"POST": handler} for path, handler in CALLS_A_PROVIDER.items()},
    "/v1/messages/count_tokens": {"POST": count_tokens},
    "/v1/models": {"GET": list_models},
    "/healthz": {"GET": healthz},
    "/readyz": {"GET": readyz},
}


def application(node: Node, admin: Admin) -> Callable[[dict[str, Any], Any, Any], Awaitable[None]]:
    """The ASGI application of one node. What ``admin`` answers needs the API token here."""
    routes = ROUTES

    async def app(scope: dict[str, Any], receive: Any, send: Any) -> None:
        client = Client.of_asgi(scope, receive, send)
        client.name_request(node.new_request_id())
        methods = routes.get(scope["path"])
        if methods is None and scope["path"].startswith(AZURE):
            take_key(client.headers)
            methods = _at_azures_address(scope["path"])
        handler = None if methods is None else methods.get(scope["method"])
        if handler is not None:
            await handler(node, client)
        elif scope["path"] in ADMIN_ENDPOINTS:
            await admin.serve(client, scope["method"], scope["path"])
        else:
            await client.refuse(_no_such(scope, methods))

    return app


def _at_azures_address(path: str) -> Mapping[str, Handler] | None:
    door = deployment_door(path)
    return ROUTES.get(plain_path(path) or "") if door is None else {"POST": partial(serve, door=door)}


def _no_such(scope: dict[str, Any], methods: Mapping[str, Handler] | None) -> Refused:
    if methods is None:
        return Refused(Reason.ROUTE_NOT_FOUND, f"There is no {scope['path']} here. Known are: {', '.join(ROUTES)}.")
    return Refused(Reason.METHOD_NOT_ALLOWED, f"{scope['path']} takes {', '.join(methods)}, not {scope['method']}.")
