"""Whether the process lives, and whether it can serve: open to anybody, and saying no more than that."""

from pydantic import BaseModel
from starlette.responses import Response

from keeptrusts.api.access import TheControl
from keeptrusts.api.exact_json import answer


class Health(BaseModel):
    """``ok`` or ``ready``."""

    status: str


async def healthz() -> Response:
    """The process answers."""
    return answer({"status": "ok"})


async def readyz(control: TheControl) -> Response:
    """The store answers too; 503 when it does not."""
    async with control.store.read() as books:
        await books.changes.last_seq()
    return answer({"status": "ready"})
