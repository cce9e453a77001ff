"""Azure's addresses, for clients that were written for Azure OpenAI: they name the model in the path, and lead to the same
doors as all others.
"""

from functools import partial

import msgspec
from msgspec import Raw

from keeptrusts.core.calls.form import Part, read_form, write_form
from keeptrusts.core.calls.request import MAX_MODEL_NAME, TextRequest, encode, read_envelope
from keeptrusts.gateway.doors import DOORS, Door

PREFIX = "/openai/"
DEPLOYMENTS = "deployments/"
V1 = "v1/"


def take_key(headers: dict[bytes, bytes]) -> None:
    """Azure's clients send their key as ``api-key``: here it is what ``x-api-key`` is elsewhere."""
    if b"api-key" in headers:
        headers.setdefault(b"x-api-key", headers[b"api-key"])


def plain_path(path: str) -> str | None:
    """The path without Azure's prefix: ``/openai/v1/chat/completions`` and ``/openai/responses`` are OpenAI's own. None for
    any other."""
    if not path.startswith(PREFIX) or path.startswith(PREFIX + DEPLOYMENTS):
        return None
    return "/v1/" + path.removeprefix(PREFIX).removeprefix(V1)


def deployment_door(path: str) -> Door | None:
    """The door of ``/openai/deployments/<model>/<route>``; None for any other path."""
    if not path.startswith(PREFIX + DEPLOYMENTS):
        return None
    model, _, route = path.removeprefix(PREFIX + DEPLOYMENTS).partition("/")
    door = DOORS.get("/v1/" + route)
    if door is None or not 0 < len(model) <= MAX_MODEL_NAME:
        return None
    return msgspec.structs.replace(door, parse=partial(_parse, door, model))


def _parse(door: Door, model: str, body: bytes) -> TextRequest:
    """Reads a body as the door does; the path's model is what counts, as at Azure."""
    if door.takes_files:
        parts = tuple(part for part in read_form(body) if part.name != "model")
        return door.parse(write_form((Part("model", model.encode()), *parts))[1])
    return door.parse(encode({**read_envelope(body), "model": Raw(encode(model))}))
