"""The statement lines of a batch: each attempt that was settled or voided, with the balance it left behind."""

from collections.abc import Mapping
from typing import Literal

from msgspec import Struct

from keeptrusts.control.accounts import name_of
from keeptrusts.core.ledger.entry import Entry
from keeptrusts.core.ledger.records import Attempt
from keeptrusts.core.ledger.standing import PeriodKey
from keeptrusts.core.ledger.wallet import Wallet, WalletPeriod


class RunningBalance(Struct):
    """What a wallet has left in a period, line after line, in nano-USD, from ``Statement.begin`` on; ``period_key`` is the
    period's name."""

    wallet_id: str
    period_key: str
    nanos: int = 0


class Statement:
    """Gathers lines in the order of the journal; ``begin`` comes before the first."""

    def __init__(self, actor: str, at_ns: int) -> None:
        self.entries: list[Entry] = []
        self._actor = actor
        self._at_ns = at_ns
        self._balances: dict[PeriodKey, RunningBalance] = {}
        self._begun = False

    def balance_of(self, wallet: Wallet, key: PeriodKey) -> RunningBalance:
        """The one balance of this period, which every line of it lowers."""
        balance = self._balances.get(key)
        if balance is None:
            assert not self._begun, "it would begin at nothing"
            balance = self._balances[key] = RunningBalance(wallet.wallet_id, name_of(wallet, key))
        return balance

    def begin(self, periods: Mapping[PeriodKey, WalletPeriod]) -> None:
        """Every balance begins with what its period has left now. From here on there are no others."""
        self._begun = True
        for key, balance in self._balances.items():
            balance.nanos = periods[key].funds - periods[key].spent

    def settle(self, balance: RunningBalance, call_id: str, attempt: Attempt) -> None:
        """An attempt ended: its cost, or the hold that went back when nothing was billed."""
        cost = attempt.cost_nanos
        if attempt.outcome == "void" and cost == 0:
            self._add(balance, "void", attempt.hold_nanos, call_id, None)
            return
        balance.nanos -= cost
        doubt = "outcome unknown: posted at its hold" if attempt.outcome == "indeterminate" else None
        self._add(balance, "settle", cost, call_id, doubt)

    def spend(self, balance: RunningBalance, call_id: str, nanos: int) -> None:
        """A call cost money that no lease held."""
        balance.nanos -= nanos
        self._add(balance, "settle", nanos, call_id, "no wallet was enforced")

    def _add(
        self,
        balance: RunningBalance,
        kind: Literal["settle", "void"],
        amount: int,
        call_id: str,
        description: str | None,
    ) -> None:
        self.entries.append(
            Entry(
                balance.wallet_id,
                kind,
                amount,
                balance.nanos,
                balance.period_key,
                call_id,
                self._actor,
                description,
                self._at_ns,
            )
        )
