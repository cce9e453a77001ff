"""One question asked through any door with the official SDKs, and what they make of the answer, in the same words."""

import json
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from functools import cache
from typing import Any

import anthropic
import openai

from tests.journeys.world import Till

PNG = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=="
PARAMETERS = {
    "type": "object",
    "properties": {"city": {"type": "string"}, "number": {"type": "integer"}},
    "required": ["city", "number"],
    "additionalProperties": False,
}
TOOLS = {"get_weather": "The weather of a city.", "get_time": "The time of a city."}


@dataclass(frozen=True, slots=True)
class Said:
    """An answer. ``usage``: input, read from the cache, written to it, output. ``stop``: stop, length or tool."""

    text: str
    calls: tuple[tuple[str, str, dict[str, Any]], ...]
    stop: str
    usage: tuple[int, int, int, int]


@dataclass(frozen=True, slots=True)
class Question:
    """What is asked. ``results``: what the tools said to the calls of ``earlier``, in their order."""

    prompt: str
    system: str | None = None
    tools: tuple[str, ...] = ()
    choice: str | None = None
    image: bool = False
    schema: bool = False
    limit: int = 400
    stops: tuple[str, ...] = ()
    earlier: Said | None = None
    results: tuple[str, ...] = ()
    stream: bool = False
    extra: Mapping[str, Any] = field(default_factory=dict)


Ask = Callable[[Till, str, Question], Said]


def openai_sdk(till: Till, secret: str | None = None) -> openai.OpenAI:
    """OpenAI's client of the gateway."""
    return _openai(f"{till.world.gateway_url}/v1").with_options(api_key=secret or till.key.secret)


def anthropic_sdk(till: Till, secret: str | None = None) -> anthropic.Anthropic:
    """Anthropic's client of the gateway."""
    return _anthropic(till.world.gateway_url).with_options(api_key=secret or till.key.secret)


@cache
def _openai(url: str) -> openai.OpenAI:
    """One for all tests: what a client costs to make is its certificates, which nobody looks at here."""
    return openai.OpenAI(base_url=url, api_key="of nobody", max_retries=0, timeout=30)


@cache
def _anthropic(url: str) -> anthropic.Anthropic:
    return anthropic.Anthropic(base_url=url, api_key="of nobody", max_retries=0, timeout=30)


def ask_chat(till: Till, model: str, question: Question) -> Said:
    """``chat.completions.create``."""
    body = {"model": model, "messages": _chat_messages(question), **_chat_options(question), **question.extra}
    client = openai_sdk(till)
    headers = {"x-request-id": till.next_id()}
    if not question.stream:
        answer: Any = client.chat.completions.create(**body, extra_headers=headers)
        [choice] = answer.choices
        calls = [(c.id, c.function.name, c.function.arguments) for c in choice.message.tool_calls or ()]
        return _chat_said(choice.message.content or "", calls, choice.finish_reason, answer.usage)
    options = {"stream": True, "stream_options": {"include_usage": True}}
    return _chat_stream(client.chat.completions.create(**body, **options, extra_headers=headers))


def _chat_messages(question: Question) -> list[Any]:
    content: Any = question.prompt
    if question.image:
        url = {"url": f"data:image/png;base64,{PNG}"}
        content = [{"type": "text", "text": question.prompt}, {"type": "image_url", "image_url": url}]
    messages: list[Any] = [{"role": "user", "content": content}]
    if question.system is not None:
        messages.insert(0, {"role": "system", "content": question.system})
    if question.earlier is not None:
        calls = [
            {"id": its_id, "type": "function", "function": {"name": name, "arguments": json.dumps(arguments)}}
            for its_id, name, arguments in question.earlier.calls
        ]
        messages.append({"role": "assistant", "content": question.earlier.text or None, "tool_calls": calls})
        messages += [
            {"role": "tool", "tool_call_id": call["id"], "content": result}
            for call, result in zip(calls, question.results, strict=True)
        ]
    return messages


def _chat_options(question: Question) -> dict[str, Any]:
    options: dict[str, Any] = {"max_completion_tokens": question.limit}
    if question.tools:
        options["tools"] = [
            {"type": "function", "function": {"name": name, "description": TOOLS[name], "parameters": PARAMETERS}}
            for name in question.tools
        ]
    if question.choice is not None:
        options["tool_choice"] = {"type": "function", "function": {"name": question.choice}}
    if question.schema:
        schema = {"name": "place", "schema": PARAMETERS, "strict": True}
        options["response_format"] = {"type": "json_schema", "json_schema": schema}
    if question.stops:
        options["stop"] = list(question.stops)
    return options


def _chat_stream(chunks: Iterable[Any]) -> Said:
    text, calls, stop, usage = "", {}, None, None
    for chunk in chunks:
        assert usage is None, "usage comes last"
        usage = chunk.usage
        for choice in chunk.choices:
            text += choice.delta.content or ""
            stop = choice.finish_reason or stop
            for piece in choice.delta.tool_calls or ():
                call = calls.setdefault(piece.index, ["", "", ""])
                call[0] = piece.id or call[0]
                call[1] += piece.function.name or ""
                call[2] += piece.function.arguments or ""
    return _chat_said(text, list(calls.values()), stop, usage)


def _chat_said(text: str, calls: Iterable[Any], stop: str | None, usage: Any) -> Said:
    details = usage.prompt_tokens_details
    cached = (0, 0) if details is None else (details.cached_tokens or 0, details.cache_write_tokens or 0)
    counts = (usage.prompt_tokens, *cached, usage.completion_tokens)
    assert usage.total_tokens == usage.prompt_tokens + usage.completion_tokens
    read = tuple((its_id, name, json.loads(arguments)) for its_id, name, arguments in calls)
    return Said(text, read, {"stop": "stop", "length": "length", "tool_calls": "tool"}[stop or ""], counts)


def ask_completion(till: Till, model: str, question: Question) -> Said:
    """``completions.create``."""
    body: dict[str, Any] = {"model": model, "prompt": question.prompt, "max_tokens": question.limit}
    client = openai_sdk(till)
    headers = {"x-request-id": till.next_id()}
    if not question.stream:
        answer: Any = client.completions.create(**body, extra_headers=headers)
        return _chat_said(answer.choices[0].text, (), answer.choices[0].finish_reason, answer.usage)
    options: dict[str, Any] = {"stream": True, "stream_options": {"include_usage": True}}
    text, stop, usage = "", None, None
    chunks: Any = client.completions.create(**body, **options, extra_headers=headers)
    for chunk in chunks:
        usage = chunk.usage
        for choice in chunk.choices:
            text += choice.text
            stop = choice.finish_reason or stop
    return _chat_said(text, (), stop, usage)


def ask_responses(till: Till, model: str, question: Question) -> Said:
    """``responses.create`` and ``responses.stream``, whose reader holds a stream to its order."""
    body = {"model": model, "input": _input(question), "max_output_tokens": question.limit, **question.extra}
    if question.system is not None:
        body["instructions"] = question.system
    if question.tools:
        body["tools"] = [
            {"type": "function", "name": name, "description": TOOLS[name], "parameters": PARAMETERS, "strict": True}
            for name in question.tools
        ]
    if question.choice is not None:
        body["tool_choice"] = {"type": "function", "name": question.choice}
    if question.schema:
        schema = {"type": "json_schema", "name": "place", "schema": PARAMETERS, "strict": True}
        body["text"] = {"format": schema}
    client = openai_sdk(till)
    headers = {"x-request-id": till.next_id()}
    if not question.stream:
        return _response_said(client.responses.create(**body, extra_headers=headers))
    final: Any = None
    words = ""
    with client.responses.stream(**body, extra_headers=headers) as stream:
        for event in stream:
            if event.type == "response.output_text.delta":
                words += event.delta
            if event.type in ("response.completed", "response.incomplete"):
                final = event.response
    said = _response_said(final)
    assert words == said.text
    return said


def _input(question: Question) -> Any:
    if not question.image and question.earlier is None:
        return question.prompt
    content: Any = question.prompt
    if question.image:
        image = {"type": "input_image", "image_url": f"data:image/png;base64,{PNG}"}
        content = [{"type": "input_text", "text": question.prompt}, image]
    items: list[Any] = [{"role": "user", "content": content}]
    if question.earlier is not None:
        for its_id, name, arguments in question.earlier.calls:
            call = {"type": "function_call", "call_id": its_id, "name": name}
            items.append({**call, "arguments": json.dumps(arguments)})
        for (its_id, _, _), result in zip(question.earlier.calls, question.results, strict=True):
            items.append({"type": "function_call_output", "call_id": its_id, "output": result})
    return items


def _response_said(answer: Any) -> Said:
    calls = tuple(
        (item.call_id, item.name, json.loads(item.arguments)) for item in answer.output if item.type == "function_call"
    )
    if answer.status == "incomplete":
        assert answer.incomplete_details.reason == "max_output_tokens"
    stop = "length" if answer.status == "incomplete" else "tool" if calls else "stop"
    usage = answer.usage
    assert usage.total_tokens == usage.input_tokens + usage.output_tokens
    details = usage.input_tokens_details
    counts = (usage.input_tokens, details.cached_tokens, details.cache_write_tokens, usage.output_tokens)
    return Said(answer.output_text, calls, stop, counts)


def ask_messages(till: Till, model: str, question: Question) -> Said:
    """``messages.create`` and ``messages.stream``."""
    content: Any = question.prompt
    if question.image:
        source = {"type": "base64", "media_type": "image/png", "data": PNG}
        content = [{"type": "text", "text": question.prompt}, {"type": "image", "source": source}]
    messages: list[Any] = [{"role": "user", "content": content}]
    if question.earlier is not None:
        calls = [
            {"type": "tool_use", "id": its_id, "name": name, "input": arguments}
            for its_id, name, arguments in question.earlier.calls
        ]
        messages.append({"role": "assistant", "content": calls})
        results = [
            {"type": "tool_result", "tool_use_id": call["id"], "content": result}
            for call, result in zip(calls, question.results, strict=True)
        ]
        messages.append({"role": "user", "content": results})
    body: dict[str, Any] = {"model": model, "messages": messages, "max_tokens": question.limit, **question.extra}
    if question.system is not None:
        body["system"] = question.system
    if question.tools:
        body["tools"] = [
            {"name": name, "description": TOOLS[name], "input_schema": PARAMETERS} for name in question.tools
        ]
    if question.choice is not None:
        body["tool_choice"] = {"type": "tool", "name": question.choice}
    if question.schema:
        body["output_config"] = {"format": {"type": "json_schema", "schema": PARAMETERS}}
    if question.stops:
        body["stop_sequences"] = list(question.stops)
    client = anthropic_sdk(till)
    headers = {"x-request-id": till.next_id()}
    if not question.stream:
        return _message_said(client.messages.create(**body, extra_headers=headers))
    with client.messages.stream(**body, extra_headers=headers) as stream:
        words = "".join(stream.text_stream)
        said = _message_said(stream.get_final_message())
        assert words == said.text
        return said


def _message_said(message: Any) -> Said:
    assert (message.type, message.role) == ("message", "assistant")
    text = "".join(block.text for block in message.content if block.type == "text")
    calls = tuple((block.id, block.name, block.input) for block in message.content if block.type == "tool_use")
    stops = {"end_turn": "stop", "stop_sequence": "stop", "max_tokens": "length", "tool_use": "tool"}
    usage = message.usage
    read, written = usage.cache_read_input_tokens or 0, usage.cache_creation_input_tokens or 0
    return Said(
        text,
        calls,
        stops[message.stop_reason],
        (usage.input_tokens + read + written, read, written, usage.output_tokens),
    )


ASK: Mapping[str, Ask] = {
    "chat": ask_chat,
    "completions": ask_completion,
    "responses": ask_responses,
    "messages": ask_messages,
}
"""By the door."""
