"""The policy file changes under load: no call is dropped or refused by mistake, and what is broken changes nothing."""

import copy
import os
import signal
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.journeys.books import funded_key, settled_events
from tests.journeys.crowd import chat_bytes, parse_answer
from tests.journeys.policy_files import ENGINEERING_KEY, Policy, enforcing, write_policy
from tests.journeys.processes import until
from tests.journeys.product import ADMIN_TOKEN, Product, running_product
from tests.journeys.steady_callers import Load
from tests.journeys.web import ask

pytestmark = pytest.mark.xdist_group("journeys-reload")

IN_FORCE = "is in force"
NOT_TAKEN = "is not taken"
RELOADS = 20
SLOW = "Talk slowly. [[out=40 gap_ms=40]]"


@pytest.fixture(scope="module")
def product(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Product]:
    with running_product(tmp_path_factory.mktemp("reload")) as product:
        yield product


def policy_of(product: Product) -> Policy:
    return enforcing(product.provider_url, product.api_url)


def replace_file(product: Product, text: str) -> None:
    """As editors and deployments do: written aside, then put in its place."""
    aside = product.directory / "aside.yaml"
    aside.write_text(text, encoding="utf-8")
    os.replace(aside, product.policy_file)


def put(product: Product, policy: Policy) -> None:
    replace_file(product, write_policy(policy, product.directory / "next.yaml").read_text())


def reload_and_wait(product: Product, line: str) -> None:
    before = product.gateway.output.count(line)
    os.kill(product.gateway.pid, signal.SIGHUP)
    until(lambda: product.gateway.output.count(line) > before, f"another {line!r}")


def sockets(pid: int) -> int:
    found = 0
    for entry in Path(f"/proc/{pid}/fd").iterdir():
        try:
            found += os.readlink(entry).startswith("socket:")
        except OSError:
            continue
    return found


def variant(product: Product, number: int) -> str:
    """Another file each time; every fifth is broken in one way or another."""
    policy = policy_of(product)
    target = policy["providers"]["targets"][0]
    if number % 5 == 4:
        text = write_policy(policy, product.directory / "next.yaml").read_text()
        return ["", text[: len(text) // 2], text.replace('"providers"', '"provides"'), "nonsense: ["][number // 5 % 4]
    target["id"] = f"openai-{number % 3}"
    policy["gateway"] = {"hold_wait_s": number + 1}
    policy["consumer_groups"].append({"name": f"guests-{number}", "wallet_team_id": "team_guests"})
    return write_policy(policy, product.directory / "next.yaml").read_text()


def test_reloads_under_load_drop_no_call(product: Product):
    key = funded_key(product, "team_reload", usd="1000")
    with Load(product.gateway_port, key.headers) as load:
        until(lambda: load.statuses[200] > 20, "calls are served")
        for number in range(RELOADS):
            replace_file(product, variant(product, number))
            reload_and_wait(product, NOT_TAKEN if number % 5 == 4 else IN_FORCE)
    assert set(load.statuses) == {200}, load.statuses
    assert load.broken == 0
    settled_events(product, load.statuses[200], team_id="team_reload")
    put(product, policy_of(product))
    reload_and_wait(product, IN_FORCE)
    # Of four pools of connections that were filled, one is left at most, beside the listener and the link.
    until(lambda: sockets(product.gateway.pid) < 40, "the connections of targets that are gone are closed")


def test_a_change_of_the_file_is_taken_without_being_told(product: Product):
    policy = policy_of(product)
    policy["model_allowlist"] = ["gpt-4o"]
    before = product.gateway.output.count(IN_FORCE)
    put(product, policy)
    until(lambda: product.gateway.output.count(IN_FORCE) > before, "the change is seen")
    key = funded_key(product, "team_seen", usd="10")
    assert product.chat(key).status == 403
    put(product, policy_of(product))
    until(lambda: product.chat(key).status == 200, "and the next one too")


def test_a_broken_file_changes_nothing_and_says_where(product: Product):
    policy = policy_of(product)
    policy["cache"] = {"enabled": "very"}
    put(product, policy)
    reload_and_wait(product, NOT_TAKEN)
    assert "cache.enabled: expected true or false" in product.gateway.output
    assert product.network.ready(product.gateway_url)
    key = funded_key(product, "team_broken", usd="10")
    assert product.chat(key).status == 200
    put(product, policy_of(product))
    until(lambda: "say again what is in force" in product.gateway.output, "the end of the trouble")
    reload_and_wait(product, "say nothing new")


def test_a_stream_under_way_outlives_its_target(product: Product):
    key = funded_key(product, "team_stream", usd="10")
    request = chat_bytes("gpt-4o-mini", SLOW, key.headers, stream=True)
    with socket.create_connection(("127.0.0.1", product.gateway_port), 10) as wire:
        wire.sendall(request)
        seen = wire.recv(1)
        policy = copy.deepcopy(policy_of(product))
        policy["providers"]["targets"][0]["id"] = "elsewhere"
        put(product, policy)
        reload_and_wait(product, IN_FORCE)
        while data := wire.recv(65_536):
            seen += data
    assert parse_answer(seen).status == 200
    assert b"data: [DONE]" in seen
    [row] = settled_events(product, 1, team_id="team_stream")
    assert row["status"] == "ok"


def test_after_a_crash_with_a_broken_file_the_last_good_one_can_serve(product: Product):
    policy = policy_of(product)
    policy["gateway"] = {"hold_wait_s": 77}
    put(product, policy)
    reload_and_wait(product, IN_FORCE)
    good = product.policy_file.read_text()
    replace_file(product, "providers: {}")
    product.gateway.kill()
    command = ["gateway", "run", "--policy-config", str(product.policy_file), "--data-dir", str(product.data_dir)]
    code, said = product.kt_ends(*command, "--port", str(product.gateway_port))
    assert code == 1
    assert "--last-good starts with what worked last" in said
    product.start_gateway("--last-good")
    assert "starting with the last good configuration" in product.gateway.output
    key = funded_key(product, "team_last_good", usd="10")
    assert product.chat(key).status == 200
    before = product.gateway.output.count(IN_FORCE)
    replace_file(product, good + "\n")
    until(lambda: product.gateway.output.count(IN_FORCE) > before, "the mended file is taken")


def test_operators_can_ask_for_a_reload_and_see_what_is_in_force(product: Product):
    operator = {"Authorization": f"Bearer {ADMIN_TOKEN}"}
    url = f"{product.gateway_url}/keeptrusts/config"
    policy = policy_of(product)
    policy["gateway"] = {"hold_wait_s": 99, "durability": "power"}
    put(product, policy)
    answer = ask("POST", f"{url}/reload", {}, operator)
    assert answer.status == 200, answer.body
    seen = ask("GET", url, None, operator).json
    assert seen["config"]["hold_wait_s"] == 99
    assert seen["at_next_start"] == ["gateway.durability"]
    assert "kt_cg_" not in str(seen)
    replace_file(product, "version: '1'\n")
    answer = ask("POST", f"{url}/reload", {}, operator)
    assert answer.status == 422
    assert answer.json["error"]["details"]["problems"][0]["path"] == "providers"
    assert ask("GET", url, None, operator).json["last_error"] is not None
    assert ask("POST", f"{url}/reload", {}, {"X-Consumer-Group": ENGINEERING_KEY}).status in (401, 403)
    put(product, policy)
    assert ask("POST", f"{url}/reload", {}, operator).json["changed"] is False
    assert ask("GET", url, None, operator).json["last_error"] is None


def test_a_file_is_compared_with_what_a_gateway_goes_by(product: Product):
    policy = policy_of(product)
    policy["gateway"] = {"hold_wait_s": 33}
    put(product, policy)
    reload_and_wait(product, IN_FORCE)
    with_gateway = ("--gateway", product.gateway_url)
    assert product.kt("policy", "diff", str(product.policy_file), *with_gateway) == "no difference\n"
    policy["gateway"] = {"hold_wait_s": 44}
    other = write_policy(policy, product.directory / "other.yaml")
    code, said = product.kt_ends("policy", "diff", str(other), *with_gateway)
    assert (code, said) == (1, "~ hold_wait_s 33 s -> 44 s\n")
