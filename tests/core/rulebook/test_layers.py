"""Files laid over each other: what stands in the last one holds, and every problem names its own file and line."""

from typing import Any

from keeptrusts.core.rulebook.from_yaml import Compiled, compile_layers
from keeptrusts.core.rulebook.layers import LAYERS_MAX, Layer

BASE = """\
version: '1'
providers:
  targets:
    - id: main
      provider: openai
      timeouts: {connect_s: 5, idle_s: 60}
    - id: spare
      provider: simulated
consumer_groups:
  - name: search
    allowed_models: [gpt-4o, gpt-4o-mini]
    rate_limits: {requests_per_minute: 10, tokens_per_minute: 100}
cache: {enabled: true, ttl: 60}
"""


def laid(*texts: str) -> Compiled:
    return compile_layers([Layer(f"{number}.yaml", text) for number, text in enumerate(texts, start=1)])


def rules(*texts: str) -> Any:
    compiled = laid(*texts)
    assert compiled.rulebook is not None, compiled.problems
    return compiled.rulebook


def told(*texts: str) -> list[tuple[str, str | None, int | None]]:
    return [(problem.code, problem.file, problem.line) for problem in laid(*texts).problems]


def test_mappings_merge_key_by_key_and_plain_values_replace():
    cache = rules(BASE, "cache: {ttl: 5}").cache
    assert (cache.enabled, cache.ttl_s) == (True, 5)


def test_named_things_merge_by_their_name_and_others_replace_the_list():
    merged = rules(
        BASE,
        "consumer_groups:\n  - name: search\n    allowed_models: [gpt-4o]\n    rate_limits: {requests_per_minute: 20}\n"
        "  - name: sales\n",
    )
    search, sales = merged.groups
    assert search.allowed_models == frozenset({"gpt-4o"})
    assert (search.limits.requests_per_minute, search.limits.tokens_per_minute) == (20, 100)
    assert sales.name == "sales"


def test_targets_merge_by_id_and_keep_what_the_upper_file_does_not_say():
    main, spare = rules(BASE, "providers: {targets: [{id: main, timeouts: {idle_s: 9}}]}").targets
    assert (main.provider, main.connect_timeout_s, main.idle_timeout_s) == ("openai", 5.0, 9.0)
    assert spare.id == "spare"


def test_nothing_takes_a_key_away_and_remove_takes_a_thing():
    merged = rules(BASE, "cache:\nproviders: {targets: [{id: spare, remove: true}]}")
    assert not merged.cache.enabled
    assert [target.id for target in merged.targets] == ["main"]


def test_what_is_not_there_cannot_be_taken_away():
    over = "model_groups:\nproviders: {targets: [{id: gone, remove: true}]}"
    assert told(BASE, over) == [("nothing_to_remove", "2.yaml", 1), ("nothing_to_remove", "2.yaml", 2)]


def test_the_last_of_several_wins():
    assert rules(BASE, "cache: {ttl: 5}", "cache: {ttl: 6}").cache.ttl_s == 6


def test_each_problem_names_its_file_and_the_line_in_it():
    assert told(BASE.replace("cache:", "cash:"), "# one\n\ncache: {ttl: soon}") == [
        ("unknown_key", "1.yaml", 13),
        ("wrong_type", "2.yaml", 3),
    ]


def test_a_message_that_names_a_second_place_names_its_file():
    over = "consumer_groups: [{name: a, api_key: kt_cg_the_same_key_000}, {name: b, api_key: kt_cg_the_same_key_000}]"
    [problem] = laid(BASE, over).problems
    assert "line 1, column 38 of 2.yaml" in problem.message


def test_a_file_that_is_no_yaml_is_named():
    assert told(BASE, "cache: [") == [("yaml_syntax", "2.yaml", 1)]
    assert ("duplicate_key", "2.yaml", 2) in told(BASE, "a: 1\na: 2")
    [twice] = [problem for problem in laid(BASE, "a: 1\na: 2").problems if problem.code == "duplicate_key"]
    assert "line 1" in twice.message
    assert told(BASE, "# nothing") == [("empty", "2.yaml", 1)]
    assert told(BASE, "- a list")[0][:2] == ("wrong_type", "2.yaml")


def test_one_file_is_not_named():
    [problem] = compile_layers([Layer("only.yaml", BASE + "cash: 1\n")]).problems
    assert (problem.file, problem.line) == (None, 14)


def test_there_are_not_endlessly_many():
    assert told(*[BASE] * (LAYERS_MAX + 1)) == [("too_large", None, None)]


def test_aliases_stay_what_they_stand_for():
    over = "consumer_groups:\n  - &one {name: one, rate_limits: &few {requests_per_minute: 1}}\n  - {name: two, rate_limits: *few}"
    assert [group.limits.requests_per_minute for group in rules(BASE, over).groups] == [10, 1, 1]
