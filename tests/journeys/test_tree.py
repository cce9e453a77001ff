"""The tree of 001: an organization's money through departments to teams, projects and keys, by the command line."""

from collections.abc import Iterator

import pytest

from tests.journeys.books import issue_key, nanos, nothing_held
from tests.journeys.processes import until
from tests.journeys.product import Product, running_product

pytestmark = pytest.mark.xdist_group("journeys-tree")

CALL_NANOS = 10 * 150 + 25 * 600


@pytest.fixture(scope="module")
def product(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Product]:
    with running_product(tmp_path_factory.mktemp("tree")) as running:
        yield running


def usd(calls: int) -> str:
    return f"{calls * CALL_NANOS / 1e9:.9f}"


def test_spend_is_booked_all_the_way_up_and_the_tightest_budget_refuses(product: Product) -> None:
    kt = product.kt
    kt("wallets", "allocate", "--wallet", "organization:org_default", "--amount", usd(1000))
    kt("wallets", "allocate", "--wallet", "department:eng", "--amount", usd(100))
    kt("wallets", "allocate", "--wallet", "team:team_tree", "--parent", "department:eng", "--amount", usd(60))
    kt("wallets", "allocate", "--wallet", "team:team_other", "--parent", "department:eng", "--amount", usd(40))
    key, other = issue_key(product, "team_tree"), issue_key(product, "team_other")
    kt("wallets", "allocate", "--wallet", f"key:{key.id}", "--amount", usd(4))
    tree = kt("wallets", "tree").splitlines()
    names = [
        line.split("  ")[0] if not line.startswith(" ") else line[: len(line) - len(line.lstrip())] + line.split()[0]
        for line in tree[1:]
    ]
    assert "organization:org_default" in names[0] + names[1]
    assert any(name == "    team:team_tree" for name in names), "\n".join(tree)

    until(lambda: product.chat(other, max_tokens=25).status == 200, "the other team is served")
    served = 0
    refused = None
    for _ in range(12):
        answer = product.chat(key, max_tokens=25)
        if answer.status == 402:
            refused = answer
            break
        served += answer.status == 200
    assert refused is not None
    assert refused.error["details"]["wallet"] == f"key:{key.id}"
    assert 1 <= served <= 4

    nothing_held(product, "team_tree")
    names = ("organization:org_default", "department:eng", "team:team_tree", "team:team_other", f"key:{key.id}")

    def spent(name: str) -> int:
        return nanos(product.admin("GET", "/v1/wallets/balance", wallet=name).json["spent"])

    all_calls, own_calls = (served + 1) * CALL_NANOS, served * CALL_NANOS
    until(lambda: list(map(spent, names)) == [all_calls, all_calls, own_calls, CALL_NANOS, own_calls], "all is booked")


def test_a_frozen_department_stops_its_teams_within_a_second(product: Product) -> None:
    product.kt("wallets", "allocate", "--wallet", "department:ops", "--amount", usd(100))
    product.kt("wallets", "allocate", "--wallet", "team:team_ops", "--parent", "department:ops", "--amount", usd(60))
    key = issue_key(product, "team_ops")
    assert product.chat(key, max_tokens=25).status == 200
    product.kt("wallets", "freeze", "--wallet", "department:ops")
    refused = until(lambda: (a := product.chat(key, max_tokens=25)).status == 402 and a, "calls are refused", 1.5)
    assert (refused.error["code"], refused.error["details"]["wallet"]) == ("wallet_stopped", "department:ops")
    product.kt("wallets", "unfreeze", "--wallet", "department:ops")
    until(lambda: product.chat(key, max_tokens=25).status == 200, "calls are served again", 3.0)


@pytest.mark.parametrize("amount", [-1, 0, "NaN", "0.0000000001", 1e30])
def test_an_amount_that_is_none_is_refused_and_moves_nothing(product: Product, amount: object) -> None:
    product.kt("wallets", "allocate", "--wallet", "team:team_bad", "--parent", "none", "--amount", "1")
    before = product.admin("GET", "/v1/wallets/balance", team_id="team_bad").json
    for path in ("credit", "reclaim"):
        answer = product.admin("POST", f"/v1/wallets/{path}", {"wallet": "team_bad", "amount": amount})
        assert 400 <= answer.status < 500, (path, answer.body)
        assert "amount" in answer.body.decode()
    moved = product.admin("POST", "/v1/wallets/transfer", {"from": "team_bad", "to": "team_tree", "amount": amount})
    assert 400 <= moved.status < 500
    assert product.admin("GET", "/v1/wallets/balance", team_id="team_bad").json == before
