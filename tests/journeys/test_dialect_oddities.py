"""Conversations that are well-formed at their door and awkward elsewhere: each must reach the provider in a form it takes.

The foreign provider refuses what its vendor would refuse, so that an answer means that the translation is right.
"""

from typing import Any

import openai
import pytest

from tests.journeys.sdk_doors import PARAMETERS, openai_sdk
from tests.journeys.world import MODEL_OF, Till

pytestmark = pytest.mark.xdist_group("journeys-dialects")

PROVIDERS = tuple(MODEL_OF)


def user(text: Any) -> dict[str, Any]:
    return {"role": "user", "content": text}


def called(*calls: tuple[str, str, str], content: str | None = None) -> dict[str, Any]:
    told = [
        {"id": its_id, "type": "function", "function": {"name": name, "arguments": arguments}}
        for its_id, name, arguments in calls
    ]
    return {"role": "assistant", "content": content, "tool_calls": told}


def result(its_id: str, text: str) -> dict[str, Any]:
    return {"role": "tool", "tool_call_id": its_id, "content": text}


ODD_ID = "call|with.odd:signs/" + "x" * 60
TOOLS: Any = [{"type": "function", "function": {"name": "get_weather", "parameters": PARAMETERS}}]
BARE_TOOLS: Any = [{"type": "function", "function": {"name": "get_weather"}}]
CALL = ("call_1", "get_weather", '{"city": "Paris", "number": 1}')
HIGH: Any = {"reasoning_effort": "high", "max_completion_tokens": 4_000}

CONVERSATIONS: dict[str, tuple[list[Any], dict[str, Any]]] = {
    "two users in a row": ([user("One."), user("Two.")], {}),
    "an assistant first": (
        [{"role": "system", "content": "S."}, user("Hi."), {"role": "assistant", "content": "Yes?"}, user("Go on.")],
        {},
    ),
    "instructions in the middle": (
        [
            user("Hi."),
            {"role": "assistant", "content": "Yes?"},
            {"role": "system", "content": "Be brief."},
            user("Go."),
        ],
        {},
    ),
    "a developer's instructions": ([{"role": "developer", "content": "Be brief."}, user("Hi.")], {}),
    "an empty turn": ([user("Hi."), {"role": "assistant", "content": ""}, user("Well?")], {}),
    "parts of text": ([user([{"type": "text", "text": "One."}, {"type": "text", "text": "Two."}])], {}),
    "a result without tools": ([user("Weather?"), called(CALL), result("call_1", "fair")], {}),
    "an empty result": ([user("Weather?"), called(CALL), result("call_1", "")], {"tools": TOOLS}),
    "an odd id": (
        [user("Weather?"), called((ODD_ID, "get_weather", "{}")), result(ODD_ID, "fair")],
        {"tools": TOOLS},
    ),
    "words beside a call": (
        [user("Weather?"), called(CALL, content="I look."), result("call_1", "fair")],
        {"tools": TOOLS},
    ),
    "a word after a result": (
        [user("Weather?"), called(CALL), result("call_1", "fair"), user("Thanks, and now?")],
        {"tools": TOOLS},
    ),
    "results in another order": (
        [
            user("Weather?"),
            called(CALL, ("call_2", "get_weather", '{"city": "Rome", "number": 2}')),
            result("call_2", "wet"),
            result("call_1", "fair"),
        ],
        {"tools": TOOLS},
    ),
    "a tool without parameters": ([user("Weather?")], {"tools": BARE_TOOLS}),
    "no tool is to be called": ([user("Weather?")], {"tools": TOOLS, "tool_choice": "none"}),
    "some tool must be called": ([user("Weather? [[call=1]]")], {"tools": TOOLS, "tool_choice": "required"}),
    "a wish to think": ([user("Think.")], HIGH),
    "a wish to think in little room": ([user("Think.")], {"reasoning_effort": "high", "max_completion_tokens": 300}),
    "not to think": ([user("Don't.")], {"reasoning_effort": "low", "max_completion_tokens": 300}),
    "to think warmly": ([user("Think.")], {**HIGH, "temperature": 1.0, "top_p": 0.9}),
    "to think and be made to call": ([user("Think.")], {**HIGH, "tools": TOOLS, "tool_choice": "required"}),
    "to think after a call": ([user("Weather?"), called(CALL), result("call_1", "fair")], {**HIGH, "tools": TOOLS}),
    "no limit": ([user("Hi.")], {"max_completion_tokens": None}),
    "a user's name": ([{**user("Hi."), "name": "ann"}], {"user": "u-1", "seed": 7, "presence_penalty": 0.1}),
}


@pytest.mark.parametrize(("messages", "options"), CONVERSATIONS.values(), ids=CONVERSATIONS)
def test_an_odd_conversation_reaches_every_provider_in_a_form_it_takes(
    till: Till, messages: list[Any], options: dict[str, Any]
) -> None:
    refused = {}
    for provider in PROVIDERS:
        body: Any = {"max_completion_tokens": 300, **options}
        told = {name: value for name, value in body.items() if value is not None}
        try:
            openai_sdk(till).chat.completions.create(
                model=MODEL_OF[provider], messages=messages, **told, extra_headers={"x-request-id": till.next_id()}
            )
        except openai.APIStatusError as error:
            refused[provider] = f"{error.status_code} {error.message}"
    assert refused == {}
    for event, billed in till.balanced():
        assert billed is not None
        assert event["status"] == "ok"
