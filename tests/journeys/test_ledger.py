"""The books of a real product: they hold while it serves and when it has stopped, and an altered row is named."""

from pathlib import Path

import apsw

from tests.journeys.books import funded_key, nothing_held, settled_events
from tests.journeys.processes import until
from tests.journeys.product import Product, running_product


def verified(product: Product, *options: str) -> tuple[int, str]:
    """How `kt ledger verify` ends, and what it says."""
    return product.kt_ends("ledger", "verify", "--data-dir", str(product.data_dir), *options)


def health(product: Product) -> str:
    answer = product.admin("GET", "/v1/ledger/health")
    assert answer.status == 200, answer.body
    return str(answer.json["status"])


def test_the_books_hold_until_somebody_alters_them(tmp_path: Path) -> None:
    with running_product(tmp_path) as product:
        key = funded_key(product, "team_books", "1")
        for number in range(12):
            assert product.chat(key, max_tokens=25, stream=bool(number % 2)).status == 200
        assert product.chat(key, model="no-such-model").status >= 400
        settled_events(product, 13, team_id="team_books")
        assert until(lambda: health(product) == "ok", "the ledger was examined", 40.0)
        code, told = verified(product)
        assert code == 0, told
        assert product.admin("GET", "/metrics").status == 200

        nothing_held(product, "team_books")
        product.gateway.stop()
        code, told = verified(product, "--at-rest")
        assert code == 0, told
        product.api.stop()

        connection = apsw.Connection(str(product.data_dir / "ledger.db"))
        connection.execute("DROP TRIGGER event_no_update")
        connection.execute("UPDATE event SET output_tokens = 1, cost_nanos = 2 WHERE cost_nanos > 0")
        connection.close()
        code, told = verified(product)
        assert code == 1
        for invariant in ("L5: event evt_", "L8: trigger event_no_update", "L9: event evt_"):
            assert invariant in told
