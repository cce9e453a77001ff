"""The organization in which every simulated world plays: its teams, models, prices and policy file."""

from datetime import UTC, datetime

from keeptrusts.control.context import Actor
from keeptrusts.core.ledger.alerts import Threshold
from keeptrusts.core.pricing.price import Rates
from keeptrusts.core.routing.rules import BreakerRules, Failover, Retry, Routing
from keeptrusts.core.routing.target import FIXED_ORDER, GroupModel, ModelGroup, Target
from keeptrusts.core.rulebook.rulebook import ApiLink, CacheRules, ConsumerGroup, Rulebook, SpendControl
from tests.simulation.profile import Profile
from tests.simulation.provider import FIRST_BYTE_S

TEAMS = ("team_a", "team_b", "team_c")
PROJECT = "search"
PROJECTS = {"team_b": {"project": PROJECT}}
DEPARTMENT = "eng"
MODELS = {"gpt-4o-mini": "openai", "gpt-4.1-mini": "azure"}
RATES = {"gpt-4o-mini": Rates(150_001, 600_007), "gpt-4.1-mini": Rates(400_003, 1_600_009)}
FIRST_PRICES = datetime(2025, 1, 1, tzinfo=UTC)
LONGEST_ANSWER = 64
ADMIN = Actor("admin", "admin")


def key_of_team(team: str) -> str:
    """What the team's clients send."""
    return f"kt_cg_the-key-of-{team}"


def rules_of(profile: Profile) -> Rulebook:
    """The policy file of every gateway."""
    targets = tuple(
        Target(f"{provider}-main", provider, base_url=f"http://{provider}/v1", first_byte_timeout_s=FIRST_BYTE_S)
        for provider in MODELS.values()
    )
    group = ModelGroup(
        "smart",
        profile.strategy,
        tuple(
            GroupModel(p, m, None, n if profile.strategy in FIXED_ORDER else 0)
            for n, (m, p) in enumerate(MODELS.items())
        ),
    )
    caps = (SpendControl("team_a", 40 * 60_000, 20 * 60_000, "daily", "notify", "block"),) if profile.caps else ()
    return Rulebook(
        targets=targets,
        groups=tuple(
            ConsumerGroup(team, api_key=key_of_team(team), wallet_team_id=team, attribution=PROJECTS.get(team, {}))
            for team in TEAMS
        ),
        model_groups=(group,),
        routing=Routing(
            failover=Failover(retry=Retry(max_attempts=profile.attempts, base_delay_s=0.05)),
            breaker=BreakerRules(profile.failures_to_rest, cooldown_s=5.0),
        ),
        spend_controls=caps,
        cache=CacheRules(enabled=profile.cache),
        wallet_enforcement=True,
        thresholds=(Threshold(50, "notify"), Threshold(90, "notify")) if profile.thresholds else (),
        api=ApiLink("http://api", "TOKEN"),
        durability=profile.durability,
        min_slice_nanos=10_000,
        max_stale_s=60,
    )
