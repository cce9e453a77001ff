"""``/keeptrusts/config``: what a gateway goes by, without secrets; and its reload, asked for by an operator."""

from typing import Any

from keeptrusts.core.problem import Problem
from keeptrusts.core.refusal import Reason, Refused
from keeptrusts.core.rulebook.plain_rules import plain_rules
from keeptrusts.gateway.config_status import ConfigStatus, ReloadFailed
from keeptrusts.gateway.node import Node
from keeptrusts.gateway.observed import fingerprint


async def config_part(node: Node, body: bytes) -> dict[str, Any]:
    """The rules in force and where they are from."""
    del body
    return {**_status(node), "config": plain_rules(node.rulebook)}


async def reload_part(node: Node, body: bytes) -> dict[str, Any]:
    """Reads the files again; ``changed`` says whether they say something new. Raises Refused when they can't be taken."""
    del body
    if node.reloader is None:
        raise Refused(Reason.INVALID_REQUEST, "This gateway was started without files that it could read again.")
    try:
        changed = await node.reloader.reload("asked for")
    except ReloadFailed as failed:
        problems = [_problem(problem) for problem in failed.problems]
        raise Refused(
            Reason.CONFIG_REJECTED, f"The configuration in force stays: {failed}.", {"problems": problems}
        ) from None
    return {"changed": changed, **_status(node)}


def _status(node: Node) -> dict[str, Any]:
    if node.reloader is None:
        return {"fingerprint": fingerprint(node.rulebook)}
    return _plain(node.reloader.status)


def _plain(status: ConfigStatus) -> dict[str, Any]:
    return {
        **{name: getattr(status, name) for name in status.__struct_fields__},
        "problems": [_problem(problem) for problem in status.problems],
    }


def _problem(problem: Problem) -> dict[str, Any]:
    return {name: getattr(problem, name) for name in problem.__struct_fields__}
