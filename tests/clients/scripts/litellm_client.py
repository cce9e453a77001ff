"""LiteLLM as a client, by its OpenAI and its Anthropic dialect: whole, streams, async, tools, schema, embeddings, its errors."""

import asyncio
import json
from typing import Any

import litellm
from asked import CALL_NOW, EMBEDDER, HELLO, KEY, MODELS, URL, errors_of, tell
from pydantic import BaseModel

litellm.suppress_debug_info = True
WEATHER = {
    "type": "function",
    "function": {
        "name": "get_weather",
        "description": "The weather of a city.",
        "parameters": {
            "type": "object",
            "properties": {"city": {"type": "string"}, "number": {"type": "integer"}},
            "required": ["city", "number"],
        },
    },
}


class Place(BaseModel):
    """A place."""

    city: str
    number: int


def options(model: str, key: str = KEY) -> dict[str, Any]:
    return {
        "model": f"openai/{model}",
        "api_base": f"{URL}/v1",
        "api_key": key,
        "max_tokens": 400,
        "timeout": 30,
        "num_retries": 0,
        "max_retries": 0,
    }


def says(text: str) -> list[dict[str, Any]]:
    return [{"role": "user", "content": text}]


def whole(model: str) -> Any:
    answer = litellm.completion(messages=says(HELLO), **options(model))
    assert answer.usage.completion_tokens == 25, answer.usage
    return answer.choices[0].message.content


def stream(model: str) -> Any:
    told = {"include_usage": True}
    chunks = list(litellm.completion(messages=says(HELLO), stream=True, stream_options=told, **options(model)))
    assert len(chunks) > 5, "it streamed"
    return "".join(chunk.choices[0].delta.content or "" for chunk in chunks if chunk.choices)


def later(model: str) -> Any:
    async def once() -> Any:
        return await litellm.acompletion(messages=says(HELLO), **options(model))

    return asyncio.run(once()).choices[0].message.content


def messages(model: str) -> Any:
    answer = litellm.completion(
        messages=says(HELLO), **{**options(model), "model": f"anthropic/{model}", "api_base": URL}
    )
    return answer.choices[0].message.content


def tools(model: str) -> Any:
    first = litellm.completion(messages=says(CALL_NOW), tools=[WEATHER], **options(model)).choices[0].message
    [call] = first.tool_calls
    arguments = json.loads(call.function.arguments)
    result = f"{arguments['city']}-{arguments['number']}-sunny"
    history = [*says(CALL_NOW), first.model_dump(), {"role": "tool", "tool_call_id": call.id, "content": result}]
    then = litellm.completion(messages=history, tools=[WEATHER], **options(model)).choices[0].message.content
    return {"name": call.function.name, "args": arguments, "then": then}


def schema(model: str) -> Any:
    answer = litellm.completion(messages=says(HELLO), response_format=Place, **options(model))
    return json.loads(answer.choices[0].message.content)


def embedding() -> Any:
    answer = litellm.embedding(
        model=f"openai/{EMBEDDER}", input=["one", "two"], api_base=f"{URL}/v1", api_key=KEY, max_retries=0
    )
    return len(answer.data)


def errors() -> Any:
    return errors_of(
        lambda text, key, model: litellm.completion(messages=says(text), **options(model, key)), MODELS["openai"]
    )


tell(
    {"whole": whole, "stream": stream, "async": later, "messages": messages, "tools": tools, "schema": schema},
    {"embedding": embedding, "errors": errors},
)
