"""The ledger's database is put back to an older state, or lost: nothing is overspent by the provider's own count, and every row
comes back from the gateways' journals."""

import shutil
from pathlib import Path

import apsw
import pytest

from tests.journeys.books import Event, allocate, balance, events, funded_key, issue_key, nanos
from tests.journeys.processes import until
from tests.journeys.product import PRICES, Key, Product, running_product
from tests.journeys.test_outages import every_call_has_its_row
from tests.journeys.web import Answer, ask

pytestmark = pytest.mark.xdist_group("journeys-crash")

ENDS_S = 45.0
"""A recovery lasts ten seconds at least."""


def back_up(product: Product, target: Path) -> None:
    """As ``sqlite3 ledger.db ".backup ..."`` does it beside a running API."""
    source = apsw.Connection(str(product.data_dir / "ledger.db"), flags=apsw.SQLITE_OPEN_READONLY)
    copy = apsw.Connection(str(target))
    with copy.backup("main", source, "main") as backup:
        backup.step()
    copy.close()
    source.close()


def lose_database(product: Product) -> None:
    for left in product.data_dir.glob("ledger.db*"):
        left.unlink()


def rows(product: Product) -> dict[str, Event]:
    """The lost team's rows by id. What keys are called is not in the journals."""
    found = events(product, team_id="team_lost")
    return {row["id"]: {name: value for name, value in row.items() if name != "gateway_key_name"} for row in found}


def recovering(product: Product) -> bool:
    answer = product.admin("GET", "/v1/ledger/recovery")
    assert answer.status == 200, answer.body
    return bool(answer.json["recovering"])


def small_call(product: Product, key: Key, port: int) -> Answer:
    """A call whose hold is a small share of the budget, through one of the gateways."""
    body = {"model": "gpt-4o-mini", "max_tokens": 60, "messages": [{"role": "user", "content": "Say a word."}]}
    return ask("POST", f"http://127.0.0.1:{port}/v1/chat/completions", body, key.headers)


def spend_all(product: Product, key: Key, ports: list[int], deadline_s: float = 60.0) -> None:
    """Calls through all gateways until each of them says that the budget is used up."""

    def used_up() -> bool:
        statuses = [small_call(product, key, port).status for port in ports]
        assert set(statuses) <= {200, 402, 503}
        return statuses == [402] * len(ports)

    until(used_up, "the budget is used up", deadline_s)


def test_an_older_database_overspends_nothing_and_gets_every_row_back(tmp_path: Path) -> None:
    """F7: the backup was taken before any money was granted, two gateways hold nearly all of it, and a third
    has ended well and left its journal."""
    with running_product(tmp_path) as product:
        key = funded_key(product, "team_restored", "0.002")
        ports = [product.gateway_port, product.start_another_gateway()]
        until(lambda: small_call(product, key, ports[1]).status != 401, "the other gateway knows the key")
        back_up(product, tmp_path / "backup.db")
        for _ in range(8):
            assert {small_call(product, key, port).status for port in ports} == {200}
        assert product.gateway.stop() == 0
        product.start_gateway()
        assert small_call(product, key, ports[0]).status == 200
        served = len(product.truth())
        until(lambda: len(events(product, team_id="team_restored")) >= served, "everything is shipped")
        assert product.api.stop() == 0

        lose_database(product)
        shutil.copyfile(tmp_path / "backup.db", product.data_dir / "ledger.db")
        product.start_api()
        assert recovering(product)
        during = [small_call(product, key, port) for _ in range(5) for port in ports]
        for answer in during:
            assert answer.status in (200, 503)
            if answer.status == 503:
                assert answer.error["code"] == "budget_unverifiable"
                assert int(answer.headers["retry-after"]) >= 1
        until(lambda: not recovering(product), "the recovery ends by itself", ENDS_S)

        spend_all(product, key, ports)
        every_call_has_its_row(product, "team_restored")
        paid = sum(call.cost_nanos for call in product.truth())
        assert paid <= 2_000_000, "nothing overspent, by the provider's own count"
        assert paid > 1_800_000, "and nothing stranded"
        assert "RECOVERY MODE" in product.api.output


def test_a_ledger_that_is_gone_is_rebuilt_from_the_journals(tmp_path: Path) -> None:
    """F8: no backup at all. Rows and sums are there again; keys and budgets are people's to give anew."""
    with running_product(tmp_path) as product:
        key = funded_key(product, "team_lost", "1")
        for _ in range(15):
            assert small_call(product, key, product.gateway_port).status == 200
        product.gateway.stop()
        product.start_gateway()
        for _ in range(5):
            assert small_call(product, key, product.gateway_port).status == 200
        until(lambda: len(events(product, team_id="team_lost")) == 20, "everything is shipped")
        before = rows(product)
        assert product.api.stop() == 0

        lose_database(product)
        said = product.kt("ledger", "rebuild", "--journals", str(product.data_dir), "--to", str(tmp_path / "new.db"))
        assert "20 rows were added" in said
        assert "team:team_lost" in said
        shutil.move(tmp_path / "new.db", product.data_dir / "ledger.db")
        product.start_api()
        assert rows(product) == before
        until(lambda: not recovering(product), "the recovery ends by itself", ENDS_S)
        paid = sum(call.cost_nanos for call in product.truth())
        assert nanos(balance(product, "team_lost")["spent"]) == paid

        allocate(product, "team_lost", "1")
        fresh = issue_key(product, "team_lost")
        for price in PRICES:
            assert product.admin("POST", "/v1/model-pricing", {"provider": "openai", **price}).status in (200, 201)
        until(lambda: small_call(product, fresh, product.gateway_port).status == 200, "the new budget is known")
        every_call_has_its_row(product, "team_lost")


def test_a_store_that_is_away_for_a_while_costs_no_row(tmp_path: Path) -> None:
    """F6: served from leases, then 503 with Retry-After, then drained."""
    with running_product(tmp_path) as product:
        key = funded_key(product, "team_away", "0.002")
        port = product.gateway_port
        assert small_call(product, key, port).status == 200
        product.api.kill()
        answers = [small_call(product, key, port)]
        while answers[-1].status == 200:
            answers.append(small_call(product, key, port))
            assert len(answers) < 500
        refused = answers[-1]
        assert (refused.status, refused.error["code"]) == (503, "budget_unverifiable")
        assert int(refused.headers["retry-after"]) >= 1
        assert len(product.truth()) == len(answers), "what was refused was not sent"
        product.start_api()
        until(lambda: small_call(product, key, port).status == 200, "served again", 10.0)
        every_call_has_its_row(product, "team_away")
