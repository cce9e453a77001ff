"""Why a call went as it did and cost what it cost, told from its one row and what the row names: prices, wallets."""

from collections.abc import Mapping, Sequence
from typing import Any

import msgspec

from keeptrusts.core.calls.other_usage import Other
from keeptrusts.core.calls.usage import Usage
from keeptrusts.core.ledger.attempt_row import AttemptRow, decode_attempts
from keeptrusts.core.ledger.invariants.calls import FILE_PRICE
from keeptrusts.core.ledger.ticket import Ticket
from keeptrusts.core.metering.event_row import EventRow
from keeptrusts.core.metering.rendering import Names, told
from keeptrusts.core.money import usd, usd_per_1k_tokens, usd_text
from keeptrusts.core.pricing.pieces import pieces_nanos
from keeptrusts.core.pricing.price import Price, Rates, cost_nanos, tier_percent

Wallets = Mapping[str, Sequence[str]]
"""By lease: the wallet periods that it debits, as people read them."""


def explain(
    row: EventRow, names: Names, prices: Mapping[str, Price], wallets: Wallets, ticket: Ticket | None = None
) -> dict[str, Any]:
    """The event, and beside it ``story`` (a sentence for each step), ``attempts`` with their arithmetic, and ``sums``.

    ``prices`` are those of the attempts' versions that are known; a policy file's own are not. ``ticket`` is what the call was
    held with, if it was.
    """
    attempts = decode_attempts(row.attempts)
    told_attempts = [_attempt(attempt, prices, wallets) for attempt in attempts]
    total = sum(attempt.cost_nanos for attempt in attempts)
    return {
        "event": told(row, names),
        "story": [*_story(row, names, ticket), *(_sentence(attempt, wallets) for attempt in attempts), _ending(row)],
        "attempts": told_attempts,
        "sums": {
            "attempts": usd(total),
            "call": None if row.cost_nanos is None else usd(row.cost_nanos),
            "agree": (row.cost_nanos or 0) == total,
        },
    }


def _story(row: EventRow, names: Names, ticket: Ticket | None) -> list[str]:
    who = names.keys.get(row.key_id or "") or row.key_id or f"group {row.consumer_group}"
    team = "no team" if row.team_id is None else f"team {names.teams.get(row.team_id, row.team_id)}"
    how = "as a stream" if row.stream else "whole"
    acted = msgspec.json.decode(row.policy_actions)
    story = [f"{who}, of {team}, asked for {row.asked_model or 'no model'}, {how}."]
    story.append(f"Policies acted: {', '.join(acted)}." if acted else "No policy acted.")
    if ticket is not None:
        by = "" if ticket.actor is None else f" by {ticket.actor}"
        word = "decided" if ticket.actor is not None else "not decided"
        said = "" if ticket.note is None else f" ({ticket.note})"
        story.append(f"It was held for an approver with ticket {ticket.ticket_id}, {word}{by}{said}: {ticket.status}.")
    if row.cache_hit:
        story.append(f"A kept answer was given: it saved ${usd_text(row.saved_nanos)}.")
    return story


def _sentence(attempt: AttemptRow, wallets: Wallets) -> str:
    chosen = f", because: {attempt.chosen}" if attempt.chosen else ""
    held = "nothing was held"
    if attempt.lease_id is not None:
        held = (
            f"${usd_text(attempt.hold_nanos)} held from {', '.join(wallets.get(attempt.lease_id, ())) or 'its wallets'}"
        )
    ended = {
        "settled": f"it cost ${usd_text(attempt.cost_nanos)}{_by_the_file(attempt)}",
        "void": "nothing was billed",
        "indeterminate": f"nobody knows what it cost, so its hold of ${usd_text(attempt.cost_nanos)} was posted",
    }.get(attempt.outcome, attempt.outcome)
    why = f" ({attempt.reason})" if attempt.reason else ""
    return f"Attempt {attempt.number} went to {attempt.target} for {attempt.model}{chosen}; {held}; {ended}{why}."


def _by_the_file(attempt: AttemptRow) -> str:
    """What stands in the place of an arithmetic where the price is not the ledger's."""
    if not (attempt.price_version or "").startswith(FILE_PRICE):
        return ""
    usage = attempt.usage.usage
    return f", of {usage.prompt_tokens} tokens in and {usage.output} out, by a price that stands in the gateway's policy file"


def _ending(row: EventRow) -> str:
    why = f": {row.reason}" if row.reason else ""
    return f"It ended as {row.status}{why}, with HTTP {row.http_status}, after {row.latency_ms} ms."


def _attempt(attempt: AttemptRow, prices: Mapping[str, Price], wallets: Wallets) -> dict[str, Any]:
    price = prices.get(attempt.price_version or "")
    found: dict[str, Any] = {
        "number": attempt.number,
        "target": attempt.target,
        "provider": attempt.provider,
        "model": attempt.model,
        "chosen": attempt.chosen,
        "outcome": attempt.outcome,
        "status": attempt.status,
        "reason": attempt.reason,
        "wallets": list(wallets.get(attempt.lease_id or "", ())),
        "hold": usd(attempt.hold_nanos),
        "cost": usd(attempt.cost_nanos),
        "price_version": attempt.price_version,
    }
    if price is None or attempt.outcome != "settled":
        return found
    usage = attempt.usage.usage
    computed = cost_nanos(price, usage)
    # A count of our own is capped by the hold.
    agrees = computed == attempt.cost_nanos or (attempt.usage_source == "counted" and computed > attempt.cost_nanos)
    return found | {"arithmetic": _arithmetic(usage, price), "computed": usd(computed), "agrees": agrees}


def _arithmetic(usage: Usage, price: Price) -> list[dict[str, Any]]:
    """A line for each bucket that has tokens, then the share of a service tier, what is billed by the piece, and the fee."""
    rates = price.rates_for(usage.prompt_tokens)
    buckets = _buckets(usage, rates) + ([] if usage.other is None else _other_buckets(usage.other, rates))
    lines: list[dict[str, Any]] = [
        {"bucket": name, "tokens": tokens, "usd_per_1k_tokens": usd_per_1k_tokens(rate)}
        for name, tokens, rate in buckets
        if tokens
    ]
    if usage.other is not None:
        if (percent := tier_percent(price, usage.other.service_tier)) is not None:
            lines.append({"bucket": f"service tier {usage.other.service_tier}", "percent": percent})
        if pieces := pieces_nanos(price.pieces, usage.other):
            lines.append({"bucket": "what is billed by the piece", "usd": usd(pieces)})
    return [*lines, {"bucket": "request", "usd": usd(price.request_nanos)}] if price.request_nanos else lines


def _buckets(usage: Usage, rates: Rates) -> list[tuple[str, int, int]]:
    write = rates.input if rates.cache_write is None else rates.cache_write
    reasoning = rates.output if rates.reasoning is None else rates.reasoning
    return [
        ("input", usage.input, rates.input),
        ("cache_read", usage.cache_read, rates.input if rates.cache_read is None else rates.cache_read),
        ("cache_write", usage.cache_write, write),
        ("cache_write_1h", usage.cache_write_1h, write if rates.cache_write_1h is None else rates.cache_write_1h),
        ("output", usage.output - usage.reasoning, rates.output),
        ("reasoning", usage.reasoning, reasoning),
    ]


def _other_buckets(other: Other, rates: Rates) -> list[tuple[str, int, int]]:
    heard = rates.input if rates.audio_input is None else rates.audio_input
    return [
        ("audio_input", other.audio_input, heard),
        ("audio_read", other.audio_read, heard if rates.audio_read is None else rates.audio_read),
        ("image_input", other.image_input, rates.input if rates.image_input is None else rates.image_input),
        ("audio_output", other.audio_output, rates.output if rates.audio_output is None else rates.audio_output),
        ("image_output", other.image_output, rates.output if rates.image_output is None else rates.image_output),
    ]
