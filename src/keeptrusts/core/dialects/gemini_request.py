"""A conversation as a request to Google's Gemini API (``models.generateContent`` and ``streamGenerateContent``, v1beta)."""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any
from urllib.parse import quote

import msgspec

from keeptrusts.core.calls.conversation import Conversation, Format, Tool, ToolChoice
from keeptrusts.core.dialects.gemini_parts import write_contents
from keeptrusts.core.dialects.gemini_thinking import needs_signatures, thinking_config
from keeptrusts.core.refusal import Reason, Refused

VENDOR_BASE_URL = "https://generativelanguage.googleapis.com/v1beta"

LEFT_OUT: Mapping[str, str] = MappingProxyType(
    {
        "user": "Gemini takes no word for who asks",
        "include_usage": "every answer tells the usage",
        "response_format.name": "a schema has no name here",
        "response_format.description": "a schema has no description here",
        "response_format.strict": "a schema is always kept to",
        "parts.cache": "Gemini caches by itself; what it is told to keep is made by a call of its own",
        "Image.detail": "its resolutions are not OpenAI's",
        "Document.name": "a file has no name here",
        "Thinking.text": "a summary for people: what was thought is in the signature, if that is Gemini's",
    }
)
"""What ``write_request`` does not say to Gemini, wholly or in part, and why that changes no answer's meaning."""

_encode = msgspec.json.Encoder().encode
_COLLECTIONS = ("models/", "tunedModels/")
_MODES: Mapping[str, str] = MappingProxyType({"auto": "AUTO", "none": "NONE", "required": "ANY", "named": "ANY"})


def path_of(model: str, stream: bool) -> str:
    """Where to send a request, below the base URL. A stream is asked for as server-sent events."""
    collection = next((name for name in _COLLECTIONS if model.startswith(name)), "")
    resource = (collection or "models/") + quote(model.removeprefix(collection), safe="")
    return f"/{resource}:streamGenerateContent?alt=sse" if stream else f"/{resource}:generateContent"


def write_request(conversation: Conversation, model: str) -> bytes:
    """The body to send; LEFT_OUT says what it is silent about. The model and whether to stream stand in the path.

    Raises Refused(INVALID_REQUEST) for what Gemini can't do and that would change the answer.
    """
    contents = write_contents(conversation.turns, needs_signatures(model))
    if not contents:
        raise _refused("messages", "Gemini needs at least one message that is not empty.")
    body = {
        "contents": contents,
        "systemInstruction": _system(conversation),
        "tools": _tools(conversation.tools),
        "toolConfig": _tool_config(conversation),
        "generationConfig": _generation_config(conversation, model),
    }
    return _encode({name: value for name, value in body.items() if value})


def _system(conversation: Conversation) -> dict[str, Any] | None:
    parts = [{"text": part.text} for part in conversation.system if part.text]
    return {"parts": parts} if parts else None


def _tools(tools: tuple[Tool, ...]) -> list[dict[str, Any]] | None:
    return [{"functionDeclarations": [_declaration(tool) for tool in tools]}] if tools else None


def _declaration(tool: Tool) -> dict[str, Any]:
    """``parametersJsonSchema`` takes JSON Schema as it is; ``parameters`` would take only the OpenAPI subset."""
    declared = {"name": tool.name, "description": tool.description, "parametersJsonSchema": tool.parameters}
    return {name: value for name, value in declared.items() if value}


def _tool_config(conversation: Conversation) -> dict[str, Any] | None:
    """``parallel`` is a wish that Gemini has no setting for: refusing it would shut out clients that always send it."""
    if not conversation.tools:
        return None
    choice = conversation.tool_choice or ToolChoice()
    mode = _MODES[choice.mode]
    if mode == "AUTO" and any(tool.strict for tool in conversation.tools):
        mode = "VALIDATED"  # free to call or to speak, but a call keeps to its schema
    config: dict[str, Any] = {"mode": mode}
    if choice.mode == "named":
        config["allowedFunctionNames"] = [choice.name]
    return {"functionCallingConfig": config}


def _generation_config(conversation: Conversation, model: str) -> dict[str, Any]:
    config = {
        "maxOutputTokens": conversation.max_tokens,
        "temperature": conversation.temperature,
        "topP": conversation.top_p,
        "topK": conversation.top_k,
        "stopSequences": conversation.stop or None,
        "seed": conversation.seed,
        "candidateCount": conversation.n if conversation.n > 1 else None,
        "presencePenalty": conversation.presence_penalty,
        "frequencyPenalty": conversation.frequency_penalty,
        "thinkingConfig": thinking_config(conversation.reasoning, model) if conversation.reasoning else None,
        **_logprobs(conversation),
        **_response_format(conversation.response_format),
    }
    return {name: value for name, value in config.items() if value is not None}


def _logprobs(conversation: Conversation) -> dict[str, Any]:
    if conversation.logprobs is None:
        return {}
    if conversation.stream:
        raise _refused("logprobs", "Gemini's log probabilities can't be streamed: leave `stream` or `logprobs` out.")
    return {"responseLogprobs": True, "logprobs": conversation.logprobs or None}


def _response_format(wanted: Format | None) -> dict[str, Any]:
    if wanted is None:
        return {}
    return {"responseMimeType": "application/json", "responseJsonSchema": wanted.schema}


def _refused(param: str, message: str) -> Refused:
    return Refused(Reason.INVALID_REQUEST, message, {"param": param})
