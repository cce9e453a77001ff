"""The request's body, whole: bounded in size and in time."""

import asyncio
from collections.abc import Mapping

from keeptrusts.core.refusal import Reason, Refused
from keeptrusts.gateway.client import Client

BODY_TIMEOUT_S = 60.0
MAX_LENGTH_DIGITS = 12


def refuse_unreadable(headers: Mapping[bytes, bytes], max_bytes: int) -> None:
    """What the headers say of the body already. Raises Refused: BODY_TOO_LARGE, INVALID_REQUEST for an encoded one."""
    announced = headers.get(b"content-length")
    if announced is not None and (len(announced) > MAX_LENGTH_DIGITS or int(announced) > max_bytes):
        raise too_large(max_bytes)
    if b"content-encoding" in headers and headers[b"content-encoding"].lower() != b"identity":
        raise Refused(
            Reason.INVALID_REQUEST, "Compressed request bodies are not read: send it without Content-Encoding."
        )


async def read_body(client: Client, max_bytes: int) -> bytes:
    """A body that has not arrived whole yet. Raises Refused: BODY_TOO_LARGE, BODY_TOO_SLOW, INVALID_REQUEST (cut off)."""
    parts: list[bytes] = []
    size = 0
    try:
        async with asyncio.timeout(BODY_TIMEOUT_S):
            while True:
                message = await client.receive()
                if message["type"] == "http.disconnect":
                    raise Refused(Reason.INVALID_REQUEST, "The client went away before its body was complete.")
                parts.append(message.get("body", b""))
                size += len(parts[-1])
                if size > max_bytes:
                    raise too_large(max_bytes)
                if not message.get("more_body"):
                    return b"".join(parts)
    except TimeoutError:
        raise Refused(Reason.BODY_TOO_SLOW, f"The body did not arrive within {BODY_TIMEOUT_S:.0f} seconds.") from None


def too_large(max_bytes: int) -> Refused:
    """The refusal of a body over the bound."""
    return Refused(Reason.BODY_TOO_LARGE, f"The body is larger than {max_bytes} bytes.", {"max_bytes": max_bytes})
