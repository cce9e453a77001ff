"""The access log: one line for each call that ended, from its event's facts, never from its texts."""

import logging
from collections.abc import Sequence

from keeptrusts.core.money import NANOS_PER_USD
from keeptrusts.gateway.afterwards import Ended

log = logging.getLogger("keeptrusts::access")

NS_PER_MS = 1_000_000


class AccessLog:
    """A sink that logs a line for each call."""

    def take(self, batch: Sequence[Ended]) -> int:
        """See Sink."""
        for ended in batch:
            log.info("call", extra=_fields(ended))
        return 0

    def close(self) -> None:
        """See Sink: nothing is held back."""


def _fields(ended: Ended) -> dict[str, object]:
    call = ended.call
    cost = call.cost_nanos
    return {
        "request_id": call.request_id,
        "call_id": call.call_id,
        "door": ended.door,
        "status": call.status,
        "http_status": call.http_status,
        "reason": call.reason,
        "team": call.caller.attribution.team,
        "group": call.caller.group,
        "key_id": call.caller.key_id,
        "provider": call.provider,
        "model": call.model or call.asked_model,
        "stream": call.stream,
        "attempts": len(call.attempts),
        "duration_ms": max(0, ended.at_ns - call.at_ns) // NS_PER_MS,
        "input_tokens": call.usage.prompt_tokens,
        "output_tokens": call.usage.output,
        "cost_usd": None if cost is None else f"{cost // NANOS_PER_USD}.{cost % NANOS_PER_USD:09d}",
    }
