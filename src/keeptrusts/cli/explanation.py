"""An explained call as people read it: its story, then how each attempt's cost comes about."""

from collections.abc import Iterator, Mapping
from decimal import Decimal
from typing import Any

from keeptrusts.cli.money_text import exact_dollars
from keeptrusts.cli.printable import printable


def explanation_lines(found: Mapping[str, Any]) -> list[str]:
    """What ``kt events explain`` prints, of the API's answer."""
    event = found["event"]
    lines = [f"{event['id']}  {event['timestamp']}  {event['request_id']}", *found["story"]]
    for attempt in found["attempts"]:
        lines += _arithmetic(attempt)
    sums = found["sums"]
    if len(found["attempts"]) > 1:
        lines.append(f"All attempts: {_money(sums['attempts'])}")
    if not sums["agree"]:
        lines.append("The attempts do not add up to what the call cost: run `kt ledger verify`.")
    return [printable(line) for line in lines]


def _arithmetic(attempt: Mapping[str, Any]) -> Iterator[str]:
    if "arithmetic" not in attempt:
        return
    yield f"Attempt {attempt['number']} by the price {attempt['price_version']}:"
    for line in attempt["arithmetic"]:
        if "tokens" in line:
            yield f"  {line['tokens']} {line['bucket']} tokens at {_money(line['usd_per_1k_tokens'])} per 1,000"
        elif "percent" in line:
            yield f"  {line['percent']} % of that for the {line['bucket']}"
        else:
            yield f"  {_money(line['usd'])} for {'the request' if line['bucket'] == 'request' else line['bucket']}"
    yield f"  = {_money(attempt['computed'])}" + (
        "" if attempt["agrees"] else f", and {_money(attempt['cost'])} was booked"
    )


def _money(amount: Any) -> str:
    return exact_dollars(Decimal(str(amount)))
