"""What a call is told when its team's budget can't pay for it, or can't be asked."""

from keeptrusts.core.money import usd
from keeptrusts.core.refusal import Reason, Refused
from keeptrusts.gateway.purse import Account

RETRY_AFTER_S = 1
"""What a call is told that waited in vain for money which is not spent, only held."""

ALONE = "This gateway has no control plane to ask for budget."
AWAY = "The budget can't be verified right now: the control plane is out of reach."
REJECTED = "The budget can't be verified right now: the control plane refused this gateway's question."
SLOW = "The budget can't be verified right now: the control plane did not answer in time."


def unverifiable(message: str) -> Refused:
    """Nobody can say whether there is money: never a free pass."""
    return Refused(Reason.BUDGET_UNVERIFIABLE, message)


def crowded(bound: int) -> Refused:
    """Too many calls of one team wait already."""
    return unverifiable(f"More than {bound} calls of this team are waiting for budget: try again in a moment.")


def refusal(account: Account, retry_after_s: int | None = None) -> Refused:
    """Why a call that waits can't be helped: the store is away, or has no more."""
    if account.away is not None:
        return unverifiable(account.away)
    if account.view is not None and account.view.stopped is not None:
        return stopped(account.view.stopped)
    return Refused(Reason.INSUFFICIENT_BALANCE, "insufficient balance", retry_after_s=retry_after_s)


def stopped(wallet: str) -> Refused:
    """A wallet of the call's way is frozen or closed."""
    return Refused(
        Reason.WALLET_STOPPED,
        f"The wallet {wallet} is frozen or closed: ask whoever runs your platform.",
        {"wallet": wallet},
    )


def insufficient(account: Account, hold_nanos: int, group: str, retry_after_s: int | None) -> Refused:
    """The tutorial's refusal: who, which budget, what is spent, and what this call could cost."""
    view = account.view
    details = {
        "team": group,
        "budget": usd(view.budget if view is not None else 0),
        "spent": usd(account.spent_nanos),
        "estimated_cost": usd(hold_nanos),
    }
    if view is not None and view.wallet and view.wallet != f"team:{account.team_id}":
        # Not the team's own budget, but one above or beside it.
        details["wallet"] = view.wallet
    return Refused(Reason.INSUFFICIENT_BALANCE, f"Budget exceeded for consumer group: {group}", details, retry_after_s)
