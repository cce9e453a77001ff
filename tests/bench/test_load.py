"""The load generator against the mock provider, over real sockets."""

import os

import pytest

from bench.answers import MODEL
from bench.cores import Cores
from bench.load import Plan, closed_loop, open_loop
from bench.mock_child import mock_provider
from bench.peers.starting import get, post, wait_until_right
from bench.requests import Address, Ask, request_bytes


@pytest.fixture
def provider(tmp_path):
    """The address of a mock provider."""
    core = min(os.sched_getaffinity(0))
    with mock_provider(Cores(load=core, gateway=core), tmp_path) as mock:
        address = Address(mock.port, "/v1/chat/completions", (), MODEL)
        wait_until_right(address, mock.child)
        yield address


def plan(address: Address, ask: Ask, calls: int) -> Plan:
    return Plan(address.port, request_bytes(address, ask), ask.stream, seconds=20, connections=4, calls_max=calls)


@pytest.mark.parametrize("ask", [Ask(), Ask(stream=True), Ask(long_prompt=True), Ask(sdk_headers=True)])
def test_every_call_of_a_closed_loop_is_counted_once(provider, ask):
    before = int(get(provider.port, "/served")[1])
    tally = closed_loop(plan(provider, ask, 50))
    assert (tally.calls, tally.errors, len(tally.latencies_s)) == (50, 0, 50)
    assert int(get(provider.port, "/served")[1]) - before == 50


def test_a_paced_stream_takes_the_time_between_its_events(provider):
    tally = closed_loop(plan(provider, Ask(stream=True, paced=True), 4))
    assert tally.calls == 4
    assert min(tally.latencies_s) >= 21 * 0.005 - 0.002
    assert max(tally.first_bytes_s) < min(tally.latencies_s)


def test_an_open_loop_sends_what_is_due_and_counts_from_when_it_was_due(provider):
    tally = open_loop(plan(provider, Ask(), 30), rate_per_s=1000)
    assert (tally.calls, tally.errors) == (30, 0)
    assert tally.seconds >= 29 / 1000


def test_errors_are_counted_and_end_the_run(provider):
    lost = Address(provider.port, "/v1/nowhere", (), MODEL)
    tally = closed_loop(plan(lost, Ask(), 1_000_000))
    assert tally.calls == 0
    assert 50 <= tally.errors < 100
    assert "404" in tally.first_error


@pytest.mark.parametrize(("options", "sent"), [(', "stream_options": {"include_usage": true}', True), ("", False)])
def test_the_provider_sends_usage_only_when_asked(provider, options, sent):
    body = f'{{"model": "any", "stream": true{options}}}'
    _, answer = post(provider.port, provider.path, body)
    assert ('"usage":{"prompt_tokens":14' in answer) is sent
    assert answer.endswith("data: [DONE]\n\n")
