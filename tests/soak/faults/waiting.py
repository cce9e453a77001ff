"""Rows of the matrix whose cure is not part of the product yet: named in the table, so that nobody takes them for passed."""

from collections.abc import Iterator

from tests.soak.scenario import Ground, Scenario
from tests.soak.trial import Trial


def _nothing(ground: Ground) -> Iterator[Trial]:
    yield from ()


def _recovery_mode() -> str:
    return "a store that lost commits needs the recovery mode, which this release does not have"


def _retiring() -> str:
    return "a lost journal's leases need `kt ledger node retire`, which this release does not have"


SCENARIOS = (
    Scenario("F7", "store commits lost", _nothing, 30, unavailable=_recovery_mode),
    Scenario("F8", "store destroyed", _nothing, 30, unavailable=_recovery_mode),
    Scenario("F11", "node and its disk gone", _nothing, 30, unavailable=_retiring),
    Scenario("F21", "ledger without its -wal", _nothing, 30, engines=("sqlite",), unavailable=_recovery_mode),
)
