"""What a gateway tells Prometheus: text that Prometheus reads, and figures that are those of the calls."""

import time
from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest
from prometheus_client.parser import text_string_to_metric_families

from keeptrusts.core.identity.attribution import Attribution
from keeptrusts.core.limits.gate import Permit
from keeptrusts.core.refusal import Reason, Refused
from keeptrusts.gateway.call import Call
from keeptrusts.gateway.call_counts import MAX_KINDS, OTHER, CallCounts
from keeptrusts.gateway.caller import Caller
from keeptrusts.gateway.exposition import Family, Sample, by_label, histogram_samples, text_of
from keeptrusts.gateway.health import health_part
from keeptrusts.gateway.metrics import MetricsPart, _policy_labels, metrics_part, write_metrics
from tests.gateway.hand_loop import HandLoop
from tests.gateway.house import BILL, COST, DONE, END, KEY, SAID, SECRET, STREAM_HEAD, House, answer, ask, chunk, reply

Figures = dict[tuple[str, tuple[tuple[str, str], ...]], float]


@pytest.fixture
def loop() -> Iterator[HandLoop]:
    loop = HandLoop()
    yield loop
    loop.close()
    assert loop.broken == []


@pytest.fixture
def house(loop: HandLoop, tmp_path: Path) -> Iterator[House]:
    house = House(loop, tmp_path)
    yield house
    house.stop()


def figures(text: str) -> Figures:
    """Every line by its name and labels, as Prometheus's own parser reads them."""
    return {
        (sample.name, tuple(sorted(sample.labels.items()))): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }


def scraped(house: House) -> Figures:
    part = house.loop.done(metrics_part(house.node, b""))
    status, lines, body = write_metrics({"": msgspec.msgpack.decode(msgspec.msgpack.encode(part))})
    assert write_metrics({"": part})[2] == body, "a sibling's part is as good as one's own"
    assert status == 200
    assert b"text/plain; version=0.0.4" in lines
    text = body.decode()
    assert KEY not in text
    assert SECRET not in text
    return figures(text)


def figure(found: Figures, name: str, **labels: str) -> float:
    """The sum of the lines with these labels."""
    wanted = set(labels.items())
    return sum(value for (said, of), value in found.items() if said == f"keeptrusts_gateway_{name}" and wanted <= {*of})


def test_a_served_call_is_counted_once_with_its_tokens_money_and_time(house: House) -> None:
    house.call()
    house.wire.says(reply())
    found = scraped(house)
    labels = {"provider": "openai", "model": "gpt-4o-mini"}
    assert figure(found, "requests_total", status="ok", door="chat", team="team_marketing", **labels) == 1
    assert figure(found, "tokens_total", direction="input", **labels) == 14
    assert figure(found, "tokens_total", direction="output", **labels) == 25
    assert figure(found, "cost_usd_total", **labels) == pytest.approx(COST / 1e9)
    assert figure(found, "request_duration_seconds_count", provider="openai") == 1
    assert figure(found, "request_duration_seconds_bucket", provider="openai", le="+Inf") == 1
    assert figure(found, "overhead_seconds_count") == 1
    assert figure(found, "lease_held_usd", team="team_marketing") == 0
    assert figure(found, "ready") == 1
    assert figure(found, "time_to_first_byte_seconds_count") == 0


def test_a_stream_says_when_its_first_bytes_came(house: House) -> None:
    house.call(ask(stream=True))
    house.wire.says(STREAM_HEAD + chunk(SAID) + chunk(BILL) + chunk(DONE) + END)
    found = scraped(house)
    assert figure(found, "time_to_first_byte_seconds_count") == 1
    assert figure(found, "requests_total", status="ok") == 1


def test_a_refusal_is_counted_by_its_reason_whoever_made_it(house: House) -> None:
    house.call(x_consumer_group="kt_cg_nobodys")
    house.call(ask(model="no-such-model"))
    found = scraped(house)
    assert figure(found, "refusals_total", reason="invalid_key") == 1
    assert figure(found, "refusals_total", reason="unpriced_model") == 1
    assert figure(found, "requests_total") == 1, "a call of nobody has no row"
    assert figure(found, "requests_total", status="blocked", model="", provider="") == 1


def test_a_provider_that_fails_is_seen_until_it_rests(house: House) -> None:
    for number in range(5):
        assert figure(scraped(house), "target_up", target="openai-main") == 1
        house.call()
        house.wire.says(answer(500, b"{}"))
        found = scraped(house)
        assert figure(found, "failed_attempts_total", target="openai-main", outcome="void") == number + 1
        assert figure(found, "target_failures_total", target="openai-main") == number + 1
    found = scraped(house)
    assert figure(found, "target_up", target="openai-main") == 0
    assert figure(found, "target_attempts_total", target="openai-main") == 5
    health = house.loop.done(health_part(house.node, b""))
    assert (health["status"], health["providers"]) == ("degraded", {"openai-main": "unreachable"})


def test_a_held_call_shows_in_the_lease_and_the_journal_grows(house: House) -> None:
    house.call()
    found = scraped(house)
    assert figure(found, "lease_held_usd", team="team_marketing") > 0
    assert figure(found, "journal_records_total") >= 3
    house.wire.says(reply())
    house.settled()


class AwayStore:
    """A store of limits that has fallen away twice."""

    away, falls, hosts = True, 2, 3

    async def admit(self, *asked: object) -> Permit:
        raise NotImplementedError

    async def stop(self) -> None:
        return None


def test_hosts_that_share_limits_say_whether_their_store_answers(house: House) -> None:
    names = ("limit_store_away", "limit_store_hosts", "limit_store_falls_total")
    assert not any(name.startswith("keeptrusts_gateway_limit_store") for name, _ in scraped(house))
    house.node.meters.store = AwayStore()
    found = scraped(house)
    assert [found[f"keeptrusts_gateway_{name}", ()] for name in names] == [1, 3, 2]


def test_made_up_names_share_one_row_once_there_are_many() -> None:
    counts = CallCounts()
    for number in range(MAX_KINDS + 50):
        counts._row(("chat", "ok", "openai", f"model-{number}", "team"))
    assert len(counts.rows) == MAX_KINDS + 1
    assert ("chat", "ok", "openai", OTHER, OTHER) in counts.rows


def test_a_limit_is_counted_by_its_kind_and_never_by_its_key() -> None:
    counts = CallCounts()
    counts.refused(Refused(Reason.RATE_LIMIT_EXCEEDED, "", {"limit": "requests_per_minute", "scope": "key tok_1"}))
    assert counts.limits == {("requests_per_minute", "key"): 1}


@pytest.mark.parametrize(
    ("action", "labels"),
    [
        ("content_flagged:hate", ("content", "flagged", "hate")),
        ("pii_redacted_shadow:email", ("pii", "redacted_shadow", "email")),
        ("max_input_tokens_blocked:too_long", ("max_input_tokens", "blocked", "too_long")),
        ("policy_failed:my-policy", ("my-policy", "failed", "")),
        (OTHER, (OTHER, "", "")),
    ],
)
def test_a_policys_action_is_told_in_its_parts(action: str, labels: tuple[str, ...]) -> None:
    assert _policy_labels(action) == tuple(zip(("policy", "result", "label"), labels, strict=True))


def test_a_clock_that_is_set_back_takes_nothing_from_a_counter() -> None:
    counts = CallCounts()
    call = Call("evt_1", time.time_ns() + 10**15, 0.0, Caller(None, "g", Attribution(), "g", (), ()), "req_1")
    counts.ended(call, "chat")
    (row,) = counts.rows.values()
    assert row.total_ns == 0
    assert sum(row.buckets) == 1


def test_the_text_is_what_prometheus_reads_whatever_names_hold() -> None:
    odd = 'a "quoted" \\ name\nin two lines'
    families = [
        by_label("things_total", "counter", "Things\nof two lines", "name", {odd: 3.5, "plain": 2}),
        Family("waits_seconds", "histogram", "Waits", tuple(histogram_samples((), (0.1, 1.0), (1, 2, 3, 4), 0.25))),
    ]
    found = figures(text_of({"": families}))
    assert found[("things_total", (("name", odd),))] == 3.5
    assert found[("waits_seconds_bucket", (("le", "0.1"),))] == 1
    assert found[("waits_seconds_bucket", (("le", "1"),))] == 3
    assert found[("waits_seconds_bucket", (("le", "+Inf"),))] == 10
    assert found[("waits_seconds_count", ())] == 10
    assert found[("waits_seconds_sum", ())] == 0.25


def test_families_of_workers_stand_under_one_head_each_line_with_its_worker() -> None:
    family = Family("ready", "gauge", "Ready", (Sample((), 1),))
    text = text_of({"0": [family], "1": [family]})
    assert text.count("# TYPE ready gauge") == 1
    assert {labels for _, labels in figures(text)} == {(("worker", "0"),), (("worker", "1"),)}


def test_a_worker_that_does_not_answer_is_counted() -> None:
    _, _, body = write_metrics({"0": MetricsPart([], []), "1": None})
    assert figures(body.decode())[("keeptrusts_gateway_workers_silent", ())] == 1
