"""Whether the process lives, and whether it can serve: open to anybody, and saying no more than that."""

from fastapi import Request
from starlette.responses import Response

from keeptrusts.api.access import TheControl
from keeptrusts.api.errors import envelope
from keeptrusts.api.exact_json import answer
from keeptrusts.store.contracts import StoreAway


async def healthz() -> Response:
    """The process answers."""
    return answer({"status": "ok"})


async def readyz(request: Request, control: TheControl) -> Response:
    """The store answers too."""
    try:
        async with control.store.read() as books:
            await books.changes.last_seq()
    except StoreAway:
        return envelope(request, 503, "service_unavailable", "store_unavailable", "The store does not answer.")
    return answer({"status": "ready"})
