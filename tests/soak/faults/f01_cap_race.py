"""F1: very many callers at once at a wallet that affords some of them, on every node at the same moment."""

from collections.abc import Iterator

from tests.journeys.policy_files import Policy, enforcing
from tests.soak.checker import check, close_books
from tests.soak.load import all_at_once
from tests.soak.scenario import Ground, Scenario
from tests.soak.site import Shape, running_site
from tests.soak.trial import Trial

CALLERS = 1_000
SHORT_CALLERS = 300
PROMPTS = ("Write a short haiku about cloud computing. [[out=25]]", "Say a word. [[out=9]]", "Hush. [[out=1]]")
MOST_NANOS = 14 * 150 + 25 * 600
"""What the dearest of the prompts costs."""
HOLD_NANOS = 41_200
"""What it is held at: a token per byte of the request, and all 25 of the answer."""


def patient(provider_url: str, api_url: str) -> Policy:
    """With a thousand calls at once on few cores, money may be on its way for longer than the usual two seconds."""
    return {**enforcing(provider_url, api_url), "gateway": {"reserve_wait_ms": 10_000}}


def race(ground: Ground) -> Iterator[Trial]:
    """One wallet and one race per trial; every fourth is the design's thousand, the rest are a crowd of three hundred."""
    with running_site(ground.directory, Shape(ground.engine, ground.nodes, policy=patient)) as site:
        for number in range(ground.trials):
            callers = CALLERS if number % 4 == 1 else SHORT_CALLERS
            # Holds are at most 1 % of the budget, which is what the 99 % are promised for, and the callers ask for more.
            least = 100 * HOLD_NANOS / (MOST_NANOS * callers)
            budget = int(MOST_NANOS * callers * ground.draw.uniform(least, 0.94))
            account = site.account(budget)
            prompts = PROMPTS[:1] if number % 3 else PROMPTS
            all_at_once(site, account, callers, prompts, max_tokens=25)
            unknown = set(account.statuses) - {200, 402, 503}
            problems = [f"an answer with status {status}" for status in sorted(unknown)]
            yield check(site, account, exhausts=len(prompts) == 1, problems=problems)
        yield close_books(site)


SCENARIOS = (Scenario("F1", "cap race", race, full=126, small=2),)
