"""The dashboard and the alerts of examples/ ask for nothing that a running gateway and API do not tell."""

import json
import re

from ruamel.yaml import YAML

from tests.journeys.books import funded_key
from tests.journeys.processes import ROOT
from tests.journeys.product import ADMIN_TOKEN, Product
from tests.journeys.web import ask

OPERATOR = {"Authorization": f"Bearer {ADMIN_TOKEN}"}
DASHBOARD = ROOT / "examples" / "grafana" / "keeptrusts.json"
RULES = ROOT / "examples" / "prometheus" / "keeptrusts.rules.yml"
SCRAPE = ROOT / "examples" / "prometheus" / "prometheus.yml"
OF_PROMETHEUS = {"instance", "job", "le", "worker"}


def queries() -> list[str]:
    dashboard = json.loads(DASHBOARD.read_text())
    asked = [target["expr"] for panel in dashboard["panels"] for target in panel.get("targets", [])]
    rules = YAML(typ="safe").load(RULES.read_text())
    asked += [rule["expr"] for group in rules["groups"] for rule in group["rules"]]
    assert len(asked) > 40
    return asked


def told(product: Product) -> dict[str, set[str]]:
    """Every name that can be asked for, with the labels of its lines."""
    key = funded_key(product, "team_dashboards")
    assert product.chat(key).status == 200
    names: dict[str, set[str]] = {}
    for url in (product.gateway_url, product.api_url):
        text = ask("GET", f"{url}/metrics", headers=OPERATOR).body.decode()
        for name, kind in re.findall(r"^# TYPE (\S+) (\S+)$", text, re.MULTILINE):
            suffixes = ("_bucket", "_sum", "_count") if kind == "histogram" else ("",)
            names |= {name + suffix: set() for suffix in suffixes}
        for name, labels in re.findall(r"^(\w+)\{(.*)\} \S+$", text, re.MULTILINE):
            names.setdefault(name, set()).update(re.findall(r'(\w+)="', labels))
    return names


def test_every_metric_that_is_asked_for_is_told_with_the_labels_that_are_asked_for(product: Product) -> None:
    known = told(product)
    for query in queries():
        assert query.count("(") == query.count(")"), query
        names = re.findall(r"\bkeeptrusts_\w+", query)
        assert set(names) <= known.keys(), query
        labels = {label for group in re.findall(r"by \(([^)]*)\)", query) for label in re.split(r",\s*", group)}
        labels |= set(re.findall(r'(\w+)=~?"', query))
        seen = set().union(*(known[name] for name in names))
        if seen - OF_PROMETHEUS:
            assert labels - OF_PROMETHEUS <= seen, query


def test_every_metric_that_the_page_lists_is_told(product: Product) -> None:
    page = (ROOT / "docs" / "how-to" / "monitoring.md").read_text()
    table = page.split("| Metric, after `keeptrusts_gateway_`")[1].split("\n\n")[0]
    listed = {name for row in table.splitlines()[2:] for name in re.findall(r"`(\w+)`", row.split("|")[1])}
    known = {name.removesuffix("_bucket") for name in told(product)}
    # A store of limits is not here.
    missing = {n for n in listed if f"keeptrusts_gateway_{n}" not in known and not n.startswith("limit_store_")}
    assert len(listed) > 30
    assert missing == set()


def test_every_alert_says_how_urgent_it_is_and_what_is_wrong() -> None:
    rules = YAML(typ="safe").load(RULES.read_text())
    for rule in (rule for group in rules["groups"] for rule in group["rules"]):
        assert rule["labels"]["severity"] in ("page", "ticket"), rule
        assert rule["annotations"]["summary"], rule
    assert YAML(typ="safe").load(SCRAPE.read_text())["rule_files"] == [RULES.name]
