"""Limits in every form that people write them, and what is wrong with those that can't be."""

import pytest

from keeptrusts.core.limits.limit_set import LimitSet
from keeptrusts.core.limits.quotas import Quota, Quotas, quotas_of
from keeptrusts.core.limits.rules import LimitRules, Scoped, StoreAddress
from keeptrusts.core.rulebook.changing import takeover
from keeptrusts.core.rulebook.rulebook import Rulebook
from tests.core.rulebook.files import compiled


def rules(more: str) -> LimitRules:
    return rulebook(more).limits


def rulebook(more: str) -> Rulebook:
    result = compiled(more)
    assert result.rulebook is not None, result.problems
    assert not result.problems
    return result.rulebook


RPM_5 = quotas_of(LimitSet(requests_per_minute=5))


@pytest.mark.parametrize(
    ("text", "field", "expected"),
    [
        ("rate_limits: {per_key: {rpm: 5}}", "keys", Scoped(RPM_5)),
        ("rate_limits: {per_user: {requests_per_minute: 5}}", "users", Scoped(RPM_5)),
        ("rate_limits: {per_team: {rpm: 5}}", "teams", Scoped(RPM_5)),
        ("rate_limits: {per_model: {rpm: 5}}", "models", Scoped(RPM_5)),
        ("rate_limits: {per_provider: {rpm: 5}}", "targets", Scoped(RPM_5)),
        ("rate_limits: {global: {rpm: 5}}", "everybody", RPM_5),
        (
            "rate_limits: {per_team: {tpm: 9, overrides: [{name: a, rpm: 5}]}}", "teams",
            Scoped(quotas_of(LimitSet(tokens_per_minute=9)), {"a": RPM_5}),
        ),
        ("rate_limits: {per_key: {max_parallel_requests: 3}}", "keys", Scoped(Quotas((), 3))),
        ("rate_limit_defaults: {requests_per_minute: 5}", "keys_of_no_group", RPM_5),
        ("rate_limit_defaults: {response_headers: false}", "shown", False),
        ("response_headers: false", "shown", False),
        ("global_rate_limit: {max_requests: 5, window_seconds: 90}", "everybody", Quotas((Quota("requests", 5, 90),))),
        ("ip_rate_limit: {max_requests: 5, window_seconds: 60}", "addresses", RPM_5),
        ("ip_rate_limit: {max_requests: 5, window_seconds: 60, trust_proxy_depth: 2}", "trusted_proxies", 2),
        ("user_rate_limit: {max_requests: 5}", "users", Scoped(RPM_5)),
        ("user_rate_limit: {max_requests: 5, header_names: [X-Me, x-you]}", "user_headers", (b"x-me", b"x-you")),
        ("token_rate_limit: {max_tokens: 5, window_seconds: 7}", "everybody", Quotas((Quota("tokens", 5, 7),))),
        (
            "token_rate_limit: {max_tokens: 5, window_seconds: 7, scope: provider}", "targets",
            Scoped(Quotas((Quota("tokens", 5, 7),))),
        ),
        ("limits: {nodes: 3}", "nodes", 3),
        ("limits: {store: 'unix:///run/v.sock?db=2'}", "store", StoreAddress("unix:///run/v.sock?db=2")),
        (
            "limits: {store: 'rediss://me@v:6379/0', secret_key_ref: {env: PASSWORD}, timeout_ms: 9}", "store",
            StoreAddress("rediss://me@v:6379/0", None, "PASSWORD", 9),
        ),
        ("limits: {store_env: WHERE}", "store", StoreAddress(None, "WHERE")),
    ],
)  # fmt: skip
def test_every_form_says_what_holds(text: str, field: str, expected: object) -> None:
    assert getattr(rules(text), field) == expected


def test_of_two_forms_for_one_window_the_tighter_one_holds() -> None:
    found = rules("rate_limits: {global: {rpm: 9}}\nglobal_rate_limit: {max_requests: 5, window_seconds: 60}")
    assert found.everybody == RPM_5


def test_a_group_has_the_defaults_where_it_says_nothing_itself() -> None:
    text = "rate_limit_defaults: {rpm: 10, tpm: 20}\nconsumer_groups: [{name: a, rate_limits: {rpm: 99}}, {name: b}]"
    first, second = rulebook(text).groups
    assert first.limits == LimitSet(requests_per_minute=99, tokens_per_minute=20)
    assert second.limits == LimitSet(requests_per_minute=10, tokens_per_minute=20)


def test_sizes_are_bounds_of_the_gateway() -> None:
    found = rulebook("size_limits: {max_body_bytes: 2048, max_response_bytes: 4096}")
    assert (found.max_body_bytes, found.max_response_bytes) == (2_048, 4_096)


@pytest.mark.parametrize(
    ("text", "code", "path"),
    [
        ("limits: {store: 'redis://:hush@v'}", "literal_secret", "limits.store"),
        ("limits: {store: 'http://v'}", "bad_address", "limits.store"),
        ("limits: {store: 'redis://v/name'}", "bad_address", "limits.store"),
        ("limits: {store: 'redis://v/0?password=hush'}", "bad_address", "limits.store"),
        ("limits: {store: 5}", "wrong_type", "limits.store"),
        ("limits: {store: 'redis://v', store_env: V}", "contradiction", "limits.store_env"),
        ("limits: {secret_key_ref: {env: V}}", "contradiction", "limits.secret_key_ref"),
        ("limits: {store_env: V, secret_key_ref: {env: V}}", "contradiction", "limits.secret_key_ref"),
        ("limits: {nodes: 0}", "out_of_range", "limits.nodes"),
        ("global_rate_limit: {max_requests: 5}", "missing_key", "global_rate_limit.window_seconds"),
        ("global_rate_limit: {max_requests: 5, window_seconds: 0}", "out_of_range", "global_rate_limit.window_seconds"),
        ("user_rate_limit: {header_names: [x-me]}", "missing_key", "user_rate_limit"),
        ("user_rate_limit: {max_requests: 5, header_names: ['x me']}", "bad_text", "user_rate_limit.header_names[0]"),
        ("token_rate_limit: {max_tokens: 1, window_seconds: 1, scope: us}", "unknown_value", "token_rate_limit.scope"),
        ("rate_limits: {rpm: 5}", "unknown_key", "rate_limits.rpm"),
        ("rate_limits: {per_key: {rpm: 5, requests_per_minute: 5}}", "given_twice", "rate_limits.per_key.rpm"),
        (
            "rate_limits: {per_key: {overrides: [{name: a, rpm: 1}, {name: a, rpm: 2}]}}",
            "duplicate", "rate_limits.per_key.overrides[1].name",
        ),
        (
            "response_headers: true\nrate_limit_defaults: {response_headers: true}", "given_twice", "response_headers",
        ),
        (
            "gateway: {max_body_bytes: 2048}\nsize_limits: {max_body_bytes: 2048}",
            "given_twice", "size_limits.max_body_bytes",
        ),
    ],
)  # fmt: skip
def test_what_is_wrong_is_named_with_its_place(text: str, code: str, path: str) -> None:
    result = compiled(text)
    assert [(problem.code, problem.path) for problem in result.problems] == [(code, path)]
    told = str(result.problems)
    assert "hush" not in told


def test_another_store_waits_for_the_next_start_and_other_limits_do_not() -> None:
    running = rulebook("limits: {store: 'redis://v'}")
    wanted = rulebook("limits: {store: 'redis://w'}\nrate_limits: {global: {rpm: 5}}")
    taken = takeover(running, wanted)
    assert taken.waiting == ("limits.store",)
    assert taken.rulebook.limits.store == running.limits.store
    assert taken.rulebook.limits.everybody == RPM_5
