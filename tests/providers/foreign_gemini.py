"""Google's Gemini API as the vendor speaks it (ai.google.dev, "GenerateContent", v1beta)."""

import json
from typing import Any
from urllib.parse import unquote

from tests.providers.foreign_ask import Heard, Plan, need, only

CONTENT_TYPE = b"text/event-stream"
_FIELDS = {
    *("contents", "systemInstruction", "tools", "toolConfig", "generationConfig", "safetySettings", "cachedContent"),
}
_CONFIG = {
    *("stopSequences", "responseMimeType", "responseSchema", "responseJsonSchema", "candidateCount", "maxOutputTokens"),
    *("temperature", "topP", "topK", "seed", "presencePenalty", "frequencyPenalty", "responseLogprobs", "logprobs"),
    "thinkingConfig",
}
_STOPS = {"stop": "STOP", "length": "MAX_TOKENS", "tool": "STOP", "sequence": "STOP"}
_STATUSES = {
    400: "INVALID_ARGUMENT",
    401: "UNAUTHENTICATED",
    403: "PERMISSION_DENIED",
    404: "NOT_FOUND",
    429: "RESOURCE_EXHAUSTED",
    503: "UNAVAILABLE",
}
SIGNATURE = "CiQBFOREIGNGeminiThoughtProof=="
UNSIGNED = "skip_thought_signature_validator"
"""What the "Thought signatures" guide lets stand for a signature that was lost."""


def hear(body: dict[str, Any], target: str) -> Heard:
    """The request. Raises Malformed."""
    only(body, _FIELDS, "Invalid JSON payload received")
    path, _, query = target.partition("?")
    model, _, method = unquote(path.rpartition("/models/")[2]).partition(":")
    heard = Heard(model, method == "streamGenerateContent")
    need(not heard.stream or query == "alt=sse", "a stream without alt=sse is one JSON array")
    config = body.get("generationConfig") or {}
    only(config, _CONFIG, "generation_config")
    heard.limit = config.get("maxOutputTokens")
    heard.stops = list(config.get("stopSequences") or [])
    heard.temperature = config.get("temperature")
    heard.schema = "responseJsonSchema" in config or "responseSchema" in config
    need(not heard.schema or config.get("responseMimeType") == "application/json", "schema needs application/json")
    heard.thinking = bool(config.get("thinkingConfig"))
    heard.system = " ".join(part["text"] for part in (body.get("systemInstruction") or {}).get("parts", []))
    for tool in body.get("tools") or []:
        only(tool, {"functionDeclarations"}, "tools")
        for declared in tool["functionDeclarations"]:
            only(declared, {"name", "description", "parameters", "parametersJsonSchema"}, "function_declarations")
            heard.tools.append(declared["name"])
    calling = (body.get("toolConfig") or {}).get("functionCallingConfig") or {}
    only(calling, {"mode", "allowedFunctionNames"}, "function_calling_config")
    heard.choice = " ".join(calling.get("allowedFunctionNames") or [calling.get("mode", "")])
    _contents(heard, body["contents"])
    return heard


def _contents(heard: Heard, contents: list[dict[str, Any]]) -> None:
    need(contents, "contents is not specified")
    open_calls: list[str] = []
    for content in contents:
        only(content, {"role", "parts"}, "contents")
        need(content["role"] in ("user", "model"), "Please use a valid role: user, model.")
        need(content["parts"], "contents.parts must not be empty.")
        answered = [part["functionResponse"]["name"] for part in content["parts"] if "functionResponse" in part]
        need(
            sorted(answered) == sorted(open_calls),
            "the number of function response parts is equal to the number of function call parts",
        )
        open_calls = []
        for part in content["parts"]:
            only(
                part,
                {"text", "inlineData", "fileData", "functionCall", "functionResponse", "thoughtSignature"},
                "parts",
            )
            if "thoughtSignature" in part:
                need(part["thoughtSignature"] in (SIGNATURE, UNSIGNED), "Thought signature is not valid.")
                heard.proofs += part["thoughtSignature"] == SIGNATURE
            if "functionCall" in part:
                only(part["functionCall"], {"id", "name", "args"}, "function_call")
                need(isinstance(part["functionCall"].get("args", {}), dict), "function_call.args")
                open_calls.append(part["functionCall"]["name"])
                heard.take(content["role"], json.dumps(part["functionCall"].get("args"), ensure_ascii=False))
            elif "functionResponse" in part:
                response = part["functionResponse"]
                only(response, {"id", "name", "response", "parts"}, "function_response")
                said = " ".join(str(value) for value in response["response"].values())
                heard.results.append((response["name"], said))
                heard.turns.append(("tool", said))
            elif "inlineData" in part:
                need(part["inlineData"]["data"] and part["inlineData"]["mimeType"], "inline_data")
                heard.images += 1
            elif "fileData" in part:
                heard.images += 1
            elif part["text"]:
                heard.take("assistant" if content["role"] == "model" else "user", part["text"])


def whole(plan: Plan, answer_id: str) -> dict[str, Any]:
    """A ``GenerateContentResponse``."""
    parts: list[dict[str, Any]] = []
    if plan.thoughts and not plan.wish.hidden:
        parts.append({"text": plan.thought, "thought": True})
    if plan.words:
        parts.append({"text": plan.text})
    parts += [_call(plan, number) for number in range(len(plan.calls))]
    return _chunk(plan, answer_id, parts, _STOPS[plan.stop], len(plan.words), len(plan.calls), len(plan.thoughts))


def _call(plan: Plan, number: int) -> dict[str, Any]:
    """Without an id, as 2.5 models send it."""
    _, name, arguments = plan.calls[number]
    part: dict[str, Any] = {"functionCall": {"name": name, "args": json.loads(arguments)}}
    if number == 0 and plan.thoughts:
        part["thoughtSignature"] = SIGNATURE
    return part


def _chunk(
    plan: Plan, answer_id: str, parts: list[dict[str, Any]], stop: str | None, words: int, calls: int, thoughts: int
) -> dict[str, Any]:
    candidate: dict[str, Any] = {"content": {"parts": parts, "role": "model"}, "index": 0}
    if stop is not None:
        candidate["finishReason"] = stop
    chunk: dict[str, Any] = {"candidates": [candidate]}
    if plan.tells_usage:
        chunk["usageMetadata"] = _usage(plan, words + 9 * calls, thoughts)
    return {**chunk, "modelVersion": plan.heard.model, "responseId": answer_id}


def _usage(plan: Plan, shown: int, thoughts: int) -> dict[str, Any]:
    """``candidatesTokenCount`` is what is shown; thoughts stand beside it, and both are in the total."""
    counts = plan.counts
    usage: dict[str, Any] = {
        "promptTokenCount": counts.input,
        "totalTokenCount": counts.input + shown + thoughts,
        "promptTokensDetails": [{"modality": "TEXT", "tokenCount": counts.input}],
    }
    if shown:
        usage["candidatesTokenCount"] = shown
    if thoughts:
        usage["thoughtsTokenCount"] = thoughts
    if counts.read:
        usage["cachedContentTokenCount"] = counts.read
    return usage


def events(plan: Plan, answer_id: str) -> list[bytes]:
    """The stream's events; every one tells the figures so far, and only the last one's are the bill."""
    told: list[dict[str, Any]] = []
    for number, thought in enumerate(() if plan.wish.hidden else plan.thoughts, 1):
        told.append(_chunk(plan, answer_id, [{"text": thought, "thought": True}], None, 0, 0, number))
    for number, word in enumerate(plan.words, 1):
        told.append(_chunk(plan, answer_id, [{"text": word}], None, number, 0, len(plan.thoughts)))
    if plan.calls:
        calls = [_call(plan, number) for number in range(len(plan.calls))]
        told.append(_chunk(plan, answer_id, calls, None, len(plan.words), len(calls), len(plan.thoughts)))
    last = _chunk(
        plan, answer_id, [{"text": ""}], _STOPS[plan.stop], len(plan.words), len(plan.calls), len(plan.thoughts)
    )
    return [_event(chunk) for chunk in [*told, last]]


def _event(chunk: dict[str, Any]) -> bytes:
    return b"data: " + json.dumps(chunk, ensure_ascii=False).encode() + b"\r\n\r\n"


def broken() -> bytes:
    """An error in the middle of a stream."""
    return _event(error(503, "The model is overloaded. Please try again later."))


def error(status: int, message: str) -> dict[str, Any]:
    """The body of an error. A wrong key is a 400 here."""
    told: dict[str, Any] = {"code": status, "message": message, "status": _STATUSES.get(status, "INTERNAL")}
    if message.startswith("API key not valid"):
        reason = {"@type": "type.googleapis.com/google.rpc.ErrorInfo", "reason": "API_KEY_INVALID"}
        told["details"] = [{**reason, "domain": "googleapis.com"}]
    return {"error": told}
