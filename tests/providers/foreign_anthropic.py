"""Anthropic's Messages as the vendor speaks it (platform.claude.com, "Messages", "Streaming Messages", "Errors")."""

import json
import re
from typing import Any

from tests.providers.foreign_ask import Heard, Plan, need, only

CONTENT_TYPE = b"text/event-stream; charset=utf-8"
_FIELDS = {
    *("model", "max_tokens", "messages", "system", "stream", "temperature", "top_p", "top_k", "stop_sequences"),
    *("tools", "tool_choice", "thinking", "output_config", "metadata", "cache_control", "service_tier"),
}
_ID = re.compile(r"[a-zA-Z0-9_-]+")
_STOPS = {"stop": "end_turn", "length": "max_tokens", "tool": "tool_use", "sequence": "stop_sequence"}
_KINDS = {
    400: "invalid_request_error",
    401: "authentication_error",
    403: "permission_error",
    404: "not_found_error",
    429: "rate_limit_error",
    529: "overloaded_error",
}
SIGNATURE = "EqQBCkYIARgCKkBmb3JlaWdu/proof+of=="


def hear(body: dict[str, Any], _: str) -> Heard:
    """The request. Raises Malformed."""
    only(body, _FIELDS, "body")
    need(isinstance(body.get("max_tokens"), int) and body["max_tokens"] > 0, "max_tokens: Field required")
    heard = Heard(body["model"], bool(body.get("stream")), limit=body["max_tokens"])
    heard.stops = list(body.get("stop_sequences") or [])
    heard.temperature = body.get("temperature")
    heard.cache_marks += "cache_control" in body
    system = body.get("system") or ""
    blocks = [] if isinstance(system, str) else system
    heard.cache_marks += sum("cache_control" in block for block in blocks)
    heard.system = system if isinstance(system, str) else " ".join(map(_text, blocks))
    for tool in body.get("tools") or []:
        only(tool, {"name", "description", "input_schema", "strict", "cache_control", "type"}, "tools")
        need(tool["input_schema"].get("type") == "object", "tools.0.input_schema.type: Field required")
        heard.tools.append(tool["name"])
        heard.cache_marks += "cache_control" in tool
    choice = body.get("tool_choice") or {}
    need(not choice or heard.tools, "tool_choice may only be specified while providing tools")
    heard.choice = choice.get("name") or choice.get("type", "")
    config = body.get("output_config") or {}
    only(config, {"format", "effort"}, "output_config")
    if form := config.get("format"):
        only(form, {"type", "schema"}, "output_config.format")
        need(form["type"] == "json_schema" and isinstance(form["schema"], dict), "output_config.format")
        heard.schema = True
    _think(heard, body)
    _messages(heard, body["messages"])
    return heard


def _think(heard: Heard, body: dict[str, Any]) -> None:
    thinking = body.get("thinking") or {"type": "disabled"}
    heard.thinking = thinking["type"] != "disabled"
    if thinking["type"] == "enabled":
        need(1024 <= thinking["budget_tokens"] < body["max_tokens"], "max_tokens must be greater than budget_tokens")
    if heard.thinking:
        need(body.get("temperature") in (None, 1), "`temperature` may only be set to 1 when thinking is enabled")
        need(heard.choice in ("", "auto", "none"), "Thinking may not be enabled when tool_choice forces tool use.")


def _messages(heard: Heard, messages: list[dict[str, Any]]) -> None:
    need(messages and messages[0]["role"] == "user", "messages: first message must use the user role")
    open_calls: dict[str, str] = {}
    for message in messages:
        only(message, {"role", "content"}, "messages")
        role, content = message["role"], message["content"]
        need(role in ("user", "assistant"), "messages.0.role: Input should be 'user' or 'assistant'")
        blocks = [{"type": "text", "text": content}] if isinstance(content, str) else content
        need(blocks, "messages: content must be non-empty")
        answered = [block["tool_use_id"] for block in blocks if block["type"] == "tool_result"]
        first = [block["type"] for block in blocks[: len(answered)]]
        need(set(answered) == set(open_calls), "`tool_use` ids were found without `tool_result` blocks after them")
        need(all(kind == "tool_result" for kind in first), "tool_result blocks must come first")
        unthought = any(block["type"] == "tool_use" for block in blocks) and "thinking" not in blocks[0]["type"]
        if heard.thinking and role == "assistant" and message is messages[-2]:
            need(not unthought, "Expected `thinking` or `redacted_thinking`, but found `tool_use`")
        calls = dict(open_calls)
        open_calls = {}
        for block in blocks:
            heard.cache_marks += "cache_control" in block
            match block["type"]:
                case "text":
                    heard.take(role, _text(block))
                case "image":
                    source = block["source"]
                    need(source["type"] == "url" or (source["data"] and source["media_type"]), "image.source")
                    heard.images += 1
                case "tool_use":
                    need(_ID.fullmatch(block["id"]), "tool_use.id: String should match pattern '^[a-zA-Z0-9_-]+$'")
                    need(isinstance(block["input"], dict), "tool_use.input: Input should be a valid dictionary")
                    open_calls[block["id"]] = block["name"]
                    heard.take(role, json.dumps(block["input"], ensure_ascii=False))
                case "tool_result":
                    said = block.get("content") or ""
                    text = said if isinstance(said, str) else " ".join(part["text"] for part in said)
                    heard.results.append((calls[block["tool_use_id"]], text))
                    heard.turns.append(("tool", text))
                case "thinking":
                    need(block["signature"] == SIGNATURE, "Invalid `signature` in `thinking` block")
                    heard.proofs += 1
                case kind:
                    need(False, f"messages.0.content.0: Input tag {kind!r} found")


def _text(block: dict[str, Any]) -> str:
    need(block["type"] == "text" and block["text"].strip(), "text content blocks must be non-empty")
    return str(block["text"])


def _usage(plan: Plan, output: int) -> dict[str, Any]:
    counts = plan.counts
    return {
        "input_tokens": counts.plain,
        "cache_creation_input_tokens": counts.write + counts.hour,
        "cache_read_input_tokens": counts.read,
        "cache_creation": {
            "ephemeral_5m_input_tokens": counts.write,
            "ephemeral_1h_input_tokens": counts.hour,
        },
        "output_tokens": output,
        "service_tier": "standard",
    }


def whole(plan: Plan, answer_id: str) -> dict[str, Any]:
    """A ``Message``."""
    content: list[dict[str, Any]] = []
    if plan.thoughts:
        content.append({"type": "thinking", "thinking": plan.thought, "signature": SIGNATURE})
    if plan.words:
        content.append({"type": "text", "text": plan.text, "citations": None})
    content += [
        {"type": "tool_use", "id": f"toolu_{its_id}", "name": name, "input": json.loads(arguments)}
        for its_id, name, arguments in plan.calls
    ]
    answer = {
        **_head(plan, answer_id),
        "content": content,
        "stop_reason": _STOPS[plan.stop],
        "stop_sequence": _met(plan),
    }
    if plan.tells_usage:
        details = {"output_tokens_details": {"thinking_tokens": plan.counts.thinking}}
        answer["usage"] = _usage(plan, plan.counts.output) | details
    return answer


def _head(plan: Plan, answer_id: str) -> dict[str, Any]:
    return {"id": f"msg_{answer_id}", "type": "message", "role": "assistant", "model": plan.heard.model}


def _met(plan: Plan) -> str | None:
    return plan.heard.stops[0] if plan.stop == "sequence" and plan.heard.stops else None


def events(plan: Plan, answer_id: str) -> list[bytes]:
    """The stream's events. The first one's figure of the output is only what there is so far, the last one's is the bill."""
    start = {**_head(plan, answer_id), "content": [], "stop_reason": None, "stop_sequence": None}
    if plan.tells_usage:
        start["usage"] = _usage(plan, 1)
    told = [_event("message_start", message=start), _event("ping")]
    index = 0
    if plan.thoughts:
        told.append(_start(index, {"type": "thinking", "thinking": "", "signature": ""}))
        told += [_delta(index, {"type": "thinking_delta", "thinking": thought}) for thought in plan.thoughts]
        told.append(_delta(index, {"type": "signature_delta", "signature": SIGNATURE}))
        told.append(_event("content_block_stop", index=index))
        index += 1
    if plan.words:
        told.append(_start(index, {"type": "text", "text": ""}))
        told += [_delta(index, {"type": "text_delta", "text": word}) for word in plan.words]
        told.append(_event("content_block_stop", index=index))
        index += 1
    for its_id, name, arguments in plan.calls:
        told.append(_start(index, {"type": "tool_use", "id": f"toolu_{its_id}", "name": name, "input": {}}))
        told.append(_delta(index, {"type": "input_json_delta", "partial_json": ""}))
        told += [
            _delta(index, {"type": "input_json_delta", "partial_json": arguments[at : at + 7]})
            for at in range(0, len(arguments), 7)
        ]
        told.append(_event("content_block_stop", index=index))
        index += 1
    delta = {"stop_reason": _STOPS[plan.stop], "stop_sequence": _met(plan)}
    details = {"thinking_tokens": plan.counts.thinking}
    said = {"output_tokens": plan.counts.output, "output_tokens_details": details}
    usage = {"usage": said} if plan.tells_usage else {}
    told.append(_event("message_delta", delta=delta, **usage))
    told.append(_event("message_stop"))
    return told


def _start(index: int, block: dict[str, Any]) -> bytes:
    return _event("content_block_start", index=index, content_block=block)


def _delta(index: int, delta: dict[str, Any]) -> bytes:
    return _event("content_block_delta", index=index, delta=delta)


def _event(kind: str, **fields: Any) -> bytes:
    data = json.dumps({"type": kind, **fields}, ensure_ascii=False)
    return f"event: {kind}\ndata: {data}\n\n".encode()


def broken() -> bytes:
    """An error in the middle of a stream."""
    return _event("error", error={"type": "overloaded_error", "message": "Overloaded"})


def error(status: int, message: str) -> dict[str, Any]:
    """The body of an error."""
    kind = _KINDS.get(status, "api_error")
    return {"type": "error", "error": {"type": kind, "message": message}, "request_id": "req_011CforeignAnthropic"}
