"""A wallet as the API answers it, read into a value; how a team that a person named is found among them; the tree."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from decimal import Decimal
from typing import Any

from keeptrusts.cli.api_client import Api, Unreachable
from keeptrusts.cli.failure import SAID_NO, Failure
from keeptrusts.cli.printable import printable

TEAMS_NAMED_MAX = 20


@dataclass(frozen=True, slots=True)
class Wallet:
    """One wallet in its current period. ``start`` and ``end`` bound it half-open; amounts are USD, exact.

    ``team_id`` is the scope's id, whatever the scope.
    """

    team: str
    team_id: str
    period: str
    start: datetime
    end: datetime
    budget: Decimal
    spent: Decimal
    reserved: Decimal
    available: Decimal
    scope: str = "team"
    wallet_id: str = ""
    parent: str | None = None
    state: str = "active"

    @property
    def first_day(self) -> date:
        return self.start.date()

    @property
    def last_day(self) -> date:
        """The last day that belongs to the period."""
        return (self.end - timedelta(microseconds=1)).date()


def read_wallet(answer: Any) -> Wallet:
    """The wallet in a balance object. Raises Failure when the API sent another shape."""
    try:
        period = answer["period"]
        return Wallet(
            team=printable(answer.get("team") or str(answer["team_id"]).removeprefix("team_")),
            team_id=printable(answer["team_id"]),
            period=period["name"],
            start=datetime.fromisoformat(period["start"]),
            end=datetime.fromisoformat(period["end"]),
            budget=Decimal(answer["allocated"]),
            spent=Decimal(answer["spent"]),
            reserved=Decimal(answer["reserved"]),
            available=Decimal(answer["available"]),
            scope=printable(answer.get("scope", "team")),
            wallet_id=answer.get("wallet_id", ""),
            parent=answer.get("parent"),
            state=printable(answer.get("state", "active")),
        )
    except (KeyError, TypeError, AttributeError, ValueError, ArithmeticError):
        raise Unreachable(
            "the API's balance has another shape: this `kt` and the API are of different versions"
        ) from None


def list_wallets(api: Api) -> list[Wallet]:
    """Every team's wallet, by team name."""
    wallets = [wallet for wallet in every_wallet(api) if wallet.scope == "team"]
    return sorted(wallets, key=lambda wallet: (wallet.team, wallet.team_id, wallet.start))


def every_wallet(api: Api) -> list[Wallet]:
    """Every wallet of every scope."""
    return [read_wallet(row) for page in api.pages("wallets", "data") for row in page]


def in_tree(wallets: Sequence[Wallet]) -> list[tuple[int, Wallet]]:
    """Each wallet after the one that it draws on, with how deep it stands; those that draw on nothing first of all."""
    known = {wallet.wallet_id for wallet in wallets}
    below: dict[str | None, list[Wallet]] = {}
    for wallet in sorted(wallets, key=lambda it: (it.scope, it.team_id, it.start)):
        below.setdefault(wallet.parent if wallet.parent in known else None, []).append(wallet)
    found: list[tuple[int, Wallet]] = []

    def add(parent: str | None, depth: int) -> None:
        for wallet in below.get(parent, ()):
            first = all(wallet.wallet_id != other.wallet_id for _, other in found)
            found.append((depth, wallet))
            if first:
                add(wallet.wallet_id, depth + 1)

    add(None, 0)
    return found


def all_wallets(api: Api) -> list[Wallet]:
    """Every team's wallet, by team name. Raises Failure when there is none yet."""
    wallets = list_wallets(api)
    if not wallets:
        raise Failure(
            "no team has a wallet yet: allocate one with `kt wallets allocate --team NAME --amount USD`. "
            "If teams do spend, is api.url set in the gateway's policy-config.yaml and KEEPTRUSTS_API_TOKEN exported "
            "where it runs? Without them its calls do not reach this API",
            SAID_NO,
        )
    return wallets


def wallets_of(asked: str, wallets: Sequence[Wallet]) -> list[Wallet]:
    """The wallets of the team with this id, else with this display name. Raises Failure naming the known teams."""
    found = _matching(asked, wallets)
    if found:
        return found
    names = list(dict.fromkeys(wallet.team for wallet in wallets))
    more = f" and {len(names) - TEAMS_NAMED_MAX} more" if len(names) > TEAMS_NAMED_MAX else ""
    raise Failure(
        f"no wallet for team {printable(asked)!r}: known teams are {', '.join(names[:TEAMS_NAMED_MAX])}{more}", SAID_NO
    )


def known_team_id(asked: str, api: Api) -> str | None:
    """The id behind a team's name or id; None where no wallet knows it."""
    found = _matching(asked, list_wallets(api))
    return found[0].team_id if found else None


def _matching(asked: str, wallets: Sequence[Wallet]) -> list[Wallet]:
    by_id = [wallet for wallet in wallets if wallet.team_id == asked]
    by_name = [wallet for wallet in wallets if wallet.team.casefold() == asked.casefold()]
    found = by_id or by_name
    ids = sorted({wallet.team_id for wallet in found})
    if len(ids) > 1:
        raise Failure(f"several teams are called {printable(asked)!r}: say which by its id, {', '.join(ids)}")
    return found
