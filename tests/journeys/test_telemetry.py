"""What a gateway tells of calls beside its ledger: spans, metrics and log lines, with figures and without texts or secrets."""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.journeys.books import funded_key, settled_events
from tests.journeys.otlp_collector import Collector, attributes
from tests.journeys.policy_files import ENGINEERING_KEY, Policy, enforcing
from tests.journeys.processes import until
from tests.journeys.product import ADMIN_TOKEN, PROVIDER_SECRET, Product
from tests.journeys.web import ask

pytestmark = pytest.mark.xdist_group("journeys-telemetry")

COLLECTOR_TOKEN = "collectors-own-token-77"
PROMPT = "Tell nobody of the blue elephant."
TRACE = "4bf92f3577b34da6a3ce929d0e0e4736"
PARENT = "00f067aa0ba902b7"
OPERATOR = {"Authorization": f"Bearer {ADMIN_TOKEN}"}


@dataclass
class Told:
    product: Product
    collector: Collector


@pytest.fixture(scope="module")
def told(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Told]:
    with Collector() as collector:

        def policy(provider_url: str, api_url: str) -> Policy:
            otlp = {"endpoint": collector.url, "headers_env": "COLLECTOR_HEADERS", "propagate": True}
            return {**enforcing(provider_url, api_url), "telemetry": {"access_log": True, "otlp": otlp}}

        product = Product(tmp_path_factory.mktemp("told"), policy)
        product.env["COLLECTOR_HEADERS"] = f"authorization=Bearer%20{COLLECTOR_TOKEN}"
        product.env["KEEPTRUSTS_LOG_FORMAT"] = "json"
        try:
            product.start()
            yield Told(product, collector)
        finally:
            product.close()


def access_lines(product: Product) -> list[dict[str, object]]:
    lines = [json.loads(line) for line in product.gateway.output.splitlines() if line.startswith("{")]
    return [line for line in lines if line["logger"] == "keeptrusts::access"]


def test_a_call_is_a_span_in_its_clients_trace_with_a_span_for_its_attempt(told: Told) -> None:
    key = funded_key(told.product, "team_traced")
    headers = {**key.headers, "traceparent": f"00-{TRACE}-{PARENT}-01", "x-request-id": "traced-1"}
    body = {"model": "gpt-4o-mini", "messages": [{"role": "user", "content": PROMPT}]}
    assert told.product.post_chat(body, headers).status == 200
    (event,) = settled_events(told.product, 1, team_id="team_traced")
    mine = until(
        lambda: [s for s in told.collector.spans if s.trace_id.hex() == TRACE][:2] or None, "spans at the collector"
    )
    whole, attempt = sorted(mine, key=lambda span: span.kind)
    assert (whole.name, whole.parent_span_id.hex()) == ("chat gpt-4o-mini", PARENT)
    assert attempt.parent_span_id == whole.span_id
    assert whole.start_time_unix_nano <= attempt.start_time_unix_nano < attempt.end_time_unix_nano
    said = attributes(whole)
    assert said["gen_ai.operation.name"] == "chat"
    assert said["gen_ai.provider.name"] == "openai"
    assert said["gen_ai.request.model"] == "gpt-4o-mini"
    assert said["gen_ai.usage.input_tokens"] == event["usage"]["prompt_tokens"]
    assert said["gen_ai.usage.output_tokens"] == event["usage"]["completion_tokens"]
    assert said["keeptrusts.request.id"] == "traced-1"
    assert said["keeptrusts.cost_usd"] == pytest.approx(float(event["cost_usd"]))
    assert told.collector.headers[0]["authorization"] == f"Bearer {COLLECTOR_TOKEN}"


def test_a_refused_call_is_a_span_that_failed_and_has_no_attempt(told: Told) -> None:
    key = funded_key(told.product, "team_untraced")
    trace = TRACE[::-1]
    headers = {**key.headers, "traceparent": f"00-{trace}-{PARENT}-01"}
    assert told.product.post_chat({"model": "nobody-prices-this", "messages": []}, headers).status >= 400
    (span,) = until(lambda: [s for s in told.collector.spans if s.trace_id.hex() == trace], "its span")
    assert span.status.code == span.status.STATUS_CODE_ERROR
    assert attributes(span)["error.type"]


def test_a_client_that_does_not_sample_has_no_span(told: Told) -> None:
    key = funded_key(told.product, "team_unsampled")
    trace = TRACE.replace("4", "5")
    for flags in ("00", "01"):
        headers = {**key.headers, "traceparent": f"00-{trace}-{PARENT}-{flags}"}
        assert told.product.post_chat({"model": "gpt-4o-mini", "messages": []}, headers).status
    spans = until(lambda: [s for s in told.collector.spans if s.trace_id.hex() == trace], "the sampled one's span")
    assert len([span for span in spans if span.parent_span_id.hex() == PARENT]) == 1


def test_the_access_log_has_a_line_for_each_call(told: Told) -> None:
    key = funded_key(told.product, "team_logged")
    headers = {**key.headers, "x-request-id": "logged-1"}
    body = {"model": "gpt-4o-mini", "messages": [{"role": "user", "content": PROMPT}]}
    assert told.product.post_chat(body, headers).status == 200
    (event,) = settled_events(told.product, 1, team_id="team_logged")
    line = until(lambda: [x for x in access_lines(told.product) if x["request_id"] == "logged-1"], "its line")[0]
    assert (line["status"], line["team"], line["key_id"]) == ("ok", "team_logged", key.id)
    assert float(str(line["cost_usd"])) == pytest.approx(float(event["cost_usd"]))
    assert line["output_tokens"] == event["usage"]["completion_tokens"]


def test_a_collector_that_is_unwell_costs_no_call_and_what_it_misses_is_counted(told: Told) -> None:
    key = funded_key(told.product, "team_unheard")
    told.collector.unwell = True
    try:
        for _ in range(3):
            assert told.product.chat(key).status == 200
        url = f"{told.product.gateway_url}/metrics"
        name = "keeptrusts_gateway_telemetry_dropped_total 3"
        until(lambda: name in ask("GET", url, headers=OPERATOR).body.decode(), "three calls counted as dropped", 20)
    finally:
        told.collector.unwell = False


def test_metrics_follow_the_conventions_and_nothing_tells_a_text_or_a_secret(told: Told) -> None:
    """The last of this file: it stops the gateway, which delivers what it holds back."""
    key = funded_key(told.product, "team_discreet")
    ask("POST", f"{told.product.gateway_url}/v1/chat/completions", {}, {"X-Consumer-Group": ENGINEERING_KEY})
    for secret in (key.secret, ADMIN_TOKEN, "kt_gk_made_up_key_1234", "sk-live-abcdef0123456789"):
        wrong = {"Authorization": f"Bearer {secret}", "x-api-key": secret}
        ask("POST", f"{told.product.gateway_url}/v1/messages", {"model": secret}, wrong)
        ask("GET", f"{told.product.gateway_url}/metrics", headers=wrong)
    assert told.product.gateway.stop() == 0
    points = told.collector.points
    kinds = {attributes(point)["gen_ai.token.type"] for point in points["gen_ai.client.token.usage"]}
    assert kinds == {"input", "output"}
    assert sum(point.count for point in points["gen_ai.client.operation.duration"]) >= 3
    logs = "".join(path.read_text(errors="replace") for path in Path(told.product.directory).glob("*.log"))
    everything = logs + told.collector.raw.decode("latin-1")
    for secret in (
        key.secret, ADMIN_TOKEN, PROVIDER_SECRET, ENGINEERING_KEY, COLLECTOR_TOKEN, "made_up_key_1234", "blue elephant",
        "abcdef0123456789",
    ):  # fmt: skip
        assert secret not in everything, f"{secret} is told"
