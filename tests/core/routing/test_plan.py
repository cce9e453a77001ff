"""Where a call can go: a group's models by priority, else whoever serves the name, and none that does not fit."""

from keeptrusts.core.pricing.price import Price, Rates
from keeptrusts.core.pricing.price_book import PriceBook
from keeptrusts.core.routing.plan import fitting, plan, price_at
from keeptrusts.core.routing.target import GroupModel, ModelGroup, Target

MINI = Price("prc_mini", "openai", "gpt-4o-mini", Rates(150_000, 600_000))
BIG = Price("prc_big", "openai", "gpt-4o", Rates(2_500_000, 10_000_000))
BOOK = PriceBook((MINI, BIG))
OPENAI = Target("openai-main", "openai")
SPARE = Target("openai-spare", "openai")
LOCAL = Target("local", "openai-compatible", base_url="http://127.0.0.1:1")
GROUP = ModelGroup(
    "cheap-first",
    "cost-priority",
    (GroupModel("openai", "gpt-4o-mini", 1_000, 1), GroupModel("openai", "gpt-4o", None, 2)),
)


def names(hops: object) -> list[tuple[str, str]]:
    return [(hop.target.id, hop.model) for hop in hops]  # type: ignore[attr-defined]


def test_a_groups_models_come_in_its_order_on_every_target_of_their_provider() -> None:
    hops = plan((OPENAI, LOCAL, SPARE), (GROUP,), BOOK, "cheap-first")
    assert names(hops) == [
        ("openai-main", "gpt-4o-mini"),
        ("openai-spare", "gpt-4o-mini"),
        ("openai-main", "gpt-4o"),
        ("openai-spare", "gpt-4o"),
    ]
    assert [hop.fits_max_tokens for hop in hops] == [1_000, 1_000, None, None]


def test_a_call_that_asks_for_more_than_a_model_may_give_goes_past_it() -> None:
    hops = plan((OPENAI,), (GROUP,), BOOK, "cheap-first")
    assert names(fitting(hops, 1_000)) == [("openai-main", "gpt-4o-mini"), ("openai-main", "gpt-4o")]
    assert names(fitting(hops, 1_001)) == [("openai-main", "gpt-4o")]
    assert names(fitting(hops, None)) == [("openai-main", "gpt-4o-mini"), ("openai-main", "gpt-4o")]


def test_a_name_goes_to_those_that_have_a_price_for_it_first() -> None:
    free = Target("free", "anthropic")
    assert names(plan((free, OPENAI), (), BOOK, "gpt-4o")) == [("openai-main", "gpt-4o"), ("free", "gpt-4o")]


def test_a_target_of_one_model_serves_only_that() -> None:
    fixed = Target("fixed", "openai", model="gpt-4o")
    assert names(plan((fixed,), (), BOOK, "gpt-4o")) == [("fixed", "gpt-4o")]
    assert plan((fixed,), (), BOOK, "gpt-4o-mini") == ()
    assert names(plan((fixed,), (GROUP,), BOOK, "cheap-first")) == [("fixed", "gpt-4o")]


def test_a_stand_in_has_its_vendors_prices_unless_it_has_its_own() -> None:
    assert price_at(BOOK, LOCAL, "gpt-4o") == BIG
    own = Price("prc_own", "openai-compatible", "gpt-4o", Rates(1, 1))
    assert price_at(PriceBook((BIG, own)), LOCAL, "gpt-4o") == own
    at_target = Target("t", "openai", price=own)
    assert price_at(BOOK, at_target, "gpt-4o") == own
    assert price_at(BOOK, Target("a", "anthropic"), "gpt-4o") is None


def test_nobody_serves_it() -> None:
    assert plan((), (GROUP,), BOOK, "cheap-first") == ()
    assert plan((), (), BOOK, "gpt-4o") == ()
