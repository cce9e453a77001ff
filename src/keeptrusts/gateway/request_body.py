"""The request's body, whole: bounded in size and in time."""

import asyncio
from collections.abc import Mapping

from keeptrusts.core.refusal import Reason, Refused
from keeptrusts.gateway.wire import Wire

BODY_TIMEOUT_S = 60.0


async def read_body(wire: Wire, headers: Mapping[bytes, bytes], max_bytes: int) -> bytes:
    """Raises Refused: BODY_TOO_LARGE, BODY_TOO_SLOW, or INVALID_REQUEST for an encoding that is not read here."""
    announced = headers.get(b"content-length")
    if announced is not None and announced.isdigit() and int(announced) > max_bytes:
        raise _too_large(max_bytes)
    encoding = headers.get(b"content-encoding")
    if encoding is not None and encoding.lower() != b"identity":
        raise Refused(
            Reason.INVALID_REQUEST, "Compressed request bodies are not read: send it without Content-Encoding."
        )
    body = wire.complete_body()
    if body is not None:
        return _bounded(body, max_bytes)
    message = await wire.receive()
    if not message.get("more_body"):
        return _bounded(message.get("body", b""), max_bytes)
    parts = [message["body"]]
    size = len(parts[0])
    try:
        async with asyncio.timeout(BODY_TIMEOUT_S):
            while message.get("more_body"):
                message = await wire.receive()
                parts.append(message.get("body", b""))
                size += len(parts[-1])
                if size > max_bytes:
                    raise _too_large(max_bytes)
    except TimeoutError:
        raise Refused(Reason.BODY_TOO_SLOW, f"The body did not arrive within {BODY_TIMEOUT_S:.0f} seconds.") from None
    return b"".join(parts)


def _bounded(body: bytes, max_bytes: int) -> bytes:
    if len(body) > max_bytes:
        raise _too_large(max_bytes)
    return body


def _too_large(max_bytes: int) -> Refused:
    return Refused(Reason.BODY_TOO_LARGE, f"The body is larger than {max_bytes} bytes.", {"max_bytes": max_bytes})
