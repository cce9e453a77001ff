"""F12 and F17: what people change under running calls (keys, budgets, freezes, prices), and what clocks do."""

import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

from tests.journeys.books import balance
from tests.journeys.product import PRICES
from tests.soak.checker import check, close_books
from tests.soak.load import Load
from tests.soak.scenario import Ground, Scenario
from tests.soak.site import Account, Shape, Site, running_site, usd
from tests.soak.trial import Trial

CALL_NANOS = 17_100
HEARD_WITHIN_S = 1.0
"""How soon every node has heard of a revocation or a freeze."""

WATCHED_S = 0.7
CLOCK_STEPS_S = (0.0, 3_600.0, -3_600.0, 86_400.0, -86_400.0, 40.0, -40.0)


def rules_change(ground: Ground) -> Iterator[Trial]:
    """A change in the middle of the load, by turns of each kind."""
    kinds = (_revoke, _freeze, _lower, _raise, _dearer)
    with running_site(ground.directory, Shape(ground.engine, ground.nodes)) as site:
        for number in range(ground.trials):
            account = site.account(CALL_NANOS * 3_000)
            with Load(site, account, 8, seed=ground.draw.getrandbits(32), pause_s=0.01) as load:
                load.wait_served(ground.draw.randint(5, 60))
                problems, factors = kinds[number % len(kinds)](site, account)
            yield check(site, account, problems=problems, price_factors=factors)
        yield close_books(site)


def _silence_after(site: Site, account: Account, what: str) -> list[str]:
    """Calls go on coming for a while: none of them may be sent once everybody has heard."""
    time.sleep(HEARD_WITHIN_S)
    before = len(site.served_to(account))
    time.sleep(WATCHED_S)
    sent = len(site.served_to(account)) - before
    return [f"{sent} calls were sent more than {HEARD_WITHIN_S} s after {what}"] if sent else []


def _revoke(site: Site, account: Account) -> tuple[list[str], tuple[int, ...]]:
    assert site.admin("DELETE", f"/v1/tokens/{account.key.id}").status in (200, 204)
    return _silence_after(site, account, "its key was revoked"), (1,)


def _freeze(site: Site, account: Account) -> tuple[list[str], tuple[int, ...]]:
    wallet_id = balance(site, account.team)["wallet_id"]
    assert site.admin("POST", f"/v1/wallets/{wallet_id}/freeze", {}).status == 200
    problems = _silence_after(site, account, "its wallet was frozen")
    assert site.admin("POST", f"/v1/wallets/{wallet_id}/unfreeze", {}).status == 200
    return problems, (1,)


def _lower(site: Site, account: Account) -> tuple[list[str], tuple[int, ...]]:
    body = {"team_id": account.team, "amount": usd(CALL_NANOS), "currency": "USD"}
    assert site.admin("POST", "/v1/wallets/allocate", body).status == 200
    return _silence_after(site, account, "its budget was lowered under what is spent"), (1,)


def _raise(site: Site, account: Account) -> tuple[list[str], tuple[int, ...]]:
    account.budget_nanos *= 2
    body = {"team_id": account.team, "amount": usd(account.budget_nanos), "currency": "USD"}
    assert site.admin("POST", "/v1/wallets/allocate", body).status == 200
    time.sleep(0.2)
    return [], (1,)


def _dearer(site: Site, account: Account) -> tuple[list[str], tuple[int, ...]]:
    """Twice the price for a while: each row is worked out at one price or at the other, never at both."""
    price = {"provider": "openai", **PRICES[0]}
    twice = {name: value * 2 if isinstance(value, float) else value for name, value in price.items()}
    assert site.admin("POST", "/v1/model-pricing", twice).status in (200, 201)
    time.sleep(0.7)
    assert site.admin("POST", "/v1/model-pricing", price).status in (200, 201)
    time.sleep(1.2)
    return [], (1, 2)


def clocks_jump(ground: Ground) -> Iterator[Trial]:
    """The wall clocks of the API and of every node jump by an hour or a day, forth and back, under load, on a daily budget:
    no day gets more than its budget."""
    file = ground.directory.parent / "clock"
    file.write_text("0")
    shape = Shape(ground.engine, ground.nodes, afflictions=("--clock", str(file)))
    with running_site(ground.directory, shape) as site:
        for _ in range(ground.trials):
            file.write_text("0")
            yield _jumping(site, ground, file)
        yield close_books(site)


def _jumping(site: Site, ground: Ground, file: Path) -> Trial:
    budget = CALL_NANOS * ground.draw.choice((20, 60))
    account = site.account_of(f"team_clock{ground.draw.getrandbits(40):x}", budget)
    body = {"team_id": account.team, "amount": usd(budget), "currency": "USD", "period": "daily"}
    assert site.admin("POST", "/v1/wallets/allocate", body).status == 200
    days = {_day(0.0)}
    # At the edge, and far from it: to the last seconds of the day, and over them.
    midnight = (datetime.now(UTC) + timedelta(days=1)).replace(hour=0, minute=0, second=0, microsecond=0)
    to_midnight_s = (midnight - datetime.now(UTC)).total_seconds()
    with Load(site, account, 6, seed=ground.draw.getrandbits(32), pause_s=0.01) as load:
        load.wait_served(5)
        for step_s in ground.draw.sample([*CLOCK_STEPS_S, to_midnight_s - 0.3, to_midnight_s + 0.3], 4):
            days.add(_day(step_s))
            file.write_text(str(step_s))
            time.sleep(ground.draw.uniform(0.3, 0.8))
            days.add(_day(step_s))
        file.write_text("0")
        days.add(_day(0.0))
        time.sleep(0.3)
    account.budget_nanos = budget * len(days)
    return check(site, account, one_period=False)


def _day(offset_s: float) -> str:
    return (datetime.now(UTC) + timedelta(seconds=offset_s)).date().isoformat()


SCENARIOS = (
    Scenario("F12", "clocks jump", clocks_jump, full=8),
    Scenario("F17", "rules change under running calls", rules_change, full=10, small=2),
)
