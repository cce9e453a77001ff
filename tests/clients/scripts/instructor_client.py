"""instructor over the official clients: an answer that is a checked model, by tools and by JSON schema, whole and in part."""

from typing import Any

import anthropic
import instructor
import openai
from asked import CALL_NOW, HELLO, KEY, URL, tell
from pydantic import BaseModel


class Place(BaseModel):
    """A place."""

    city: str
    number: int


def says(text: str) -> Any:
    return [{"role": "user", "content": text}]


def of_openai(mode: instructor.Mode) -> Any:
    return instructor.from_openai(
        openai.OpenAI(base_url=f"{URL}/v1", api_key=KEY, max_retries=0, timeout=30), mode=mode
    )


def by_tools(model: str) -> Any:
    client = of_openai(instructor.Mode.TOOLS)
    return client.create(
        model=model, response_model=Place, messages=says(CALL_NOW), max_retries=1, max_completion_tokens=400
    ).model_dump()


def by_schema(model: str) -> Any:
    client = of_openai(instructor.Mode.JSON_SCHEMA)
    return client.create(
        model=model, response_model=Place, messages=says(HELLO), max_retries=1, max_completion_tokens=400
    ).model_dump()


def in_part(model: str) -> Any:
    client = of_openai(instructor.Mode.JSON_SCHEMA)
    parts = list(
        client.create_partial(model=model, response_model=Place, messages=says(HELLO), max_completion_tokens=400)
    )
    assert len(parts) > 1, "it grew"
    return parts[-1].model_dump()


def by_messages(model: str) -> Any:
    client = instructor.from_anthropic(anthropic.Anthropic(base_url=URL, api_key=KEY, max_retries=0, timeout=30))
    return client.create(
        model=model, response_model=Place, messages=says(CALL_NOW), max_retries=1, max_tokens=400
    ).model_dump()


tell({"by_tools": by_tools, "by_schema": by_schema, "in_part": in_part, "by_messages": by_messages}, {})
