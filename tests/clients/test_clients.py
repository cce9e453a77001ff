"""What applications use to call models works against each provider through the gateway, and its calls' books balance.

Every client runs in an environment of its own (``make clients``) and tells what it saw as JSON; what it may see is here.
"""

import json
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.clients.environment import NODE, PYTHON, SCRIPTS
from tests.journeys.books import Event, events, funded_key, issue_key, nanos, nothing_held
from tests.journeys.processes import until
from tests.journeys.world import EMBEDDER, HATEFUL, MODEL_OF, World

pytestmark = pytest.mark.clients

WORDS = "".join(f"wörd{number} " for number in range(25))
PLACE = {"city": "Paris", "number": 7}
CALLED = {"city": "Zürich 0", "number": 0}
TOOLS = {"name": "get_weather", "args": CALLED, "then": "The tools said: get_weather=Zürich 0-0-sunny "}

OPENAI_ERRORS = {
    "unknown": "AuthenticationError",
    "poor": "APIStatusError",
    "narrow": "RateLimitError",
    "model": "NotFoundError",
    "policy": "ConflictError",
    "broken": "InternalServerError",
}
"""The official clients' classes. 402 has none of its own."""

LANGCHAIN_OPENAI_ERRORS = {
    **OPENAI_ERRORS,
    "unknown": "OpenAIAuthenticationError",
    "narrow": "OpenAIRateLimitError",
    "model": "OpenAIModelNotFoundError",
    "broken": "OpenAIAPIError",
}
LANGCHAIN_ANTHROPIC_ERRORS = {
    **OPENAI_ERRORS,
    "unknown": "AnthropicAuthenticationError",
    "narrow": "AnthropicRateLimitError",
    "model": "AnthropicModelNotFoundError",
    "broken": "AnthropicAPIError",
}
LITELLM_ERRORS = {**OPENAI_ERRORS, "poor": "APIError", "policy": "APIError", "broken": "BadGatewayError"}
NODE_OPENAI_ERRORS = {**OPENAI_ERRORS, "poor": "APIError"}
NODE_ANTHROPIC_ERRORS = {**OPENAI_ERRORS, "poor": "PaymentRequiredError"}


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    world = World(tmp_path_factory.mktemp("clients"))
    try:
        world.start()
        yield world
        world.accounts_for_itself()
    finally:
        world.close()


def sees(world: World, script: str, expected: dict[str, Any]) -> None:
    """The client of this script sees what is expected of every feature, and its calls are booked as they were billed."""
    seen = seen_by(world, script)
    assert seen.keys() == expected.keys()
    for feature, wanted in expected.items():
        assert seen[feature] == wanted, feature


def seen_by(world: World, script: str) -> dict[str, Any]:
    team = "team_" + script.partition(".")[0]
    key = funded_key(world, team, usd="1000")
    keys = {
        "unknown": "sk-of-nobody",
        "poor": issue_key(world, f"{team}_poor").secret,
        "narrow": issue_key(world, team, rate_limit=1).secret,
    }
    env = {
        "PATH": f"{PYTHON.parent}:/usr/bin:/bin",
        "HOME": str(world.directory),
        "GATEWAY_URL": world.gateway_url,
        "GATEWAY_KEY": key.secret,
        "MODELS": json.dumps(MODEL_OF),
        "EMBEDDER": EMBEDDER,
        "HATEFUL": HATEFUL,
        "KEYS": json.dumps(keys),
        "LITELLM_LOCAL_MODEL_COST_MAP": "True",
        "ANONYMIZED_TELEMETRY": "False",
    }
    command = [str(NODE if script.endswith(".mjs") else PYTHON), str(SCRIPTS / script)]
    ended = subprocess.run(command, env=env, capture_output=True, text=True, timeout=240, check=False)
    assert ended.returncode == 0, ended.stderr[-3000:]
    booked_as_billed(world, team)
    return dict(json.loads(ended.stdout.splitlines()[-1]))


def booked_as_billed(world: World, team: str) -> None:
    """Every row of the team that the provider billed is its bill, and what it did not bill cost nothing."""
    nothing_held(world, team)
    bills = {billed.request_id: billed for billed in world.bills()}
    rows: list[Event] = []

    def complete() -> bool:
        rows[:] = events(world, team_id=team)
        spent = nanos(nothing_held(world, team)["spent"])
        return spent == sum(nanos(row["cost_usd"]) for row in rows)

    until(complete, "the rows add up to what the wallet has spent")
    for row in rows:
        billed = bills.get(row["request_id"])
        assert nanos(row["cost_usd"]) == (0 if billed is None else billed.cost_nanos), row
    assert sum(row["request_id"] in bills for row in rows) > len(MODEL_OF)


def everywhere(expected: Any) -> dict[str, Any]:
    """The same with every provider."""
    return dict.fromkeys(MODEL_OF, expected)


def test_langchain_openai(running: World) -> None:
    sees(
        running,
        "langchain_openai_client.py",
        {
            "whole": everywhere(WORDS),
            "stream": everywhere(WORDS),
            "async": everywhere(WORDS),
            "responses": everywhere(WORDS),
            "tools": everywhere(TOOLS),
            "schema": everywhere(PLACE),
            "embedding": 2,
            "errors": LANGCHAIN_OPENAI_ERRORS,
        },
    )


def test_langchain_anthropic(running: World) -> None:
    sees(
        running,
        "langchain_anthropic_client.py",
        {
            "whole": everywhere(WORDS),
            "stream": everywhere(WORDS),
            "tools": everywhere(TOOLS),
            "schema": everywhere(CALLED),
            "errors": LANGCHAIN_ANTHROPIC_ERRORS,
        },
    )


def test_litellm(running: World) -> None:
    sees(
        running,
        "litellm_client.py",
        {
            "whole": everywhere(WORDS),
            "stream": everywhere(WORDS),
            "async": everywhere(WORDS),
            "messages": everywhere(WORDS),
            "tools": everywhere(TOOLS),
            "schema": everywhere(PLACE),
            "embedding": 2,
            "errors": LITELLM_ERRORS,
        },
    )


def test_instructor(running: World) -> None:
    sees(
        running,
        "instructor_client.py",
        {
            "by_tools": everywhere(CALLED),
            "by_schema": everywhere(PLACE),
            "in_part": everywhere(PLACE),
            "by_messages": everywhere(CALLED),
        },
    )


def test_pydantic_ai(running: World) -> None:
    sees(
        running,
        "pydantic_ai_client.py",
        {
            "whole": everywhere(WORDS),
            "responses": everywhere(WORDS),
            "messages": everywhere(WORDS),
            "stream": everywhere(WORDS),
            "tools": everywhere(TOOLS),
            "schema": everywhere(PLACE),
            "errors": dict.fromkeys(OPENAI_ERRORS, "ModelHTTPError"),
        },
    )


def test_llm(running: World) -> None:
    seen = seen_by(running, "llm_client.py")
    errors = seen.pop("errors")
    assert seen == {
        "whole": everywhere(WORDS),
        "stream": everywhere(WORDS),
        "schema": everywhere(PLACE),
        "tools": everywhere(TOOLS),
        "command": everywhere(WORDS),
    }
    assert "This key is not known here" in errors["unknown"]
    assert "budget" in errors["poor"]
    assert "503" in errors["broken"]


def test_node(running: World) -> None:
    sees(
        running,
        "node_client.mjs",
        {
            "whole": everywhere(WORDS),
            "stream": everywhere(WORDS),
            "responses": everywhere(WORDS),
            "messages": everywhere(WORDS),
            "messages_stream": everywhere(WORDS),
            "tools": everywhere(TOOLS),
            "schema": everywhere(PLACE),
            "embedding": 2,
            "errors": NODE_OPENAI_ERRORS,
            "messages_errors": NODE_ANTHROPIC_ERRORS,
        },
    )


def test_the_environment_is_the_locked_one() -> None:
    assert Path(PYTHON).exists(), "make clients sets it up"
