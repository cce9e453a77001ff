"""The Grafana dashboard, from one table of panels: what a gateway and its ledger tell Prometheus, on one page."""

import json
from collections.abc import Sequence
from typing import Any, NamedTuple

RATE = "$__rate_interval"
WIDTH = 24


class Panel(NamedTuple):
    """``queries`` are PromQL and what each line is called. ``unit`` is Grafana's name for it. ``kind``: ``timeseries`` or ``stat``."""

    title: str
    unit: str
    queries: Sequence[tuple[str, str]]
    width: int = 8
    kind: str = "timeseries"
    stacked: bool = False


def _rate(name: str, by: str, more: str = "") -> str:
    return f"sum by ({by}) (rate(keeptrusts_gateway_{name}{more}[{RATE}]))"


def _quantile(q: float, name: str, by: str = "") -> str:
    labels = f"le, {by}" if by else "le"
    return f"histogram_quantile({q}, sum by ({labels}) (rate(keeptrusts_gateway_{name}_bucket[{RATE}])))"


ROWS: Sequence[tuple[str, Sequence[Panel]]] = (
    (
        "Now",
        (
            Panel("Ready", "short", [("sum(keeptrusts_gateway_ready)", "processes")], 4, "stat"),
            Panel("Calls", "reqps", [("sum(rate(keeptrusts_gateway_requests_total[5m]))", "")], 4, "stat"),
            Panel(
                "Served well", "percentunit",
                [('sum(rate(keeptrusts_gateway_requests_total{status=~"ok|cached"}[5m])) / sum(rate(keeptrusts_gateway_requests_total[5m]))', "")],
                4, "stat",
            ),
            Panel("Cost per hour", "currencyUSD", [("3600 * sum(rate(keeptrusts_gateway_cost_usd_total[15m]))", "")], 4, "stat"),
            Panel("Saved per hour", "currencyUSD", [("3600 * sum(rate(keeptrusts_gateway_cache_saved_usd_total[15m]))", "")], 4, "stat"),
            Panel("Ledger", "short", [("keeptrusts_ledger_status == 1", "{{status}}")], 4, "stat"),
        ),
    ),
    (
        "Calls",
        (
            Panel("Calls by how they ended", "reqps", [(_rate("requests_total", "status"), "{{status}}")], stacked=True),
            Panel("Calls by model", "reqps", [(_rate("requests_total", "provider, model"), "{{provider}} {{model}}")], stacked=True),
            Panel("Refusals by reason", "reqps", [(_rate("refusals_total", "reason"), "{{reason}}")], stacked=True),
            Panel(
                "How long calls take", "s",
                [(_quantile(q, "request_duration_seconds"), f"p{q * 100:.0f}") for q in (0.5, 0.95, 0.99)],
            ),
            Panel("Slowest 5 % by provider", "s", [(_quantile(0.95, "request_duration_seconds", "provider"), "{{provider}}")]),
            Panel("First bytes of streams", "s", [(_quantile(q, "time_to_first_byte_seconds"), f"p{q * 100:.0f}") for q in (0.5, 0.95)]),
            Panel("The gateway's own share", "s", [(_quantile(q, "overhead_seconds"), f"p{q * 100:.0f}") for q in (0.5, 0.99)]),
            Panel("In flight", "short", [("sum(keeptrusts_gateway_requests_in_flight)", "requests")]),
            Panel("Tokens", "short", [(_rate("tokens_total", "direction"), "{{direction}} per second")], stacked=True),
        ),
    ),
    (
        "Money",
        (
            Panel("Cost per hour by team", "currencyUSD", [("3600 * " + _rate("cost_usd_total", "team"), "{{team}}")], stacked=True),
            Panel(
                "Budget used", "percentunit",
                [("(keeptrusts_wallet_posted_usd + keeptrusts_wallet_suspense_usd) / (keeptrusts_wallet_budget_usd > 0)", "{{wallet}} {{period}}")],
            ),
            Panel(
                "Leased", "currencyUSD",
                [("sum(keeptrusts_gateway_lease_free_usd)", "free"), ("sum(keeptrusts_gateway_lease_held_usd)", "held for calls")],
                stacked=True,
            ),
            Panel(
                "Calls that wait", "short",
                [("sum(keeptrusts_gateway_calls_waiting_for_money)", "for money"), ("sum(keeptrusts_gateway_calls_held)", "for an approver")],
            ),
            Panel("Limits reached", "reqps", [(_rate("limit_refusals_total", "limit, scope"), "{{limit}} of a {{scope}}")]),
            Panel("Calls without a price", "reqps", [(_rate("unpriced_requests_total", "provider, model"), "{{provider}} {{model}}")]),
        ),
    ),
    (
        "Providers, policies, cache",
        (
            Panel(
                "Attempts that failed", "reqps",
                [(_rate("target_failures_total", "target"), "{{target}}"), (_rate("target_rate_limited_total", "target"), "{{target}} limited")],
            ),
            Panel("Targets that are up", "short", [("min by (target) (keeptrusts_gateway_target_up)", "{{target}}")]),
            Panel("Further attempts", "reqps", [(_rate("retries_total", "provider"), "{{provider}}")]),
            Panel("What policies did", "reqps", [(_rate("policy_evaluations_total", "policy, result"), "{{policy}} {{result}}")]),
            Panel(
                "Answered from the cache", "percentunit",
                [('sum(rate(keeptrusts_gateway_requests_total{status="cached"}[$__rate_interval])) / sum(rate(keeptrusts_gateway_requests_total{status=~"ok|cached"}[$__rate_interval]))', "hits")],
            ),
            Panel("Cache", "bytes", [("sum(keeptrusts_gateway_cache_bytes)", "kept")]),
        ),
    ),
    (
        "Processes and books",
        (
            Panel("Since the control plane answered", "s", [("max by (instance, worker) (keeptrusts_gateway_link_age_seconds)", "{{instance}} {{worker}}")]),
            Panel("Journal not shipped", "bytes", [("sum by (instance, worker) (keeptrusts_gateway_journal_backlog_bytes)", "{{instance}} {{worker}}")]),
            Panel("The loop's worst lag", "s", [("max by (instance, worker) (keeptrusts_gateway_loop_lag_seconds)", "{{instance}} {{worker}}")]),
            Panel("Memory", "bytes", [("sum by (instance, worker) (keeptrusts_gateway_resident_memory_bytes)", "{{instance}} {{worker}}")]),
            Panel(
                "Not as it should be", "short",
                [
                    ("sum(keeptrusts_gateway_workers_silent)", "silent workers"),
                    ("sum(keeptrusts_gateway_journal_failed)", "failed journals"),
                    ("sum(keeptrusts_ledger_broken_rows)", "rows that break an invariant"),
                    ("keeptrusts_quarantined_records", "records in quarantine"),
                    ("keeptrusts_leases_in_suspense", "leases in suspense"),
                ],
            ),
            Panel("Calls nothing could be told of", "reqps", [("sum(rate(keeptrusts_gateway_telemetry_dropped_total[$__rate_interval]))", "dropped")]),
        ),
    ),
)  # fmt: skip


def page() -> str:
    """The dashboard as Grafana imports it."""
    panels: list[dict[str, Any]] = []
    y = 0
    for title, row in ROWS:
        panels.append({"type": "row", "title": title, "gridPos": {"x": 0, "y": y, "w": WIDTH, "h": 1}, "panels": []})
        y += 1
        x = height = 0
        for panel in row:
            if x + panel.width > WIDTH:
                x, y = 0, y + height
            height = 4 if panel.kind == "stat" else 8
            panels.append(_panel(panel, {"x": x, "y": y, "w": panel.width, "h": height}))
            x += panel.width
        y += height
    for number, panel_json in enumerate(panels, start=1):
        panel_json["id"] = number
    dashboard = {
        "uid": "keeptrusts",
        "title": "Keeptrusts",
        "schemaVersion": 39,
        "tags": ["keeptrusts"],
        "time": {"from": "now-6h", "to": "now"},
        "refresh": "30s",
        "templating": {
            "list": [{"name": "source", "label": "Prometheus", "type": "datasource", "query": "prometheus"}]
        },
        "panels": panels,
    }
    return json.dumps(dashboard, indent=1) + "\n"


def _panel(panel: Panel, place: dict[str, int]) -> dict[str, Any]:
    custom = {"stacking": {"mode": "normal"}, "fillOpacity": 30} if panel.stacked else {"fillOpacity": 5}
    defaults: dict[str, Any] = {"unit": panel.unit, "min": 0}
    options: dict[str, Any] = {"legend": {"displayMode": "list", "placement": "bottom"}, "tooltip": {"mode": "multi"}}
    if panel.kind == "stat":
        options = {"reduceOptions": {"calcs": ["lastNotNull"]}, "textMode": "auto"}
    else:
        defaults["custom"] = custom
    return {
        "type": panel.kind,
        "title": panel.title,
        "datasource": {"type": "prometheus", "uid": "${source}"},
        "gridPos": place,
        "fieldConfig": {"defaults": defaults, "overrides": []},
        "options": options,
        "targets": [
            {"refId": chr(ord("A") + number), "expr": query, "legendFormat": legend}
            for number, (query, legend) in enumerate(panel.queries)
        ],
    }
