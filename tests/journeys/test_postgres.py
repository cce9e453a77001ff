"""Two API processes and two gateways on one PostgreSQL, as on two machines: one wallet, one set of books."""

import asyncio
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.journeys.books import allocate, issue_key, nanos, nothing_held, settled_events
from tests.journeys.crowd import ask_together, chat_bytes
from tests.journeys.policy_files import write_policy
from tests.journeys.processes import KT, free_port, until
from tests.journeys.product import Key, Product
from tests.journeys.web import ask
from tests.store.real_postgres import command, server

PROMPT = "Write a short haiku about cloud computing."
COST_NANOS = 14 * 150 + 25 * 600
CALLERS = 150
AFFORDED = 110
BUDGET_NANOS = AFFORDED * COST_NANOS
PEPPER = "5a" * 32


def known_everywhere(key: Key, ports: list[int]) -> None:
    for port in ports:
        url = f"http://127.0.0.1:{port}/v1/models"
        until(lambda url=url: ask("GET", url, headers=key.headers).status == 200, "the key is known")  # type: ignore[misc]


@pytest.fixture
def product(tmp_path: Path) -> Iterator[Product]:
    """A product whose API keeps its ledger in a database of its own."""
    asyncio.run(command("CREATE DATABASE journey"))
    product = Product(tmp_path)
    product.env["KEEPTRUSTS_DATABASE_URL"] = server().url("journey")
    product.env["KEEPTRUSTS_KEY_PEPPER"] = PEPPER
    try:
        product.start()
        yield product
    finally:
        product.close()
        asyncio.run(command("DROP DATABASE journey WITH (FORCE)"))


def start_another_machine(product: Product) -> int:
    """An API and a gateway that speaks to it, with data of their own; the gateway's port."""
    api_port, port, elsewhere = free_port(), free_port(), product.directory / "elsewhere"
    api = product._start(
        [KT, "api", "run", "--port", str(api_port), "--data-dir", str(elsewhere / "api")], "another-api.log"
    )
    api_url = f"http://127.0.0.1:{api_port}"
    api.wait_for(lambda: product.network.ready(api_url), "another API ready")
    policy = write_policy(product._policy(product.provider_url, api_url), product.directory / "another.yaml")
    gateway = product._start(
        [
            KT,
            "gateway",
            "run",
            "--policy-config",
            str(policy),
            "--port",
            str(port),
            "--data-dir",
            str(elsewhere / "gw"),
        ],
        "another.log",
    )
    gateway.wait_for(lambda: product.network.ready(f"http://127.0.0.1:{port}"), "another gateway ready")
    return port


def test_two_machines_spend_one_wallet_to_the_last_cent_and_not_over(product: Product) -> None:
    ports = [product.gateway_port, start_another_machine(product)]
    key = issue_key(product, "team_race")
    known_everywhere(key, ports)
    allocate(product, "team_race", f"{BUDGET_NANOS / 1e9:.9f}")
    request = chat_bytes("gpt-4o-mini", PROMPT, key.headers, max_tokens=25)
    asked, statuses = 0, Counter[int]()
    while not asked or statuses[503]:
        # On a busy machine a grant may not come in time: 503, never a free pass. Asked again, as its Retry-After says.
        statuses = Counter(answer.status for answer in ask_together(ports, [request] * CALLERS))
        asked += CALLERS
        assert statuses.keys() <= {200, 402, 503}
        assert asked < 10 * CALLERS

    assert statuses[402] > 0
    truth_nanos = sum(served.cost_nanos for served in product.truth())
    assert BUDGET_NANOS * 0.97 <= truth_nanos <= BUDGET_NANOS
    rows = settled_events(product, asked, 30.0, team_id="team_race")
    assert len({event["request_id"] for event in rows}) == len(rows) == asked
    assert nanos(nothing_held(product, "team_race")["spent"]) == truth_nanos
    logs = [path.read_text() for path in product.directory.glob("*.log")]
    assert not any("secret@" in log or PEPPER in log for log in logs)
    assert any("Ledger in PostgreSQL at 127.0.0.1" in log for log in logs)


def test_an_api_that_cannot_reach_its_database_says_so_without_the_password(product: Product) -> None:
    product.env["KEEPTRUSTS_DATABASE_URL"] = "postgresql://kt:hush@127.0.0.1:1/ledger"
    data = str(product.directory / "nowhere")
    program = product._start([KT, "api", "run", "--port", str(free_port()), "--data-dir", data], "refused.log")
    assert program.wait() == 1
    assert "PostgreSQL at 127.0.0.1:1, database ledger" in program.output
    assert "hush" not in program.output
