"""Budget alerts: raised in the transaction that crossed the threshold, once per wallet period, as rows among the events."""

import msgspec

from keeptrusts.control.accounts import name_of
from keeptrusts.control.context import NodeTerms, Tools
from keeptrusts.core.ledger.alerts import crossed
from keeptrusts.core.ledger.standing import Cap, key_of
from keeptrusts.core.ledger.wallet import Wallet, WalletPeriod
from keeptrusts.core.metering.event_row import EventRow
from keeptrusts.core.money import usd_text
from keeptrusts.store.contracts import Ledger

SOFT_CAP = "soft_cap"
HARD_CAP = "hard_cap"


async def raise_alerts(
    ledger: Ledger, tools: Tools, terms: NodeTerms, wallet: Wallet, period: WalletPeriod, cap: Cap | None
) -> None:
    """Adds an alert for each threshold that the period's spend has reached and that has not fired yet."""
    reached: dict[str, dict[str, object]] = {
        str(threshold.percent): {"threshold_percent": threshold.percent, "action": threshold.action}
        for threshold in crossed(period, terms.thresholds, frozenset())
    }
    if cap is not None:
        for name, limit in ((SOFT_CAP, cap.soft_nanos), (HARD_CAP, cap.hard_nanos)):
            if limit is not None and period.spent >= limit > 0:
                reached[name] = {"threshold": name, "limit": usd_text(limit), "action": "notify"}
    if not reached:
        return
    key = key_of(period)
    fired = await ledger.alerts.fired(key)
    rows = []
    for name, details in reached.items():
        if name in fired:
            continue
        row = alert_row(tools, terms.node_id, wallet, period, details)
        await ledger.alerts.add(key, name, row.event_id, row.at_ns)
        rows.append(row)
    if rows:
        await ledger.events.add_all(rows)


def alert_row(tools: Tools, node_id: str, wallet: Wallet, period: WalletPeriod, details: dict[str, object]) -> EventRow:
    """The alert as a row of the event ledger; its amounts are texts, so that no reader rounds them."""
    details = {**details, "budget": usd_text(period.funds), "spent": usd_text(period.spent)}
    if wallet.scope != "team":
        details["wallet"] = wallet.name
    return EventRow(
        event_id=tools.new_id("evt"),
        type="budget_alert",
        at_ns=tools.clock.unix_ns(),
        node_id=node_id,
        journal_seq=0,
        latency_ms=0,
        key_id=None,
        consumer_group=None,
        team_id=wallet.scope_id if wallet.scope == "team" else None,
        application=None,
        feature=None,
        environment=None,
        project=None,
        customer=None,
        department=None,
        user_id=None,
        provider=None,
        model=None,
        asked_model=None,
        served_model=None,
        status="alert",
        reason="budget_threshold",
        cost_nanos=None,
        input_tokens=0,
        cache_read_tokens=0,
        cache_write_tokens=0,
        cache_write_1h_tokens=0,
        output_tokens=0,
        reasoning_tokens=0,
        usage_source="none",
        price_version=None,
        unpriced=False,
        cache_hit=False,
        saved_nanos=0,
        policy_actions="[]",
        attempts="[]",
        request_id="",
        stream=False,
        http_status=0,
        period_key=name_of(wallet, period),
        details=msgspec.json.encode(details).decode(),
    )
