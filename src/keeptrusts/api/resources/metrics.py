"""``/metrics``: the ledger for Prometheus, in its text format. It names wallets and nodes, never a key or a token."""

from collections.abc import Iterator

from prometheus_client import CollectorRegistry
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.exposition import CONTENT_TYPE_LATEST, generate_latest
from prometheus_client.registry import Collector
from starlette.responses import Response

from keeptrusts.api.access import TheControl
from keeptrusts.clock import NANOS_PER_S
from keeptrusts.control.context import Control
from keeptrusts.control.ledger_health import Figures, figures
from keeptrusts.core.money import NANOS_PER_USD

AMOUNTS = ("budget", "posted", "leased", "suspense", "overrun", "unleased", "carried", "carried_out", "approved")
STATUSES = ("ok", "violated", "unknown")


class LedgerCollector(Collector):
    """One scrape: the figures of this moment and what the watch found last."""

    def __init__(self, control: Control, now: Figures) -> None:
        self._control = control
        self._now = now

    def collect(self) -> Iterator[Metric]:
        """See Collector."""
        yield from _watch(self._control)
        yield from _books(self._now)


def _watch(control: Control) -> Iterator[Metric]:
    watch, now_ns = control.watch, control.tools.clock.unix_ns()
    status = GaugeMetricFamily("keeptrusts_ledger_status", "1 for what the ledger is now", labels=["status"])
    for each in STATUSES:
        status.add_metric([each], float(each == watch.status(now_ns)))
    yield status
    ok = GaugeMetricFamily("keeptrusts_ledger_invariant_ok", "1: it holds; 0: it is violated", labels=["invariant"])
    checked = GaugeMetricFamily("keeptrusts_ledger_checked_rows", "Rows it was held against", labels=["invariant"])
    broken = GaugeMetricFamily("keeptrusts_ledger_broken_rows", "Rows that break it now", labels=["invariant"])
    if watch.last is not None:
        for verdict in watch.last.verdicts.all:
            if verdict.ok is not None:
                ok.add_metric([verdict.invariant], float(verdict.ok))
            checked.add_metric([verdict.invariant], verdict.checked)
            broken.add_metric([verdict.invariant], verdict.broken)
        age_s = (now_ns - watch.last.at_ns) / NANOS_PER_S
        yield GaugeMetricFamily("keeptrusts_ledger_check_age_seconds", "Since the last examination", value=age_s)
        yield GaugeMetricFamily("keeptrusts_ledger_check_seconds", "How long it took", value=watch.last.took_s)
    yield from (ok, checked, broken)
    yield CounterMetricFamily(
        "keeptrusts_ledger_findings", "Rows found to break an invariant since the start", value=watch.findings_total
    )
    yield GaugeMetricFamily(
        "keeptrusts_ledger_events_read", "Events that the reading under way has come to", value=watch.facts.events_to
    )


def _books(now: Figures) -> Iterator[Metric]:
    for amount in AMOUNTS:
        text = f"What is {amount.replace('_', ' ')} in the wallet's current period, in USD"
        family = GaugeMetricFamily(f"keeptrusts_wallet_{amount}_usd", text, labels=["wallet", "period"])
        for name, account in now.accounts:
            family.add_metric([name, account.kind], getattr(account, amount) / NANOS_PER_USD)
        yield family
    applied = CounterMetricFamily("keeptrusts_journal_records_applied", "Records of a node's journal", labels=["node"])
    for journal in now.journals:
        applied.add_metric([journal.node_id], journal.last_seq)
    yield applied
    tickets = GaugeMetricFamily("keeptrusts_tickets", "Cost tickets whose time is not over", labels=["status"])
    for status, count in sorted(now.tickets.items()):
        tickets.add_metric([status], count)
    yield tickets
    yield CounterMetricFamily("keeptrusts_events_recorded", "Events in the ledger", value=now.events)
    yield GaugeMetricFamily("keeptrusts_quarantined_records", "Records in quarantine", value=now.quarantined)
    text = "1: in recovery mode, nothing is granted"
    yield GaugeMetricFamily("keeptrusts_ledger_recovering", text, value=float(now.recovering))
    yield GaugeMetricFamily("keeptrusts_nodes_live", "Gateway nodes that spoke lately", value=now.live_nodes)
    yield GaugeMetricFamily("keeptrusts_leases_open", "Leases in nodes' hands", value=now.open_leases)
    yield GaugeMetricFamily("keeptrusts_leases_in_suspense", "Leases to account for", value=now.leases_in_suspense)


async def metrics(control: TheControl) -> Response:
    """The ledger's health, wallets, journals and leases for Prometheus. Raises StoreAway."""
    registry = CollectorRegistry(auto_describe=False)
    registry.register(LedgerCollector(control, await figures(control)))
    return Response(generate_latest(registry), media_type=CONTENT_TYPE_LATEST)
