"""The documents' own scripts run unedited, and every figure they print agrees with the calls that were made."""

import csv
import io
import json
import re
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from tests.journeys.books import issue_key, settled_events
from tests.journeys.mission import needs_scripts, script
from tests.journeys.networks import private_network
from tests.journeys.product import Product
from tests.journeys.spend_text import read_all, read_team
from tests.providers.truth import Served

pytestmark = [needs_scripts, pytest.mark.xdist_group("journeys-mission")]

HAIKU_USD = Decimal("0.0000171")  # 14 x 0.00015 / 1000 + 25 x 0.0006 / 1000
JQ_VALUES = json.JSONDecoder()


@pytest.fixture(scope="module")
def tutorial(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Product, str]]:
    """The tutorial of document 003 from its first step to its last, and what its script printed."""
    directory: Path = tmp_path_factory.mktemp("tutorial")
    with private_network() as network:
        product = Product(directory, network=network)
        try:
            product.start_provider()
            product.env["OPENAI_BASE_URL"] = f"{product.provider_url}/v1"
            product.start_api()
            product.policy_file = directory / "policy-config.yaml"
            text = script("003-policy-config.yaml").read_text()
            product.policy_file.write_text(
                text.replace("http://localhost:8080", f"http://localhost:{product.api_port}")
            )
            product.kt("policy", "lint", "--file", "policy-config.yaml")
            product.start_gateway()
            yield product, product.bash(script("003-tutorial.sh"), **addresses(product))
        finally:
            product.close()


def addresses(product: Product) -> dict[str, str]:
    """The two variables that the scripts know; left out where the usual ports are taken, as in the documents."""
    if product.network.usual_ports:
        product.env.pop("KEEPTRUSTS_API_URL", None)
        return {}
    return {
        "KEEPTRUSTS_API_URL": f"http://localhost:{product.api_port}",
        "KEEPTRUSTS_GATEWAY_URL": f"http://localhost:{product.gateway_port}",
    }


def json_values(text: str) -> list[Any]:
    """Every JSON object or array that begins a line of ``text``, in order."""
    values, at = [], 0
    while found := re.compile(r"^[\[{]", re.MULTILINE).search(text, at):
        try:
            value, at = JQ_VALUES.raw_decode(text, found.start())
            values.append(value)
        except ValueError:
            at = found.end()
    return values


def test_the_gateway_says_what_it_enforces(tutorial: tuple[Product, str]) -> None:
    output = tutorial[0].gateway.output
    lines = [line[line.index("INFO") :].strip() for line in output.splitlines() if "INFO keeptrusts::gateway" in line]
    at = lines.index("INFO keeptrusts::gateway Cost tracking: enabled, wallet_enforcement=true")
    assert lines[at + 1] == "INFO keeptrusts::gateway Budget alerts: 50%→notify, 80%→notify, 95%→notify, 100%→block"
    assert "INFO keeptrusts::gateway Gateway ready" in lines[at + 2 :]


def test_the_call_shows_model_and_usage(tutorial: tuple[Product, str]) -> None:
    usage = {"prompt_tokens": 14, "completion_tokens": 25, "total_tokens": 39}
    [shown] = [value for value in json_values(tutorial[1]) if isinstance(value, dict) and "usage" in value]
    assert shown["model"] == "gpt-4o-mini"
    assert {name: shown["usage"][name] for name in usage} == usage


def test_the_prices_are_a_bare_array_with_the_seeded_row(tutorial: tuple[Product, str]) -> None:
    prices = [value for value in json_values(tutorial[1]) if isinstance(value, dict)]
    seeded = {"model": "gpt-4o-mini", "input_cost_per_1k_tokens": 0.00015, "output_cost_per_1k_tokens": 0.0006}
    assert seeded in prices


def test_spend_of_the_team_has_the_documents_layout_and_the_true_figures(tutorial: tuple[Product, str]) -> None:
    spend = read_team(tutorial[1])
    assert (spend.team, spend.budget) == ("engineering", Decimal(500))
    assert spend.models == {"gpt-4o-mini": (spend.models["gpt-4o-mini"][0], 39, 1)}
    assert spend.spent == spend.models["gpt-4o-mini"][0]
    assert abs(spend.spent - HAIKU_USD) <= Decimal("0.0000005"), "enough digits that real spend is not $0.00"
    assert spend.usage_percent > 0


def test_spend_of_all_teams_is_a_table_with_both(tutorial: tuple[Product, str]) -> None:
    text = tutorial[1]
    start = re.search(r"^Team\s+Budget", text, re.MULTILINE)
    assert start
    lines = []
    for line in text[start.start() :].splitlines():
        if not line.strip() or line.startswith(("{", "[")):
            break
        lines.append(line)
    teams = read_all("\n".join(lines))
    assert teams.keys() == {"engineering", "marketing"}
    marketing = teams["marketing"]
    assert (marketing.budget, marketing.spent, marketing.usage_percent) == (Decimal(100), Decimal(0), Decimal(0))


def test_calls_go_through_until_the_first_402_with_exactly_the_documents_body(tutorial: tuple[Product, str]) -> None:
    product, text = tutorial
    statuses = re.findall(r"^HTTP (\d{3})$", text, re.MULTILINE)
    served = statuses.count("200")
    assert 1 <= served < 40
    assert statuses == ["200"] * served + ["402", "402"], "the refused call is shown twice: by tail and by cat"
    [refusal] = [value["error"] for value in json_values(text) if isinstance(value, dict) and "error" in value]
    assert set(refusal) == {"message", "type", "code", "details"}
    assert refusal["message"] == "Budget exceeded for consumer group: marketing"
    assert (refusal["type"], refusal["code"]) == ("budget_exceeded", "insufficient_balance")
    details = refusal["details"]
    assert set(details) == {"team", "budget", "spent", "estimated_cost"}
    assert (details["team"], details["budget"]) == ("marketing", 0.01)
    marketing = [served for served in product.truth() if served.prompt_tokens != 14]
    assert len(marketing) == served
    assert Decimal(str(details["spent"])) == Decimal(sum(entry.cost_nanos for entry in marketing)) / 10**9
    assert details["spent"] + details["estimated_cost"] > 0.01, "it would not have fitted"


def test_the_last_event_is_the_refused_call_without_cost_or_tokens(tutorial: tuple[Product, str]) -> None:
    shown = [value for value in json_values(tutorial[1]) if isinstance(value, dict) and "consumer_group" in value]
    assert len(shown) == 3
    assert shown[-1] == {"consumer_group": "marketing", "model": "gpt-4o-mini", "cost": None, "tokens": 0}
    assert all(event["cost"] > 0 and event["tokens"] > 0 for event in shown[:-1])


def test_every_call_has_one_event(tutorial: tuple[Product, str]) -> None:
    product, _ = tutorial
    listed = json.loads(product.kt("events", "list", "--since", "1h", "--format", "json"))
    calls = [event for event in listed if event["model"]]
    assert len({event["request_id"] for event in calls}) == len(calls)
    assert {event["request_id"] for event in calls if event["status"] == "ok"} == {
        served.request_id for served in product.truth()
    }
    assert [event["status"] for event in calls if event["status"] != "ok"] == ["blocked"]


def test_tokens_and_events_of_document_000(tutorial: tuple[Product, str]) -> None:
    product, _ = tutorial
    values = json_values(product.bash(script("000-tokens-and-events.sh"), **addresses(product)))
    keys, rest = values[:3], values[3:]
    assert [(key["name"], key["rate_limit"], key["allowed_models"]) for key in keys] == [
        ("search-service-prod", 5000, ["gpt-4o-mini"]),
        ("search-team-dev", 500, ["gpt-4o", "gpt-4o-mini", "claude-sonnet-4-20250514"]),
        ("innovation-sandbox", 100, ["*"]),
    ]
    assert all(key["token"].startswith("kt_gk_") and key["status"] == "provisioned" for key in keys)
    teams = {value["team"]: value for value in rest if "team" in value and "requests" in value}
    truth = product.truth()
    engineering, marketing = split(truth)
    assert teams["engineering"]["tokens"] == sum(s.prompt_tokens + s.completion_tokens for s in engineering)
    assert teams["marketing"]["tokens"] == sum(s.prompt_tokens + s.completion_tokens for s in marketing)
    assert Decimal(str(teams["marketing"]["cost"])) == usd(marketing)
    assert Decimal(str(teams["engineering"]["cost"])) == usd(engineering) == HAIKU_USD
    assert teams["engineering"]["requests"] == 1
    assert teams["marketing"]["requests"] in (len(marketing), len(marketing) + 1), "served, or served and refused"
    allocated = [value for value in rest if value.get("team_id") == "search-team" and "allocated" in value]
    assert [value["allocated"] for value in allocated] == [5000]


def test_monthly_chargeback_of_document_000(tutorial: tuple[Product, str]) -> None:
    product, _ = tutorial
    last_month = product.bash(script("000-monthly-chargeback.sh"), **addresses(product))
    assert last_month.startswith("# AI Chargeback Report: ")
    assert [line for line in last_month.splitlines() if line.startswith("| ")] == [
        "| Team | Requests | Tokens | Cost | Tier |"
    ]
    now = datetime.now(UTC)
    window = {"MONTH": now.strftime("%Y-%m"), "UNTIL": (now + timedelta(days=1)).strftime("%Y-%m-%d")}
    report = product.bash(script("000-monthly-chargeback.sh"), **addresses(product), **window)
    rows = {cells[1]: cells for line in report.splitlines() if len(cells := [c.strip() for c in line.split("|")]) == 7}
    engineering, marketing = split(product.truth())
    for name, served in (("engineering", engineering), ("marketing", marketing)):
        assert int(rows[name][3]) == sum(s.prompt_tokens + s.completion_tokens for s in served)
        assert Decimal(rows[name][4].removeprefix("$")) == usd(served)


def test_wallets_and_spend_of_document_001(tutorial: tuple[Product, str]) -> None:
    product, _ = tutorial
    text = product.bash(script("001-wallets-and-spend.sh"), **addresses(product))
    values = json_values(text)
    allocated, balance = values[0], values[1]
    assert (allocated["team_id"], allocated["allocated"], allocated["currency"]) == ("search", 10_000, "USD")
    assert (balance["allocated"], balance["spent"], balance["balance"]) == (10_000, 0, 10_000)
    [transactions] = [value["transactions"] for value in values if "transactions" in value]
    assert [(entry["type"], entry["amount"]) for entry in transactions] == [("allocate", 10_000)]
    table = text[text.index("team,provider,model,cost,timestamp") :]
    rows = list(csv.DictReader(io.StringIO(table)))
    costs = [Decimal(row["cost"]) for row in rows if row["cost"]]
    assert sum(costs) == usd(product.truth())
    assert len(costs) == len(product.truth())
    stamps = [datetime.fromisoformat(row["timestamp"]) for row in rows]
    assert all(a >= b for a, b in pairwise(stamps)) or all(a <= b for a, b in pairwise(stamps))


def test_the_policy_fragments_of_001_lint_and_route(tmp_path: Path) -> None:
    """Short answers go to the cheap model, long ones to the other: by the documents' own group."""
    product = Product(tmp_path)
    try:
        product.start_provider()
        product.env["OPENAI_BASE_URL"] = f"{product.provider_url}/v1"
        product.start_api()
        fragments = script("001-policy-fragments.yaml")
        product.kt("policy", "lint", "--file", str(fragments))
        product.policy_file = tmp_path / "policy-config.yaml"
        product.policy_file.write_text(f"{fragments.read_text()}\napi:\n  url: {product.api_url}\n")
        product.start_gateway()
        key = issue_key(product, "search", consumer_group="development")
        for max_tokens, model in ((100, "gpt-4o-mini"), (1000, "gpt-4o-mini"), (1001, "gpt-4o")):
            assert product.chat(key, "Route me.", "cost-optimized", max_tokens=max_tokens).status == 200
            assert product.truth()[-1].model == model
        assert (
            product.chat(key, "Route me.", "cost-optimized", max_tokens=100).headers.get("x-keeptrusts-cache", "miss")
            == "hit"
        )
        rows = settled_events(product, 4, team_id="search")
        assert {row["consumer_group"] for row in rows} == {"development"}
    finally:
        product.close()


def split(truth: list[Served]) -> tuple[list[Served], list[Served]]:
    """The calls of engineering (the haiku) and of marketing (the essays), as the provider saw them."""
    return [s for s in truth if s.prompt_tokens == 14], [s for s in truth if s.prompt_tokens != 14]


def usd(served: list[Served]) -> Decimal:
    return Decimal(sum(entry.cost_nanos for entry in served)) / 10**9
