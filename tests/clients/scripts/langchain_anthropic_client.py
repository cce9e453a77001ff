"""LangChain's ``ChatAnthropic``: whole, streams, tools, structured output, its errors."""

from typing import Any

from asked import CALL_NOW, HELLO, KEY, MODELS, URL, errors_of, tell
from langchain_anthropic import ChatAnthropic
from langchain_core.messages import HumanMessage, ToolMessage
from langchain_core.tools import tool
from pydantic import BaseModel


class Place(BaseModel):
    """A place."""

    city: str
    number: int


@tool
def get_weather(city: str, number: int) -> str:
    """The weather of a city."""
    return f"{city}-{number}-sunny"


def chat(model: str, key: str = KEY) -> ChatAnthropic:
    return ChatAnthropic(model=model, api_key=key, base_url=URL, max_retries=0, timeout=30, max_tokens=400)


def whole(model: str) -> Any:
    answer = chat(model).invoke(HELLO)
    assert answer.usage_metadata["output_tokens"] == 25, answer.usage_metadata
    return answer.text


def stream(model: str) -> Any:
    chunks = list(chat(model).stream(HELLO))
    assert len(chunks) > 5, "it streamed"
    return "".join(chunk.text for chunk in chunks)


def tools(model: str) -> Any:
    able = chat(model).bind_tools([get_weather])
    question = HumanMessage(CALL_NOW)
    answer = able.invoke([question])
    [call] = answer.tool_calls
    result = ToolMessage(get_weather.invoke(call["args"]), tool_call_id=call["id"])
    return {"name": call["name"], "args": call["args"], "then": able.invoke([question, answer, result]).text}


def schema(model: str) -> Any:
    """A schema is a tool that must be called: the provider calls the first one that it has when told to."""
    return chat(model).with_structured_output(Place).invoke(CALL_NOW).model_dump()


def errors() -> Any:
    return errors_of(lambda text, key, model: chat(model, key).invoke(text), MODELS["anthropic"])


tell({"whole": whole, "stream": stream, "tools": tools, "schema": schema}, {"errors": errors})
