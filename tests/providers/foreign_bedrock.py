"""Amazon Bedrock's Converse as the vendor speaks it (Amazon Bedrock API reference, "Converse" and "ConverseStream"), and the
binary framing of its streams (Amazon Transcribe developer guide, "Event stream encoding")."""

import base64
import binascii
import json
import struct
from typing import Any
from urllib.parse import unquote

from tests.providers.foreign_ask import Heard, Plan, need, only

CONTENT_TYPE = b"application/vnd.amazon.eventstream"
_FIELDS = {
    *("messages", "system", "inferenceConfig", "toolConfig", "additionalModelRequestFields", "outputConfig"),
    *("guardrailConfig", "additionalModelResponseFieldPaths", "requestMetadata", "performanceConfig"),
}
_STOPS = {"stop": "end_turn", "length": "max_tokens", "tool": "tool_use", "sequence": "stop_sequence"}
_EXCEPTIONS = {
    400: "ValidationException",
    403: "AccessDeniedException",
    404: "ResourceNotFoundException",
    429: "ThrottlingException",
    500: "InternalServerException",
    503: "ServiceUnavailableException",
}
SIGNATURE = "EvBedrockForeignProof+of/thought=="


def hear(body: dict[str, Any], target: str) -> Heard:
    """The request. Raises Malformed."""
    only(body, _FIELDS, "#")
    _, model, method = target.rsplit("/", 2)
    heard = Heard(unquote(model), method == "converse-stream")
    config = body.get("inferenceConfig") or {}
    only(config, {"maxTokens", "temperature", "topP", "stopSequences"}, "#/inferenceConfig")
    heard.limit = config.get("maxTokens")
    heard.temperature = config.get("temperature")
    heard.stops = list(config.get("stopSequences") or [])
    for block in body.get("system") or []:
        heard.cache_marks += "cachePoint" in block
        heard.system = " ".join(filter(None, (heard.system, block.get("text"))))
    for tool in (body.get("toolConfig") or {}).get("tools", []):
        heard.cache_marks += "cachePoint" in tool
        if "toolSpec" in tool:
            only(tool["toolSpec"], {"name", "description", "inputSchema", "strict"}, "#/toolConfig/tools/0")
            need(isinstance(tool["toolSpec"]["inputSchema"]["json"], dict), "#/toolConfig/tools/0/inputSchema")
            heard.tools.append(tool["toolSpec"]["name"])
    for kind, choice in ((body.get("toolConfig") or {}).get("toolChoice") or {}).items():
        heard.choice = choice.get("name") or kind
    heard.thinking = "thinking" in (body.get("additionalModelRequestFields") or {})
    output = body.get("outputConfig") or {}
    if form := output.get("textFormat"):
        need(form["type"] == "json_schema" and json.loads(form["structure"]["jsonSchema"]["schema"]), "#/outputConfig")
        heard.schema = True
    _messages(heard, body["messages"])
    return heard


def _messages(heard: Heard, messages: list[dict[str, Any]]) -> None:
    need(messages and messages[0]["role"] == "user", "A conversation must start with a user message.")
    open_calls: dict[str, str] = {}
    role = "assistant"
    for message in messages:
        need(message["role"] != role, "A conversation must alternate between user and assistant roles.")
        role = message["role"]
        answered = [block["toolResult"]["toolUseId"] for block in message["content"] if "toolResult" in block]
        need(set(answered) == set(open_calls), "Expected toolResult blocks at messages.2.content for the toolUse ids")
        calls = open_calls
        open_calls = {}
        for block in message["content"]:
            [(kind, value)] = block.items()
            match kind:
                case "text":
                    need(value.strip(), "The text field in the ContentBlock object is blank.")
                    heard.take(role, value)
                case "image":
                    need(value["format"] in ("png", "jpeg", "gif", "webp"), "image.format")
                    base64.b64decode(value["source"]["bytes"], validate=True)
                    heard.images += 1
                case "toolUse":
                    need(heard.tools, "The toolConfig field must be defined when using toolUse and toolResult.")
                    need(isinstance(value["input"], dict), "toolUse.input")
                    open_calls[value["toolUseId"]] = value["name"]
                    heard.take(role, json.dumps(value["input"], ensure_ascii=False))
                case "toolResult":
                    said = " ".join(part["text"] for part in value["content"])
                    heard.results.append((calls[value["toolUseId"]], said))
                    heard.turns.append(("tool", said))
                case "cachePoint":
                    heard.cache_marks += 1
                case "reasoningContent":
                    need(value["reasoningText"]["signature"] == SIGNATURE, "invalid signature")
                    heard.proofs += 1
                case _:
                    need(False, f"unknown block {kind}")


def _usage(plan: Plan) -> dict[str, Any]:
    counts = plan.counts
    usage: dict[str, Any] = {
        "inputTokens": counts.plain,
        "outputTokens": counts.output,
        "totalTokens": counts.input + counts.output,
    }
    if counts.read:
        usage["cacheReadInputTokens"] = counts.read
    if counts.write or counts.hour:
        usage["cacheWriteInputTokens"] = counts.write + counts.hour
        details = (("5m", counts.write), ("1h", counts.hour))
        usage["cacheDetails"] = [{"ttl": ttl, "inputTokens": tokens} for ttl, tokens in details if tokens]
    return usage


def whole(plan: Plan, _: str) -> dict[str, Any]:
    """A ``ConverseResponse``."""
    content: list[dict[str, Any]] = []
    if plan.thoughts:
        thought = {"text": plan.thought, "signature": SIGNATURE}
        content.append({"reasoningContent": {"reasoningText": thought}})
    if plan.words:
        content.append({"text": plan.text})
    content += [
        {"toolUse": {"toolUseId": f"tooluse_{its_id}", "name": name, "input": json.loads(arguments)}}
        for its_id, name, arguments in plan.calls
    ]
    answer = {
        "output": {"message": {"role": "assistant", "content": content}},
        "stopReason": _STOPS[plan.stop],
        "metrics": {"latencyMs": 7},
    }
    return {**answer, "usage": _usage(plan)} if plan.tells_usage else answer


def events(plan: Plan, _: str) -> list[bytes]:
    """The stream's messages; the last one tells the figures."""
    told = [_event("messageStart", {"role": "assistant"})]
    index = 0
    if plan.thoughts:
        told += [_delta(index, {"reasoningContent": {"text": thought}}) for thought in plan.thoughts]
        told.append(_delta(index, {"reasoningContent": {"signature": SIGNATURE}}))
        told.append(_event("contentBlockStop", {"contentBlockIndex": index}))
        index += 1
    if plan.words:
        told += [_delta(index, {"text": word}) for word in plan.words]
        told.append(_event("contentBlockStop", {"contentBlockIndex": index}))
        index += 1
    for its_id, name, arguments in plan.calls:
        start = {"toolUse": {"toolUseId": f"tooluse_{its_id}", "name": name}}
        told.append(_event("contentBlockStart", {"start": start, "contentBlockIndex": index}))
        told += [_delta(index, {"toolUse": {"input": arguments[at : at + 9]}}) for at in range(0, len(arguments), 9)]
        told.append(_event("contentBlockStop", {"contentBlockIndex": index}))
        index += 1
    told.append(_event("messageStop", {"stopReason": _STOPS[plan.stop]}))
    if plan.tells_usage:
        told.append(_event("metadata", {"usage": _usage(plan), "metrics": {"latencyMs": 7}}))
    return told


def _delta(index: int, delta: dict[str, Any]) -> bytes:
    return _event("contentBlockDelta", {"delta": delta, "contentBlockIndex": index})


def _event(kind: str, payload: dict[str, Any]) -> bytes:
    """``p`` is the padding that Bedrock adds, so that lengths don't tell what is said."""
    headers = {":event-type": kind, ":content-type": "application/json", ":message-type": "event"}
    return _frame(headers, {**payload, "p": "abcdefghijkl"})


def _frame(headers: dict[str, str], payload: dict[str, Any]) -> bytes:
    block = b""
    for name, value in headers.items():
        block += bytes([len(name)]) + name.encode() + b"\x07" + struct.pack("!H", len(value)) + value.encode()
    body = json.dumps(payload, ensure_ascii=False).encode()
    head = struct.pack("!II", 12 + len(block) + len(body) + 4, len(block))
    head += struct.pack("!I", binascii.crc32(head))
    return head + block + body + struct.pack("!I", binascii.crc32(head + block + body))


def broken() -> bytes:
    """An exception in the middle of a stream."""
    headers = {":exception-type": "modelStreamErrorException", ":content-type": "application/json"}
    told = {"message": "The model stopped unexpectedly.", "originalStatusCode": 500}
    return _frame({**headers, ":message-type": "exception"}, told)


def error(status: int, message: str) -> dict[str, Any]:
    """The body of an error; ``exception_of`` names it in a header."""
    return {"message": message}


def exception_of(status: int) -> str:
    """The value of ``x-amzn-errortype``."""
    return _EXCEPTIONS.get(status, "InternalServerException") + ":http://internal.amazon.com/coral/com.amazon.bedrock/"
