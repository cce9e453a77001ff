"""How a gateway starts, and how it refuses to: in one clear line, before it listens."""

import json
import socket
from pathlib import Path

import pytest

from tests.journeys.books import funded_key
from tests.journeys.policy_files import ENGINEERING_KEY, enforcing, write_policy
from tests.journeys.processes import KT, Program, free_port
from tests.journeys.product import Product, clean_env, running_product
from tests.journeys.web import answers_ready, ask

pytestmark = pytest.mark.xdist_group("journeys-cache")

CALL = {"model": "gpt-4o-mini", "messages": [{"role": "user", "content": "hello"}]}


def gateway(directory: Path, policy: Path, port: int, env: dict[str, str]) -> Program:
    command = [KT, "gateway", "run", "--policy-config", str(policy), "--port", str(port)]
    command += ["--data-dir", str(directory / "data")]
    return Program(command, directory / "gateway.log", env, directory)


def test_a_gateway_without_an_api_serves_alone(tmp_path: Path) -> None:
    product = Product(tmp_path)
    try:
        product.start_provider()
        rules = enforcing(product.provider_url, product.api_url)
        del rules["api"], rules["cost_tracking"]
        product.policy_file = write_policy(rules, tmp_path / "policy.yaml")
        product.start_gateway()
        answer = product.post_chat(CALL, {"X-Consumer-Group": ENGINEERING_KEY})
        assert (answer.status, answer.json["usage"]["completion_tokens"]) == (200, 25)
        assert product.gateway.stop() == 0
    finally:
        product.close()


def test_a_simulated_target_needs_neither_key_nor_network(tmp_path: Path) -> None:
    rules = {
        "version": "1",
        "providers": {"targets": [{"id": "sim", "provider": "simulated"}]},
        "consumer_groups": [{"name": "engineering", "api_key": ENGINEERING_KEY}],
    }
    port = free_port()
    url = f"http://127.0.0.1:{port}"
    with gateway(tmp_path, write_policy(rules, tmp_path / "policy.yaml"), port, clean_env(tmp_path)) as program:
        program.wait_for(lambda: answers_ready(url), "ready")
        headers = {"X-Consumer-Group": ENGINEERING_KEY}
        first, second = (ask("POST", f"{url}/v1/chat/completions", CALL, headers) for _ in range(2))
        assert first.status == 200
        assert first.json["usage"]["total_tokens"] > 0
        assert first.json["choices"] == second.json["choices"], "the same prompt, the same text"
        streamed = ask("POST", f"{url}/v1/chat/completions", {**CALL, "stream": True}, headers)
        text = "".join(event["choices"][0]["delta"].get("content") or "" for event in streamed.events)
        assert text == first.json["choices"][0]["message"]["content"]


def test_every_mistake_of_a_policy_file_is_named_and_nothing_listens(tmp_path: Path) -> None:
    policy = tmp_path / "policy.yaml"
    policy.write_text("version: '1'\nproviders:\n  targets:\n    - id: a\n      provider: opnai\nconsumer_group: []\n")
    port = free_port()
    with gateway(tmp_path, policy, port, clean_env(tmp_path)) as program:
        assert program.wait(30) in (1, 2)
        assert "openai" in program.output, "a suggestion for the misspelt provider"
        assert "5" in program.output, "its line"
        assert "consumer_groups" in program.output, "the other mistake too"
        assert "Traceback" not in program.output
        assert not answers_ready(f"http://127.0.0.1:{port}")


def test_a_missing_provider_key_disables_that_target_alone_with_a_warning(tmp_path: Path) -> None:
    def without_key(provider: str, api: str) -> dict[str, object]:
        rules = enforcing(provider, api)
        rules["providers"]["targets"].append(
            {
                "id": "other",
                "provider": "openai",
                "base_url": f"{provider}/v1",
                "secret_key_ref": {"env": "NOT_SET_HERE"},
            }
        )
        return rules

    with running_product(tmp_path, without_key) as product:
        assert "NOT_SET_HERE" in product.gateway.output
        assert product.chat(funded_key(product, "team_start")).status == 200


def test_a_port_in_use_is_one_clear_line(tmp_path: Path) -> None:
    rules = {"version": "1", "providers": {"targets": [{"id": "sim", "provider": "simulated"}]}}
    policy = tmp_path / "policy.yaml"
    policy.write_text(json.dumps(rules))
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        with gateway(tmp_path, policy, port, clean_env(tmp_path)) as program:
            assert program.wait(30) not in (0, None)
            said = [line for line in program.output.splitlines() if str(port) in line]
            assert len(said) == 1, program.output
            assert "in use" in said[0]
            assert "Traceback" not in program.output


def test_a_second_gateway_on_one_journal_finds_another_or_refuses(tmp_path: Path) -> None:
    """Two processes never write one journal: the second has a node of its own, or says why it will not start."""
    with running_product(tmp_path) as product:
        port = free_port()
        command = [*product.gateway.command]
        command[command.index("--port") + 1] = str(port)
        with Program(command, tmp_path / "second.log", product.env, tmp_path) as second:
            second.wait_for(lambda: answers_ready(f"http://127.0.0.1:{port}") or second.ended, "ready or refused")
            key = funded_key(product, "team_two")
            assert product.chat(key).status == 200
            assert "Traceback" not in second.output
