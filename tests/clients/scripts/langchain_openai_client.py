"""LangChain's ``ChatOpenAI`` and ``OpenAIEmbeddings``: whole, streams, async, tools, structured output, its errors."""

import asyncio
from typing import Any

from asked import CALL_NOW, EMBEDDER, HELLO, KEY, MODELS, URL, errors_of, tell
from langchain_core.messages import HumanMessage, ToolMessage
from langchain_core.tools import tool
from langchain_openai import ChatOpenAI, OpenAIEmbeddings
from pydantic import BaseModel

LOOP = asyncio.new_event_loop()
"""LangChain keeps its connections from call to call: they belong to one loop."""


class Place(BaseModel):
    """A place."""

    city: str
    number: int


@tool
def get_weather(city: str, number: int) -> str:
    """The weather of a city."""
    return f"{city}-{number}-sunny"


def chat(model: str, key: str = KEY, **more: Any) -> ChatOpenAI:
    return ChatOpenAI(model=model, api_key=key, base_url=f"{URL}/v1", max_retries=0, timeout=30, max_tokens=400, **more)


def whole(model: str) -> Any:
    answer = chat(model).invoke(HELLO)
    assert answer.usage_metadata["output_tokens"] == 25, answer.usage_metadata
    return answer.content


def stream(model: str) -> Any:
    chunks = list(chat(model, stream_usage=True).stream(HELLO))
    assert len(chunks) > 5, "it streamed"
    assert sum((chunk.usage_metadata or {}).get("output_tokens", 0) for chunk in chunks) == 25
    return "".join(str(chunk.content) for chunk in chunks)


def later(model: str) -> Any:
    async def both() -> list[str]:
        asked = chat(model)
        answers = await asyncio.gather(asked.ainvoke(HELLO), asked.ainvoke(HELLO))
        return [str(answer.content) for answer in answers]

    first, second = LOOP.run_until_complete(both())
    assert first == second
    return first


def tools(model: str) -> Any:
    able = chat(model).bind_tools([get_weather])
    question = HumanMessage(CALL_NOW)
    answer = able.invoke([question])
    [call] = answer.tool_calls
    result = ToolMessage(get_weather.invoke(call["args"]), tool_call_id=call["id"])
    return {"name": call["name"], "args": call["args"], "then": able.invoke([question, answer, result]).content}


def schema(model: str) -> Any:
    return chat(model).with_structured_output(Place, method="json_schema").invoke(HELLO).model_dump()


def responses(model: str) -> Any:
    return chat(model, use_responses_api=True).invoke(HELLO).text


def embedding() -> Any:
    embedder = OpenAIEmbeddings(
        model=EMBEDDER, api_key=KEY, base_url=f"{URL}/v1", check_embedding_ctx_length=False, max_retries=0
    )
    return len(embedder.embed_documents(["one", "two"]))


def errors() -> Any:
    return errors_of(lambda text, key, model: chat(model, key).invoke(text), MODELS["openai"])


tell(
    {"whole": whole, "stream": stream, "async": later, "tools": tools, "schema": schema, "responses": responses},
    {"embedding": embedding, "errors": errors},
)
