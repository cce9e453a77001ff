"""A Messages request (``POST /v1/messages``, version 2023-06-01), read from a client and written for Anthropic.

Source: ``MessageCreateParams`` and ``MessageCountTokensParams`` of Anthropic's SDK. What Anthropic's own translation of
OpenAI's dialect leaves out or caps ("OpenAI SDK compatibility"), this one does too.
"""

from collections.abc import Mapping
from typing import Any

import msgspec

from keeptrusts.core.calls.conversation import Conversation, Format, Text, Turn
from keeptrusts.core.dialects.anthropic_blocks import ToolNames, read_content, read_texts
from keeptrusts.core.dialects.anthropic_fields import (
    Fields,
    bounded,
    checked,
    objects,
    optional,
    refusal,
    required,
    within,
    wrong,
)
from keeptrusts.core.dialects.anthropic_models import abilities_of
from keeptrusts.core.dialects.anthropic_parts import write_text, write_turns
from keeptrusts.core.dialects.anthropic_thinking import Thought, read_reasoning, write_thought
from keeptrusts.core.dialects.anthropic_tools import (
    read_cache_mark,
    read_tool_choice,
    read_tools,
    write_tool,
    write_tool_choice,
)
from keeptrusts.core.refusal import Reason, Refused

_encode = msgspec.json.Encoder().encode

MOST_OUTPUT_TOKENS = 10_000_000
LONGEST_USER = 256
"""Characters of ``metadata.user_id``: a longer one is an error there."""

READ_FIELDS = frozenset(
    {
        *("model", "messages", "max_tokens", "system", "stream", "temperature", "top_p", "top_k", "stop_sequences"),
        *("tools", "tool_choice", "thinking", "output_config", "output_format", "metadata", "cache_control"),
    }
)
UNREAD_FIELDS = frozenset(
    {
        *("service_tier", "speed", "user_profile_id"),  # how Anthropic serves and bills it
        *("diagnostics", "betas"),  # what is told beside the answer
        *("fallbacks", "fallback_credit_token"),  # the route's own business here
        "context_management",  # drops what is old of long conversations: another model reads it all
    }
)
"""Fields that matter to Anthropic alone: they are left out in silence when another provider serves the call."""

UNTRANSLATED_FIELDS: Mapping[str, str] = {
    "container": "no code runs beside the model that serves this call",
    "mcp_servers": "the model that serves this call reaches no MCP servers: give it their tools in `tools`",
    "inference_geo": "where the model that serves this call runs is not Anthropic's to choose",
}
"""Fields that another provider can't keep to: they are refused by name when they ask for something."""

LEFT_OUT: Mapping[str, str] = {
    "seed": "a wish for the same answer again, which no provider promises to fulfil",
    "presence_penalty": "a leaning in the choice of words; there is none here",
    "frequency_penalty": "a leaning in the choice of words; there is none here",
    "include_usage": "usage is always told",
    "temperature": "above 1 it is 1, and that is the default; none for models since Claude 4.7, none while thinking",
    "top_p": "1 is the default; none for models since Claude 4.7, none while thinking",
    "top_k": "none for models since Claude 4.7, none while thinking",
    "user": f"only when longer than {LONGEST_USER} characters",
    "tool_choice": "auto and none without tools say nothing",
    "response_format.name": "a schema has no name here",
    "response_format.description": "a schema has no description here",
    "response_format.strict": "a schema is always kept to",
    "Image.detail": "Claude sees pictures in one way",
    "Thinking": "without Anthropic's signature it is another model's",
}
"""What ``write_request`` does not say to Anthropic, wholly or in part, and why that changes no answer's meaning."""


def read_request(fields: Fields) -> Conversation:
    """The conversation of a decoded body. Raises Refused(INVALID_REQUEST), naming the field that is wrong."""
    limit = bounded(required(fields, "max_tokens", int), 1, MOST_OUTPUT_TOKENS, "max_tokens")
    return _read(fields, limit)


def write_count(tokens: int) -> bytes:
    """The answer of ``/v1/messages/count_tokens`` (``MessageTokensCount``)."""
    return _encode({"input_tokens": tokens})


def _read(fields: Fields, max_tokens: int | None) -> Conversation:
    _refuse_untranslated(fields)
    model = required(fields, "model", str)
    if not model:
        raise refusal("model", "`model` is empty: name the model to call.")
    system, turns = _read_turns(fields)
    return Conversation(
        model=model,
        system=system,
        turns=turns,
        tools=read_tools(fields),
        tool_choice=read_tool_choice(fields),
        max_tokens=max_tokens,
        temperature=bounded(optional(fields, "temperature", float), 0, 1, "temperature"),
        top_p=bounded(optional(fields, "top_p", float), 0, 1, "top_p"),
        top_k=bounded(optional(fields, "top_k", int), 0, MOST_OUTPUT_TOKENS, "top_k"),
        stop=_read_stop(fields),
        response_format=_read_format(fields),
        reasoning=read_reasoning(fields),
        user=optional(optional(fields, "metadata", dict) or {}, "user_id", str, "metadata"),
        stream=bool(optional(fields, "stream", bool)),
    )


def _refuse_untranslated(fields: Fields) -> None:
    for name, value in fields.items():
        if name in READ_FIELDS or name in UNREAD_FIELDS or value in (None, [], {}):
            continue
        why = UNTRANSLATED_FIELDS.get(name, "it is not known here, and may ask for what another provider can't do")
        raise refusal(name, f"`{name}` can't be kept to: {why}.")


def _read_turns(fields: Fields) -> tuple[tuple[Text, ...], tuple[Turn, ...]]:
    """The instructions before all turns, and the turns. Neighbouring messages of one role are one turn, as they are to
    Anthropic."""
    system = [] if fields.get("system") is None else list(read_texts(fields["system"], "system"))
    turns: list[Turn] = []
    names: ToolNames = {}
    for at, message in objects(required(fields, "messages", list), "messages"):
        content, place = message.get("content"), within(at, "content")
        match required(message, "role", str, at):
            case "system" if not turns:
                system += read_texts(content, place)
            case "system":
                _add(turns, Turn("system", tuple(read_texts(content, place))))
            case "user" | "assistant" as role:
                _add(turns, Turn(role, tuple(read_content(content, place, names))))
            case _:
                raise wrong(within(at, "role"), "user, assistant or system")
    if not turns:
        raise refusal("messages", "`messages` holds nothing to answer: it must have a message with content.")
    return tuple(system), _with_mark(turns, fields)


def _add(turns: list[Turn], turn: Turn) -> None:
    if turn.parts and turns and turns[-1].role == turn.role:
        turns[-1] = Turn(turn.role, turns[-1].parts + turn.parts)
    elif turn.parts:
        turns.append(turn)


def _with_mark(turns: list[Turn], fields: Fields) -> tuple[Turn, ...]:
    """The turns, with the body's own cache mark on the last block, as Anthropic puts it there."""
    mark = read_cache_mark(fields, "")
    last = turns[-1].parts[-1]
    if mark is not None and getattr(last, "cache", mark) is None:
        turns[-1] = Turn(turns[-1].role, (*turns[-1].parts[:-1], msgspec.structs.replace(last, cache=mark)))
    return tuple(turns)


def _read_stop(fields: Fields) -> tuple[str, ...]:
    words = optional(fields, "stop_sequences", list) or []
    return tuple(checked(word, str, within("stop_sequences", number)) for number, word in enumerate(words))


def _read_format(fields: Fields) -> Format | None:
    """The schema of the answer; ``output_format`` is the older name of ``output_config.format``."""
    config = optional(fields, "output_config", dict) or {}
    for place, form in (
        ("output_config.format", optional(config, "format", dict, "output_config")),
        ("output_format", optional(fields, "output_format", dict)),
    ):
        if form is not None:
            if form.get("type") != "json_schema":
                raise wrong(within(place, "type"), "json_schema")
            return Format("schema", schema=required(form, "schema", dict, place))
    return None


def write_request(conversation: Conversation, model: str) -> bytes:
    """The body to send; LEFT_OUT says what it is silent about. Raises Refused for what Anthropic can't do.

    ``conversation.max_tokens`` must be given: the API requires it, and how long an answer may be is not ours to guess.
    """
    max_tokens = _required_limit(conversation)
    messages = write_turns(conversation.turns)
    if not messages:
        raise refusal("messages", "`messages` holds nothing to answer: Anthropic takes no blank text.")
    body: dict[str, Any] = {"model": model, "max_tokens": max_tokens, "messages": messages}
    if system := [block for text in conversation.system if (block := write_text(text)) is not None]:
        body["system"] = system
    if conversation.stop:
        body["stop_sequences"] = conversation.stop
    if conversation.user is not None and len(conversation.user) <= LONGEST_USER:
        body["metadata"] = {"user_id": conversation.user}
    if conversation.stream:
        body["stream"] = True
    thought = write_thought(conversation, model, max_tokens)
    body.update(_tool_fields(conversation))
    body.update(_answer_fields(conversation, thought))
    if abilities_of(model).sampling and not thought.on:
        body.update(_sampling_fields(conversation))
    try:
        return _encode(body)
    except RecursionError:
        raise refusal("tools", "A schema is nested too deeply.") from None


def _required_limit(conversation: Conversation) -> int:
    if conversation.n > 1:
        raise refusal("n", "`n` must be 1: Anthropic's models give one answer a call.")
    if conversation.logprobs is not None:
        raise refusal("logprobs", "`logprobs` can't be given: Anthropic tells none.")
    if any(not word or word.isspace() for word in conversation.stop):
        raise refusal("stop", "`stop` must not be white space alone: Anthropic takes no such stop sequence.")
    if conversation.max_tokens is None:
        message = "`max_tokens` is missing: Anthropic's models need a limit of the answer's length."
        raise Refused(Reason.INVALID_REQUEST, message, {"param": "max_tokens"})
    return conversation.max_tokens


def _tool_fields(conversation: Conversation) -> dict[str, Any]:
    written: dict[str, Any] = {}
    if conversation.tools:
        written["tools"] = [write_tool(tool) for tool in conversation.tools]
    choice = conversation.tool_choice
    if choice is not None and (conversation.tools or choice.mode in ("required", "named")):
        written["tool_choice"] = write_tool_choice(choice)
    return written


def _answer_fields(conversation: Conversation, thought: Thought) -> dict[str, Any]:
    """``thinking`` and ``output_config``. Any JSON can't be asked for, only JSON of a schema ("Structured outputs")."""
    written: dict[str, Any] = {}
    config: dict[str, Any] = {} if thought.effort is None else {"effort": thought.effort}
    form = conversation.response_format
    if form is not None and form.schema is None:
        message = "`response_format` must be a JSON schema: Anthropic's models can't be held to JSON of any shape."
        raise refusal("response_format", message)
    if form is not None:
        config["format"] = {"type": "json_schema", "schema": form.schema}
    if config:
        written["output_config"] = config
    if thought.config is not None:
        written["thinking"] = thought.config
    return written


def _sampling_fields(conversation: Conversation) -> dict[str, Any]:
    """Only what differs from the default of 1: newer models refuse temperature and top_p together."""
    written: dict[str, Any] = {}
    if conversation.temperature is not None and conversation.temperature < 1:
        written["temperature"] = conversation.temperature
    if conversation.top_p is not None and conversation.top_p != 1:
        written["top_p"] = conversation.top_p
    if conversation.top_k is not None:
        written["top_k"] = conversation.top_k
    return written
