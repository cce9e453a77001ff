"""What is summed over events, and what counts as a request.

A call was *served* when it got an answer that costs or could have cost something: ``ok``, ``cached``, ``interrupted``,
``recovered``, and ``upstream_error`` that was billed. ``blocked`` (budget, policy), ``refused`` (limits, rights, bad
requests) and ``failed`` (an unbilled upstream error) stand beside it, so that no event is counted twice or hidden.
"""

from decimal import Decimal

from msgspec import Struct

from keeptrusts.core.money import usd

SERVED_STATUSES = ("ok", "cached", "interrupted", "recovered")


class Totals(Struct, frozen=True):
    """Sums over one group of events, fields in the order in which a store returns them. Amounts in nano-USD."""

    count: int = 0
    blocked: int = 0
    refused: int = 0
    failed: int = 0
    cached: int = 0
    tokens_input: int = 0
    tokens_cached: int = 0
    tokens_output: int = 0
    cost_nanos: int = 0
    saved_nanos: int = 0
    unpriced: int = 0

    @property
    def total_tokens(self) -> int:
        """All input, cached or not, and all output."""
        return self.tokens_input + self.tokens_output


def figures(totals: Totals) -> dict[str, int | Decimal]:
    """The sums under their names in the API; amounts in USD."""
    return {
        "count": totals.count,
        "blocked": totals.blocked,
        "refused": totals.refused,
        "failed": totals.failed,
        "cached": totals.cached,
        "tokens_input": totals.tokens_input,
        "tokens_cached": totals.tokens_cached,
        "tokens_output": totals.tokens_output,
        "total_tokens": totals.total_tokens,
        "total_cost": usd(totals.cost_nanos),
        "total_saved": usd(totals.saved_nanos),
        "unpriced": totals.unpriced,
    }
