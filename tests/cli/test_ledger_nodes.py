"""`kt ledger node` and `kt ledger suspense`: who is lost, what is in doubt, and saying what became of it."""

import json
from decimal import Decimal
from typing import Any

import pytest

from tests.cli.conftest import Kt
from tests.cli.fake_api import Exact, FakeApi, event

NODE = {
    "id": "nod_1",
    "hostname": "host-a",
    "version": "1",
    "state": "live",
    "alive": False,
    "leases": 2,
    "leased": Exact("0.4"),
    "suspense": Exact("0"),
    "journal_seq": 9,
    "registered_at": "2026-04-15T09:30:00Z",
    "config_fingerprint": "1a2b3c",
    "config_version": None,
}
ITEM = {
    "lease_id": "lse_1",
    "gateway_id": "nod_1",
    "hostname": "host-a",
    "amount": Exact("0.4"),
    "why": "its node was retired",
    "since": "2026-04-15T09:31:00Z",
    "wallets": [{"wallet_id": "wal_1", "scope": "team", "scope_id": "team_a", "period": "monthly:2026-04-01"}],
}


@pytest.fixture
def ledger(at: FakeApi) -> FakeApi:
    def resolve(_: Any, body: Any) -> Any:
        return {
            "lease_id": "lse_1",
            "spent": Exact(format(body["spent"], "f")),
            "freed": Exact(format(Decimal("0.4") - body["spent"], "f")),
            "wallets": ITEM["wallets"],
        }

    at.more_routes = {
        ("GET", "/v1/gateways"): lambda query, _: {"data": [NODE], "next_cursor": None},
        ("POST", "/v1/gateways/nod_1/retire"): lambda _, body: {**NODE, "state": "retired"},
        ("GET", "/v1/ledger/suspense"): lambda query, _: {"data": [ITEM], "next_cursor": None},
        ("POST", "/v1/ledger/suspense/lse_1/resolve"): resolve,
    }
    return at


def test_nodes_with_what_they_hold(kt: Kt, ledger: FakeApi) -> None:
    heading, row = kt("ledger", "node", "list").out.splitlines()
    assert heading.split()[:4] == ["Node", "Host", "State", "Leases"]
    assert row.split() == ["nod_1", "host-a", "silent", "2", "$0.40", "$0.00", "1a2b3c", "2026-04-15T09:30:00Z"]
    assert ledger.asked[-1][2]["state"] == "open"
    assert json.loads(kt("ledger", "node", "list", "--all", "--format", "json").out)[0]["id"] == "nod_1"
    assert ledger.asked[-1][2]["state"] == "all"


def test_a_node_is_given_up(kt: Kt, ledger: FakeApi) -> None:
    assert "retired" in kt("ledger", "node", "retire", "nod_1").out
    assert ledger.asked[-1][3] == {"force": False}
    kt("ledger", "node", "retire", "nod_1", "--force")
    assert ledger.asked[-1][3] == {"force": True}


def test_what_is_in_suspense(kt: Kt, ledger: FakeApi) -> None:
    ran = kt("ledger", "suspense", "list")
    assert (ran.code, ran.err) == (0, "")
    _, row = ran.out.splitlines()
    assert row.startswith("lse_1  $0.40   team:team_a monthly:2026-04-01  nod_1  host-a  2026-04-15T09:31:00Z")
    assert row.endswith("its node was retired")


def test_calls_of_unknown_outcome_are_a_second_part(kt: Kt, ledger: FakeApi) -> None:
    ledger.events = [event(1, usage_source="worst_case", status="recovered", reason="node_crashed")]
    ran = kt("ledger", "suspense", "list", "--calls", "--since", "7d")
    assert "evt_000001" in ran.out.splitlines()[-1]
    assert ledger.asked[-1][2] | {"limit": ""} == {"usage_source": "worst_case", "since": "7d", "limit": ""}
    told = json.loads(kt("ledger", "suspense", "list", "--calls", "--format", "json").out)
    assert (len(told["leases"]), len(told["calls"])) == (1, 1)


def test_saying_what_was_spent(kt: Kt, ledger: FakeApi) -> None:
    ran = kt("ledger", "suspense", "resolve", "lse_1", "--spent", "0.150000001", "--note", "bill 7")
    assert ledger.asked[-1][3] == {"spent": Decimal("0.150000001"), "note": "bill 7"}
    assert ran.out == "lse_1: $0.15 posted, $0.25 free again in team:team_a monthly:2026-04-01\n"


@pytest.mark.parametrize("amount", ["many", "-1", "NaN", "0.0000000001"])
def test_what_is_no_amount_is_not_sent(kt: Kt, ledger: FakeApi, amount: str) -> None:
    ran = kt("ledger", "suspense", "resolve", "lse_1", f"--spent={amount}")
    assert (ran.code, ran.err.startswith("kt: --spent: ")) == (2, True)
    assert not ledger.asked
