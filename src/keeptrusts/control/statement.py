"""The statement lines of a batch: each attempt that was settled or voided, with the balance it left behind."""

from typing import Literal

from keeptrusts.control.accounts import name_of
from keeptrusts.core.ledger.entry import Entry
from keeptrusts.core.ledger.records import Attempt
from keeptrusts.core.ledger.standing import PeriodKey, key_of
from keeptrusts.core.ledger.wallet import Wallet, WalletPeriod


class Statement:
    """Gathers lines in the order of the journal and keeps each period's running balance."""

    def __init__(self, actor: str, at_ns: int) -> None:
        self.entries: list[Entry] = []
        self._actor = actor
        self._at_ns = at_ns
        self._balances: dict[PeriodKey, int] = {}
        self._names: dict[PeriodKey, str] = {}

    def settle(self, wallet: Wallet, period: WalletPeriod, call_id: str, attempt: Attempt) -> None:
        """An attempt ended: its cost, or the hold that went back when nothing was billed."""
        if attempt.outcome == "void" and attempt.cost_nanos == 0:
            self._add(wallet, period, "void", attempt.hold_nanos, 0, call_id, None)
            return
        doubt = "outcome unknown: posted at its hold" if attempt.outcome == "indeterminate" else None
        self._add(wallet, period, "settle", attempt.cost_nanos, attempt.cost_nanos, call_id, doubt)

    def spend(self, wallet: Wallet, period: WalletPeriod, call_id: str, nanos: int) -> None:
        """A call cost money that no lease held."""
        self._add(wallet, period, "settle", nanos, nanos, call_id, "no wallet was enforced")

    def period_key(self, wallet: Wallet, period: WalletPeriod) -> str:
        """The period's name within its wallet."""
        return self._name(wallet, period, key_of(period))

    def _name(self, wallet: Wallet, period: WalletPeriod, key: PeriodKey) -> str:
        name = self._names.get(key)
        if name is None:
            name = self._names[key] = name_of(wallet, period)
        return name

    def _add(
        self,
        wallet: Wallet,
        period: WalletPeriod,
        kind: Literal["settle", "void"],
        amount: int,
        spent: int,
        call_id: str,
        description: str | None,
    ) -> None:
        key = key_of(period)
        balance = self._balances.get(key, period.funds - period.spent) - spent
        self._balances[key] = balance
        name = self._name(wallet, period, key)
        self.entries.append(
            Entry(period.wallet_id, kind, amount, balance, name, call_id, self._actor, description, self._at_ns)
        )
