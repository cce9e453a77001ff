"""Where a call can go: a group's models by priority, else whoever serves the name, and none that does not fit."""

import msgspec

from keeptrusts.core.pricing.price import Price, Rates, Tier
from keeptrusts.core.pricing.price_book import PriceBook
from keeptrusts.core.routing import plan as planning
from keeptrusts.core.routing.plan import fitting, price_at
from keeptrusts.core.routing.rules import Failover, Routing
from keeptrusts.core.routing.target import GroupModel, MaxPrice, ModelGroup, Target

replace = msgspec.structs.replace

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


def plan(*given):
    """The hops of a plan by the default rules."""
    return planning.plan(*given, Routing()).hops


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


# The rules of routing

DEFAULT = Routing()


def planned(targets, groups, model, routing=DEFAULT, **more):
    return planning.plan(targets, groups, BOOK, model, routing, **more)


def test_targets_of_a_plain_model_come_by_their_priority_those_without_one_last() -> None:
    targets = (OPENAI, replace(SPARE, priority=2), replace(OPENAI, id="first", priority=1))
    assert names(planned(targets, (), "gpt-4o").hops) == [
        ("first", "gpt-4o"),
        ("openai-spare", "gpt-4o"),
        ("openai-main", "gpt-4o"),
    ]


def test_a_strategy_chooses_among_those_of_one_priority() -> None:
    targets = (replace(OPENAI, priority=1), replace(SPARE, priority=1), replace(LOCAL, priority=2))
    choices = planned(targets, (), "gpt-4o", Routing(strategy="weighted")).choices
    assert [[hop.target.id for hop in choice.hops] for choice in choices] == [
        ["openai-main", "openai-spare"],
        ["local"],
    ]


def test_a_single_target_has_no_fallback() -> None:
    assert names(planned((OPENAI, SPARE), (), "gpt-4o", Routing(strategy="single")).hops) == [("openai-main", "gpt-4o")]


def test_targets_of_one_entry_share_its_weight() -> None:
    group = ModelGroup(
        "g",
        "weighted",
        (GroupModel("openai", "gpt-4o", None, 1, 70), GroupModel("openai-compatible", "x", None, 1, 30)),
    )
    [choice] = planned((OPENAI, replace(SPARE, weight=3.0), LOCAL), (group,), "g").choices
    assert [hop.weight for hop in choice.hops] == [17.5, 52.5, 30]


def test_a_groups_aliases_are_names_of_it_and_its_fallbacks_follow() -> None:
    dear = ModelGroup("dear", "ordered", (GroupModel("openai", "gpt-4o", None, 1),))
    cheap = ModelGroup("cheap", "weighted", (GroupModel("openai", "gpt-4o-mini", None, 1),), ("fast",), "dear")
    hops = planned((OPENAI,), (cheap, dear), "fast").hops
    assert names(hops) == [("openai-main", "gpt-4o-mini"), ("openai-main", "gpt-4o")]
    assert [hop.why for hop in hops] == [None, "fallback group dear"]
    circle = (msgspec.structs.replace(cheap, fallback_group="cheap"),)
    assert len(planned((OPENAI,), circle, "cheap").hops) == 1


def test_an_entry_of_one_target_goes_to_no_other_of_its_provider() -> None:
    group = ModelGroup("g", "ordered", (GroupModel("openai", "gpt-4o", None, 1, target="openai-spare"),))
    assert names(planned((OPENAI, SPARE), (group,), "g").hops) == [("openai-spare", "gpt-4o")]


CLAUDE = Target("claude", "anthropic")


def mapping(**models: str) -> Routing:
    return Routing(failover=Failover(model_mapping={"gpt-4o": "claude-sonnet", **models}))


def test_a_model_that_is_mapped_is_asked_for_by_its_other_name_where_nobody_knows_it() -> None:
    hops = planned((OPENAI, CLAUDE), (), "gpt-4o", mapping()).hops
    assert names(hops) == [("openai-main", "gpt-4o"), ("claude", "claude-sonnet")]
    assert hops[1].why == "model mapping gpt-4o to claude-sonnet"
    assert names(planned((OPENAI, replace(CLAUDE, model="claude-sonnet")), (), "gpt-4o", mapping()).hops) == [
        ("openai-main", "gpt-4o"),
        ("claude", "claude-sonnet"),
    ]
    assert names(
        planned((OPENAI,), (), "gpt-4o", Routing(failover=Failover(model_mapping={"gpt-4o": "gpt-4o-mini"}))).hops
    ) == [
        ("openai-main", "gpt-4o"),
        ("openai-main", "gpt-4o-mini"),
    ]


def test_no_fallback_leads_to_where_the_call_has_been() -> None:
    again = ModelGroup(
        "again", "weighted", (GroupModel("openai", "gpt-4o", None, 1), GroupModel("openai", "x", None, 1))
    )
    first = ModelGroup("first", "ordered", (GroupModel("openai", "gpt-4o", None, 1),), (), "again")
    assert names(planned((OPENAI,), (first, again), "first").hops) == [("openai-main", "gpt-4o"), ("openai-main", "x")]
    narrow = ModelGroup("n", "ordered", (GroupModel("openai", "x", 10, 1), GroupModel("openai", "x", None, 2)))
    assert len(planned((OPENAI,), (narrow,), "n").hops) == 2


def test_a_mapping_may_lead_to_a_group_and_is_followed_once() -> None:
    routing = Routing(failover=Failover(model_mapping={"gpt-4o": "cheap-first", "gpt-4o-mini": "gpt-4o"}))
    assert names(planned((OPENAI,), (GROUP,), "gpt-4o", routing).hops) == [
        ("openai-main", "gpt-4o"),
        ("openai-main", "gpt-4o-mini"),
    ]


# What a caller may use


def lists(*allowed: str):
    return lambda names: not frozenset(allowed).isdisjoint(names)


def test_a_list_that_names_a_group_lets_its_members_through_and_one_that_names_a_member_that_member() -> None:
    assert len(planned((OPENAI,), (GROUP,), "cheap-first", permits=lists("cheap-first")).hops) == 2
    some = planned((OPENAI,), (GROUP,), "cheap-first", permits=lists("gpt-4o-mini"))
    assert names(some.hops) == [("openai-main", "gpt-4o-mini")]
    assert [left.why for left in some.left_out] == ["the caller may not use this model"]
    assert planned((OPENAI,), (GROUP,), "cheap-first", permits=lists("claude")).hops == ()


def test_no_fallback_leads_past_a_callers_list() -> None:
    """Not by a fallback group, not by a mapping: what the caller was not given by name stays out."""
    dear = ModelGroup("dear", "ordered", (GroupModel("openai", "gpt-4o", None, 1),))
    cheap = ModelGroup("cheap", "ordered", (GroupModel("openai", "gpt-4o-mini", None, 1),), ("fast",), "dear")
    for allowed in ("cheap", "fast", "gpt-4o-mini"):
        hops = planned((OPENAI,), (cheap, dear), "fast", permits=lists(allowed)).hops
        assert names(hops) == [("openai-main", "gpt-4o-mini")]
    assert len(planned((OPENAI,), (cheap, dear), "fast", permits=lists("cheap", "dear")).hops) == 2
    mapped = planned((OPENAI, CLAUDE), (), "gpt-4o", mapping(), permits=lists("gpt-4o"))
    assert names(mapped.hops) == [("openai-main", "gpt-4o")]


# Prices


def test_what_is_dearer_than_the_bound_is_not_used_nor_what_has_no_price() -> None:
    bound = Routing(max_price=MaxPrice(output=1_000_000))
    found = planned((OPENAI, CLAUDE), (GROUP,), "cheap-first", bound)
    assert names(found.hops) == [("openai-main", "gpt-4o-mini")]
    assert [(left.model, left.why) for left in found.left_out] == [("gpt-4o", "dearer than max_price")]
    assert planned((CLAUDE,), (), "claude", bound).hops == ()
    own = (replace(OPENAI, max_price=MaxPrice(input=100_000)), SPARE)
    assert names(planned(own, (), "gpt-4o-mini").hops) == [("openai-spare", "gpt-4o-mini")]


def test_every_tier_of_a_price_is_within_the_bound() -> None:
    tiered = msgspec.structs.replace(MINI, tiers=(Tier(1_000, Rates(9_000_000, 9_000_000)),))
    assert not MaxPrice(input=200_000).admits(tiered)
    assert MaxPrice(input=200_000).admits(MINI)


def test_under_enforcement_what_has_no_price_is_left_out_if_anything_has_one() -> None:
    found = planned((CLAUDE, OPENAI), (), "gpt-4o", needs_price=True)
    assert names(found.hops) == [("openai-main", "gpt-4o")]
    assert len(planned((CLAUDE,), (), "gpt-4o", needs_price=True).hops) == 1
