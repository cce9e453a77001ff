"""Several workers take one change, and one that dies while the file is broken comes back all the same."""

import os
import signal
from pathlib import Path

import pytest

from tests.journeys.books import funded_key
from tests.journeys.policy_files import enforcing, write_policy
from tests.journeys.processes import descendants, until
from tests.journeys.product import READY_LINE, running_product

pytestmark = pytest.mark.xdist_group("journeys-reload")

WORKERS = 2


def test_all_workers_take_a_change_and_a_dead_one_returns_on_what_worked_last(tmp_path: Path):
    with running_product(tmp_path, workers=WORKERS) as product:
        policy = enforcing(product.provider_url, product.api_url)
        policy["gateway"] = {"hold_wait_s": 77}
        write_policy(policy, product.policy_file)
        os.kill(product.gateway.pid, signal.SIGHUP)
        until(lambda: product.gateway.output.count("is in force") == WORKERS, "every worker took it")
        product.policy_file.write_text("providers: {}")
        until(lambda: product.gateway.output.count("is not taken") == WORKERS, "no worker took that")
        ready = product.gateway.output.count(READY_LINE)
        os.kill(descendants(product.gateway.pid)[0], signal.SIGKILL)
        until(lambda: product.gateway.output.count(READY_LINE) > ready, "a worker is back", 20.0)
        key = funded_key(product, "team_reload_workers", usd="10")
        assert {product.chat(key).status for _ in range(10)} == {200}
        assert product.gateway.ended is None
