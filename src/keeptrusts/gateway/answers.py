"""What the client gets: whole answers, streams and refusals, with our headers on each."""

import re

from keeptrusts.core.money import NANOS_PER_USD
from keeptrusts.core.refusal import Refused
from keeptrusts.gateway.refusals import error_body, error_lines, status_of
from keeptrusts.gateway.wire import Wire

MAX_REQUEST_ID_BYTES = 128
_PRINTABLE = re.compile(rb"[!-~]+")


def nanos_text(nanos: int) -> bytes:
    """Nano-USD as USD with all nine decimals."""
    sign = b"-" if nanos < 0 else b""
    return b"%b%d.%09d" % (sign, *divmod(abs(nanos), NANOS_PER_USD))


class Client:
    """The other end of one call."""

    __slots__ = ("_wire", "request_id", "wants_fresh")

    def __init__(self, wire: Wire, headers: dict[bytes, bytes], own_id: str) -> None:
        self._wire = wire
        given = headers.get(b"x-request-id")
        if given is not None and len(given) <= MAX_REQUEST_ID_BYTES and _PRINTABLE.fullmatch(given):
            self.request_id = given.decode()
        else:
            self.request_id = own_id
        control = headers.get(b"cache-control")
        self.wants_fresh = control is not None and (b"no-cache" in control or b"no-store" in control)

    async def whole(self, status: int, lines: bytes, body: bytes) -> None:
        """Sends a complete answer."""
        await self._wire.whole(status, b"%bx-request-id: %b\r\n" % (lines, self.request_id.encode()), body)

    async def begin(self, lines: bytes) -> None:
        """Begins a stream."""
        await self._wire.begin(b"%bx-request-id: %b\r\n" % (lines, self.request_id.encode()))

    async def more(self, data: bytes) -> None:
        """Sends some of a stream; waits while the client is slower than we are."""
        await self._wire.more(data)

    async def end(self, data: bytes) -> None:
        """Sends the last bytes of a stream."""
        await self._wire.end(data)

    async def refuse(self, refused: Refused) -> None:
        """Says no."""
        await self.whole(status_of(refused), error_lines(refused), error_body(refused))
