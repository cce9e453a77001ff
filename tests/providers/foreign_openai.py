"""OpenAI's chat completions, completions and embeddings as the vendor speaks them (platform.openai.com, API reference)."""

import base64
import json
import struct
from typing import Any

from tests.providers.foreign_ask import Heard, Plan, need, only

CONTENT_TYPE = b"text/event-stream; charset=utf-8"
CREATED = 1_767_225_600
_CHAT_FIELDS = {
    *("model", "messages", "stream", "stream_options", "max_tokens", "max_completion_tokens", "n", "temperature"),
    *("top_p", "stop", "seed", "presence_penalty", "frequency_penalty", "logit_bias", "logprobs", "top_logprobs"),
    *("response_format", "reasoning_effort", "verbosity", "user", "metadata", "store", "safety_identifier", "tools"),
    *("prompt_cache_key", "parallel_tool_calls", "tool_choice", "functions", "service_tier"),
}
_COMPLETION_FIELDS = {
    *("model", "prompt", "max_tokens", "stream", "stream_options", "n", "best_of", "echo", "suffix", "user", "stop"),
    *("temperature", "top_p", "seed", "presence_penalty", "frequency_penalty", "logit_bias", "logprobs"),
}
_STOPS = {"stop": "stop", "length": "length", "tool": "tool_calls", "sequence": "stop"}


def hear_chat(body: dict[str, Any], _: str) -> Heard:
    """A chat request. Raises Malformed."""
    only(body, _CHAT_FIELDS, "Unrecognized request argument supplied")
    heard = Heard(body["model"], bool(body.get("stream")))
    thinks = heard.model.startswith("gpt-5")
    need(not (thinks and "max_tokens" in body), "Unsupported parameter: 'max_tokens' is not supported with this model.")
    need(not thinks or body.get("temperature") in (None, 1), "Unsupported value: 'temperature' does not support it.")
    heard.limit = body.get("max_completion_tokens") or body.get("max_tokens")
    heard.include_usage = bool((body.get("stream_options") or {}).get("include_usage"))
    need(heard.stream or "stream_options" not in body, "The 'stream_options' parameter is only allowed with stream.")
    heard.temperature = body.get("temperature")
    stop = body.get("stop") or []
    heard.stops = [stop] if isinstance(stop, str) else list(stop)
    form = body.get("response_format") or {"type": "text"}
    heard.schema = form["type"] == "json_schema" and bool(form["json_schema"]["schema"])
    for tool in body.get("tools") or []:
        only(tool, {"type", "function"}, "tools[0]")
        only(tool["function"], {"name", "description", "parameters", "strict"}, "tools[0].function")
        heard.tools.append(tool["function"]["name"])
    choice = body.get("tool_choice") or ""
    heard.choice = choice if isinstance(choice, str) else choice["function"]["name"]
    need(not choice or heard.tools, "'tool_choice' is only allowed when 'tools' are specified.")
    _messages(heard, body["messages"])
    return heard


def _messages(heard: Heard, messages: list[dict[str, Any]]) -> None:
    need(messages, "[] is too short - 'messages'")
    open_calls: dict[str, str] = {}
    for message in messages:
        role = message["role"]
        need(role in ("system", "developer", "user", "assistant", "tool"), "Invalid value for role")
        need(
            not open_calls or role == "tool",
            "An assistant message with 'tool_calls' must be followed by tool messages responding to each 'tool_call_id'",
        )
        if role == "tool":
            need(message["tool_call_id"] in open_calls, "messages with role 'tool' must be a response")
            text = _text(heard, message["content"])
            heard.results.append((open_calls.pop(message["tool_call_id"]), text))
            heard.turns.append(("tool", text))
            continue
        text = _text(heard, message.get("content"))
        if role in ("system", "developer"):
            heard.system = " ".join(filter(None, (heard.system, text)))
        elif text:
            heard.take(role, text)
        for call in message.get("tool_calls") or []:
            need(isinstance(json.loads(call["function"]["arguments"]), dict), "arguments")
            open_calls[call["id"]] = call["function"]["name"]
            heard.take("assistant", call["function"]["arguments"])


def _text(heard: Heard, content: Any) -> str:
    if content is None or isinstance(content, str):
        return content or ""
    for part in content:
        need(part["type"] in ("text", "image_url", "refusal"), f"Invalid value: {part['type']!r}")
        heard.images += part["type"] == "image_url"
    return " ".join(part["text"] for part in content if part["type"] == "text")


def hear_completion(body: dict[str, Any], _: str) -> Heard:
    """An older completion's request. Raises Malformed."""
    only(body, _COMPLETION_FIELDS, "Unrecognized request argument supplied")
    need(isinstance(body["prompt"], str), "this provider takes one prompt")
    heard = Heard(body["model"], bool(body.get("stream")), limit=body.get("max_tokens", 16))
    heard.include_usage = bool((body.get("stream_options") or {}).get("include_usage"))
    heard.take("user", body["prompt"])
    return heard


def hear_embedding(body: dict[str, Any], _: str) -> Heard:
    """An embedding's request. Raises Malformed."""
    only(body, {"model", "input", "dimensions", "encoding_format", "user"}, "Unrecognized request argument supplied")
    heard = Heard(body["model"], limit=0)
    heard.choice = body.get("encoding_format", "float")
    for text in [body["input"]] if isinstance(body["input"], str) else body["input"]:
        heard.take("user", text)
    return heard


def _usage(plan: Plan) -> dict[str, Any]:
    counts = plan.counts
    return {
        "prompt_tokens": counts.input,
        "completion_tokens": counts.output,
        "total_tokens": counts.input + counts.output,
        "prompt_tokens_details": {"cached_tokens": counts.read, "cache_write_tokens": counts.write, "audio_tokens": 0},
        "completion_tokens_details": {"reasoning_tokens": counts.thinking, "audio_tokens": 0},
    }


def _head(plan: Plan, answer_id: str, kind: str) -> dict[str, Any]:
    return {"id": f"chatcmpl-{answer_id}", "object": kind, "created": CREATED, "model": plan.heard.model}


def whole_chat(plan: Plan, answer_id: str) -> dict[str, Any]:
    """A ``ChatCompletion``; OpenAI does not tell what was thought."""
    message: dict[str, Any] = {"role": "assistant", "content": plan.text or None, "refusal": None, "annotations": []}
    if plan.calls:
        message["tool_calls"] = [
            {"id": its_id, "type": "function", "function": {"name": name, "arguments": arguments}}
            for its_id, name, arguments in plan.calls
        ]
    choice = {"index": 0, "message": message, "logprobs": None, "finish_reason": _STOPS[plan.stop]}
    answer = {**_head(plan, answer_id, "chat.completion"), "choices": [choice]}
    return {**answer, "usage": _usage(plan)} if plan.tells_usage else answer


def chat_events(plan: Plan, answer_id: str) -> list[bytes]:
    """Chunks, with the usage in one of its own when it was asked for."""
    deltas: list[dict[str, Any]] = [{"role": "assistant", "content": None if plan.calls else "", "refusal": None}]
    deltas += [{"content": word} for word in plan.words]
    for index, (its_id, name, arguments) in enumerate(plan.calls):
        begin = {"index": index, "id": its_id, "type": "function", "function": {"name": name, "arguments": ""}}
        deltas.append({"tool_calls": [begin]})
        deltas += [
            {"tool_calls": [{"index": index, "function": {"arguments": arguments[at : at + 5]}}]}
            for at in range(0, len(arguments), 5)
        ]
    usage = {"usage": None} if plan.heard.include_usage else {}
    head = {**_head(plan, answer_id, "chat.completion.chunk"), "system_fingerprint": "fp_foreign", **usage}
    told = [_event({**head, "choices": [_choice(delta, None)]}) for delta in deltas]
    told.append(_event({**head, "choices": [_choice({}, _STOPS[plan.stop])]}))
    if plan.heard.include_usage and plan.tells_usage:
        told.append(_event({**head, "choices": [], "usage": _usage(plan)}))
    return [*told, b"data: [DONE]\n\n"]


def _choice(delta: dict[str, Any], finish: str | None) -> dict[str, Any]:
    return {"index": 0, "delta": delta, "logprobs": None, "finish_reason": finish}


def whole_completion(plan: Plan, answer_id: str) -> dict[str, Any]:
    """A ``Completion``."""
    choice = {"index": 0, "text": plan.text, "logprobs": None, "finish_reason": _STOPS[plan.stop]}
    answer = {**_head(plan, answer_id, "text_completion"), "choices": [choice]}
    return {**answer, "usage": _usage(plan)} if plan.tells_usage else answer


def completion_events(plan: Plan, answer_id: str) -> list[bytes]:
    """Chunks of a completion."""
    head = _head(plan, answer_id, "text_completion")
    ends: list[str | None] = [*[None] * len(plan.words), _STOPS[plan.stop]]
    told = [
        _event({**head, "choices": [{"index": 0, "text": text, "logprobs": None, "finish_reason": end}]})
        for text, end in zip([*plan.words, ""], ends, strict=True)
    ]
    if plan.heard.include_usage and plan.tells_usage:
        told.append(_event({**head, "choices": [], "usage": _usage(plan)}))
    return [*told, b"data: [DONE]\n\n"]


def whole_embedding(plan: Plan, _: str) -> dict[str, Any]:
    """Vectors of three numbers, in base64 when asked so."""
    vector = (0.25, -0.5, 1.0)
    told: Any = list(vector)
    if plan.heard.choice == "base64":
        told = base64.b64encode(struct.pack("<3f", *vector)).decode()
    data = [{"object": "embedding", "index": at, "embedding": told} for at in range(len(plan.heard.turns))]
    usage = {"prompt_tokens": plan.counts.input, "total_tokens": plan.counts.input}
    answer = {"object": "list", "data": data, "model": plan.heard.model}
    return {**answer, "usage": usage} if plan.tells_usage else answer


def no_events(plan: Plan, _: str) -> list[bytes]:
    """Embeddings don't stream."""
    raise AssertionError(plan)


def _event(chunk: dict[str, Any]) -> bytes:
    return b"data: " + json.dumps(chunk, ensure_ascii=False).encode() + b"\n\n"


def broken() -> bytes:
    """An error in the middle of a stream."""
    return _event(error(500, "The server had an error while processing your request. Sorry about that!"))


def error(status: int, message: str) -> dict[str, Any]:
    """The body of an error."""
    kind = {400: "invalid_request_error", 401: "invalid_request_error", 429: "tokens"}.get(status, "server_error")
    code = {401: "invalid_api_key", 429: "rate_limit_exceeded"}.get(status)
    return {"error": {"message": message, "type": kind, "param": None, "code": code}}
