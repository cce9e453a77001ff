"""Pydantic AI by its three dialects: agents that answer, stream, call tools and return a checked model; its errors."""

import asyncio
from typing import Any

from anthropic import AsyncAnthropic
from asked import CALL_NOW, HELLO, KEY, MODELS, URL, errors_of, tell
from openai import AsyncOpenAI
from pydantic import BaseModel
from pydantic_ai import Agent, NativeOutput
from pydantic_ai.models.anthropic import AnthropicModel
from pydantic_ai.models.openai import OpenAIChatModel, OpenAIResponsesModel
from pydantic_ai.providers.anthropic import AnthropicProvider
from pydantic_ai.providers.openai import OpenAIProvider

SETTINGS: Any = {"max_tokens": 400}


class Place(BaseModel):
    """A place."""

    city: str
    number: int


def of_openai(key: str = KEY) -> Any:
    return OpenAIProvider(openai_client=AsyncOpenAI(base_url=f"{URL}/v1", api_key=key, max_retries=0, timeout=30))


def of_anthropic() -> Any:
    return AnthropicProvider(anthropic_client=AsyncAnthropic(base_url=URL, api_key=KEY, max_retries=0, timeout=30))


def chat(model: str, key: str = KEY) -> Any:
    return OpenAIChatModel(model, provider=of_openai(key))


def whole(model: str) -> Any:
    answer = Agent(chat(model), model_settings=SETTINGS).run_sync(HELLO)
    assert answer.usage.output_tokens == 25, answer.usage
    return answer.output


def responses(model: str) -> Any:
    return Agent(OpenAIResponsesModel(model, provider=of_openai()), model_settings=SETTINGS).run_sync(HELLO).output


def messages(model: str) -> Any:
    return Agent(AnthropicModel(model, provider=of_anthropic()), model_settings=SETTINGS).run_sync(HELLO).output


def stream(model: str) -> Any:
    async def words() -> list[str]:
        async with Agent(chat(model), model_settings=SETTINGS).run_stream(HELLO) as answer:
            return [word async for word in answer.stream_text(delta=True, debounce_by=None)]

    said = asyncio.run(words())
    assert len(said) > 5, "it streamed"
    return "".join(said)


def tools(model: str) -> Any:
    seen: dict[str, Any] = {}
    agent = Agent(chat(model), model_settings=SETTINGS)

    @agent.tool_plain
    def get_weather(city: str, number: int) -> str:
        """The weather of a city."""
        seen.update(name="get_weather", args={"city": city, "number": number})
        return f"{city}-{number}-sunny"

    seen["then"] = agent.run_sync(CALL_NOW).output
    return seen


def schema(model: str) -> Any:
    agent = Agent(chat(model), output_type=NativeOutput(Place), model_settings=SETTINGS)
    return agent.run_sync(HELLO).output.model_dump()


def errors() -> Any:
    return errors_of(
        lambda text, key, model: Agent(chat(model, key), model_settings=SETTINGS).run_sync(text), MODELS["openai"]
    )


tell(
    {"whole": whole, "responses": responses, "messages": messages, "stream": stream, "tools": tools, "schema": schema},
    {"errors": errors},
)
