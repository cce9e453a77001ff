"""Where each provider answers, and what shows it that we may ask."""

import pytest

from keeptrusts.core.routing.target import Target
from keeptrusts.gateway.sign_in import base_url_of, has_secret, sign_in_of

AWS = {"AWS_ACCESS_KEY_ID": "AKIDEXAMPLE", "AWS_SECRET_ACCESS_KEY": "very secret"}


def target(provider: str, **more: str | None) -> Target:
    return Target("t", provider, **more)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("asked", "environment", "url"),
    [
        (target("openai"), {}, "https://api.openai.com/v1"),
        (target("openai"), {"OPENAI_BASE_URL": "http://mock/v1/"}, "http://mock/v1"),
        (target("openai", base_url="http://own/v1"), {"OPENAI_BASE_URL": "http://mock/v1"}, "http://own/v1"),
        (target("anthropic"), {"OPENAI_BASE_URL": "http://mock/v1"}, "https://api.anthropic.com"),
        (target("gemini"), {}, "https://generativelanguage.googleapis.com/v1beta"),
        (target("bedrock", region="eu-central-1"), {}, "https://bedrock-runtime.eu-central-1.amazonaws.com"),
        (target("azure", base_url="https://x.openai.azure.com/openai/v1"), {}, "https://x.openai.azure.com/openai/v1"),
    ],
)
def test_where_it_answers(asked: Target, environment: dict[str, str], url: str) -> None:
    assert base_url_of(asked, environment) == url


@pytest.mark.parametrize(
    ("provider", "lines"),
    [
        ("openai", ("authorization: Bearer s",)),
        ("openai-compatible", ("authorization: Bearer s",)),
        ("azure", ("api-key: s",)),
        ("anthropic", ("x-api-key: s", "anthropic-version: 2023-06-01")),
        ("gemini", ("x-goog-api-key: s",)),
        ("bedrock", ("authorization: Bearer s",)),
    ],
)
def test_a_key_stands_where_the_provider_looks_for_it(provider: str, lines: tuple[str, ...]) -> None:
    signed = sign_in_of(target(provider, secret_env="KEY"), {"KEY": "s"})
    assert (signed.fixed, signed.sign) == (lines, None)


def test_without_a_key_nothing_is_said() -> None:
    assert sign_in_of(target("openai-compatible"), {}).fixed == ()


def test_bedrock_is_signed_with_the_keys_of_the_environment() -> None:
    signed = sign_in_of(target("bedrock", region="eu-central-1"), {**AWS, "AWS_SESSION_TOKEN": "temporary"})
    assert signed.fixed == ()
    assert signed.sign is not None
    lines = signed.sign("host", "/model/m/converse", b"{}")
    assert lines.endswith(b"\r\n")
    head = dict(line.split(b": ", 1) for line in lines.split(b"\r\n")[:-1])
    assert head[b"X-Amz-Security-Token"] == b"temporary"
    assert head[b"Authorization"].startswith(b"AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE/")
    assert b"/eu-central-1/bedrock/aws4_request" in head[b"Authorization"]
    assert b"very secret" not in lines


@pytest.mark.parametrize(
    ("asked", "environment", "usable"),
    [
        (target("openai", secret_env="KEY"), {}, False),
        (target("openai", secret_env="KEY"), {"KEY": ""}, False),
        (target("openai", secret_env="KEY"), {"KEY": "s"}, True),
        (target("openai-compatible"), {}, True),
        (target("bedrock", region="r"), {"AWS_ACCESS_KEY_ID": "a"}, False),
        (target("bedrock", region="r"), AWS, True),
        (target("bedrock", region="r", secret_env="KEY"), AWS, False),
    ],
)
def test_a_target_without_its_secret_is_not_used(asked: Target, environment: dict[str, str], usable: bool) -> None:
    assert has_secret(asked, environment) is usable
