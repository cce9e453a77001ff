"""Recovery mode: whether the ledger is in it, whom it waits for, and an end by an operator's word."""

from typing import Any

from pydantic import BaseModel
from starlette.responses import Response

from keeptrusts.api.access import TheActor, TheControl
from keeptrusts.api.exact_json import answer
from keeptrusts.api.shapes import rfc3339
from keeptrusts.control import recovery


class AwaitedNode(BaseModel):
    """A gateway that is not known to have ended. ``state``: ``silent``, ``behind`` or ``complete``."""

    node_id: str
    hostname: str
    state: str
    applied_seq: int
    awaited_seq: int | None


class RecoveryShape(BaseModel):
    """``recovering`` false: the rest is empty."""

    recovering: bool
    since: str | None
    reason: str | None
    nodes: list[AwaitedNode]


async def status(control: TheControl) -> Response:
    """Whether the ledger is in recovery mode, since when and why, and what it waits for."""
    return answer(_shown(await recovery.progress(control), going_on=True))


async def finish(control: TheControl, actor: TheActor) -> Response:
    """End the recovery: what gateways have not brought back is waited for no more. Answers how far it was."""
    return answer(_shown(await recovery.finish(control, actor), going_on=False))


def _shown(progress: recovery.Progress, going_on: bool) -> dict[str, Any]:
    return {
        "recovering": going_on and progress.since is not None,
        "since": None if progress.since is None else rfc3339(progress.since),
        "reason": progress.reason,
        "nodes": [
            {
                "node_id": node.node_id,
                "hostname": node.hostname,
                "state": "complete" if node.complete else "silent" if node.said_seq is None else "behind",
                "applied_seq": node.applied_seq,
                "awaited_seq": node.said_seq,
            }
            for node in progress.nodes
        ],
    }
