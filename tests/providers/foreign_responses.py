"""OpenAI's Responses as the vendor speaks it (platform.openai.com, "Responses" and "Responses streaming")."""

import json
from typing import Any

from tests.providers.foreign_ask import Heard, Plan, need, only
from tests.providers.foreign_openai import CREATED

CONTENT_TYPE = b"text/event-stream; charset=utf-8"
_FIELDS = {
    *("model", "input", "instructions", "tools", "tool_choice", "parallel_tool_calls", "text", "reasoning", "include"),
    *("max_output_tokens", "temperature", "top_p", "stream", "store", "metadata", "user", "truncation"),
    *("previous_response_id", "service_tier", "top_logprobs", "stream_options", "prompt_cache_key"),
}


def hear(body: dict[str, Any], _: str) -> Heard:
    """The request. Raises Malformed."""
    only(body, _FIELDS, "Unknown parameter")
    heard = Heard(body["model"], bool(body.get("stream")), system=body.get("instructions") or "")
    heard.limit = body.get("max_output_tokens")
    need(heard.limit is None or heard.limit >= 16, "Invalid 'max_output_tokens': integer below minimum value")
    heard.temperature = body.get("temperature")
    heard.thinking = bool(body.get("reasoning"))
    form = (body.get("text") or {}).get("format") or {"type": "text"}
    heard.schema = form["type"] == "json_schema" and bool(form["name"]) and bool(form["schema"])
    for tool in body.get("tools") or []:
        only(tool, {"type", "name", "description", "parameters", "strict"}, "tools[0]")
        heard.tools.append(tool["name"])
    choice = body.get("tool_choice") or ""
    heard.choice = choice if isinstance(choice, str) else choice["name"]
    given = body["input"]
    items = [{"role": "user", "content": given}] if isinstance(given, str) else given
    calls: dict[str, str] = {}
    for item in items:
        _item(heard, item, calls)
    return heard


def _item(heard: Heard, item: dict[str, Any], calls: dict[str, str]) -> None:
    match item.get("type", "message"):
        case "message":
            content = item["content"]
            parts = [{"type": "input_text", "text": content}] if isinstance(content, str) else content
            heard.images += sum(part["type"] == "input_image" for part in parts)
            text = " ".join(part["text"] for part in parts if part["type"] in ("input_text", "output_text"))
            if item["role"] in ("system", "developer"):
                heard.system = " ".join(filter(None, (heard.system, text)))
            else:
                heard.take(item["role"], text)
        case "function_call":
            calls[item["call_id"]] = item["name"]
            heard.take("assistant", item["arguments"])
        case "function_call_output":
            need(item["call_id"] in calls, "No tool call found for function call output with that call_id.")
            heard.results.append((calls[item["call_id"]], item["output"]))
            heard.turns.append(("tool", item["output"]))
        case "reasoning":
            pass
        case kind:
            need(False, f"Invalid value: {kind!r}")


def whole(plan: Plan, answer_id: str) -> dict[str, Any]:
    """A ``Response``."""
    cut = plan.stop == "length"
    answer = {
        **_in_progress(plan, answer_id),
        "status": "incomplete" if cut else "completed",
        "incomplete_details": {"reason": "max_output_tokens"} if cut else None,
        "output": _items(plan, answer_id),
    }
    if plan.tells_usage:
        answer["usage"] = _usage(plan)
    return answer


def _in_progress(plan: Plan, answer_id: str) -> dict[str, Any]:
    return {
        "id": f"resp_{answer_id}",
        "object": "response",
        "created_at": CREATED,
        "status": "in_progress",
        "error": None,
        "incomplete_details": None,
        "instructions": plan.heard.system or None,
        "max_output_tokens": plan.heard.limit,
        "model": plan.heard.model,
        "output": [],
        "parallel_tool_calls": True,
        "tool_choice": "auto",
        "tools": [],
        "text": {"format": {"type": "text"}},
        "usage": None,
        "metadata": {},
    }


def _usage(plan: Plan) -> dict[str, Any]:
    counts = plan.counts
    details: dict[str, Any] = {
        "cached_tokens": counts.read,
        "cache_write_tokens": counts.write + counts.hour,
        "cache_write_tokens_details": {"ttl_30m_tokens": counts.write, "ttl_12h_tokens": counts.hour},
    }
    return {
        "input_tokens": counts.input,
        "input_tokens_details": details,
        "output_tokens": counts.output,
        "output_tokens_details": {"reasoning_tokens": counts.thinking},
        "total_tokens": counts.input + counts.output,
    }


def _items(plan: Plan, answer_id: str) -> list[dict[str, Any]]:
    items: list[dict[str, Any]] = []
    if plan.thoughts:
        items.append({"type": "reasoning", "id": f"rs_{answer_id}", "summary": []})
    if plan.words:
        text = {"type": "output_text", "text": plan.text, "annotations": [], "logprobs": []}
        message = {"type": "message", "id": f"msg_{answer_id}", "role": "assistant", "status": "completed"}
        items.append({**message, "content": [text]})
    for number, (its_id, name, arguments) in enumerate(plan.calls):
        call = {"type": "function_call", "id": f"fc_{answer_id}_{number}", "status": "completed"}
        items.append({**call, "call_id": its_id, "name": name, "arguments": arguments})
    return items


def events(plan: Plan, answer_id: str) -> list[bytes]:
    """The stream's events; the last one holds the whole response."""
    progress = _in_progress(plan, answer_id)
    told: list[dict[str, Any]] = [
        {"type": "response.created", "response": progress},
        {"type": "response.in_progress", "response": progress},
    ]
    for index, item in enumerate(_items(plan, answer_id)):
        place = {"output_index": index, "item_id": item["id"]}
        told.append({"type": "response.output_item.added", "output_index": index, "item": _empty(item)})
        if item["type"] == "message":
            part = {"type": "output_text", "text": "", "annotations": [], "logprobs": []}
            place["content_index"] = 0
            told.append({"type": "response.content_part.added", **place, "part": part})
            delta = {"type": "response.output_text.delta", **place, "logprobs": []}
            told += [{**delta, "delta": word} for word in plan.words]
            told.append({"type": "response.output_text.done", **place, "text": plan.text, "logprobs": []})
            told.append({"type": "response.content_part.done", **place, "part": item["content"][0]})
        elif item["type"] == "function_call":
            arguments = item["arguments"]
            told += [
                {"type": "response.function_call_arguments.delta", **place, "delta": arguments[at : at + 6]}
                for at in range(0, len(arguments), 6)
            ]
            done = {"type": "response.function_call_arguments.done", **place, "name": item["name"]}
            told.append({**done, "arguments": arguments})
        told.append({"type": "response.output_item.done", "output_index": index, "item": item})
    answer = whole(plan, answer_id)
    told.append({"type": f"response.{answer['status']}", "response": answer})
    return [_event({**event, "sequence_number": number}) for number, event in enumerate(told)]


def _empty(item: dict[str, Any]) -> dict[str, Any]:
    empty = {"content": []} if "content" in item else {"arguments": ""} if "arguments" in item else {}
    return {**item, **({"status": "in_progress"} if "status" in item else {}), **empty}


def _event(event: dict[str, Any]) -> bytes:
    return f"event: {event['type']}\ndata: {json.dumps(event, ensure_ascii=False)}\n\n".encode()


def broken() -> bytes:
    """An error in the middle of a stream."""
    told = {"type": "error", "code": "server_error", "message": "The server had an error.", "param": None}
    return _event({**told, "sequence_number": 3})
