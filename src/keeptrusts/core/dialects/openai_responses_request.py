"""A request in the Responses dialect (``POST /v1/responses``), read into the neutral form.

Source: the ``CreateResponse`` schema of OpenAI's API description.
"""

from collections.abc import Mapping
from typing import Any

from keeptrusts.core.calls.conversation import Conversation, Reasoning, Text
from keeptrusts.core.dialects.openai_fields import (
    Fields,
    fields_of,
    flag,
    items_of,
    limit,
    number,
    one_of,
    read_model,
    refused,
    text,
    whole,
)
from keeptrusts.core.dialects.openai_responses_fields import optional
from keeptrusts.core.dialects.openai_responses_items import read_input
from keeptrusts.core.dialects.openai_responses_tools import read_choice, read_format, read_tools

READ = frozenset(
    {
        *("model", "input", "instructions", "tools", "tool_choice", "parallel_tool_calls", "text", "reasoning"),
        *(
            "max_output_tokens",
            "temperature",
            "top_p",
            "top_logprobs",
            "include",
            "stream",
            "user",
            "safety_identifier",
        ),
    }
)
"""Parameters that have a neutral form."""

LEFT_OUT = frozenset(
    {
        *("store", "metadata", "service_tier", "stream_options", "truncation", "access_programs", "image"),
        *("prompt_cache_key", "prompt_cache_options", "prompt_cache_retention", "max_tool_calls"),
    }
)
"""Parameters that matter to OpenAI's servers alone: another provider's answer means the same without them.

So do ``text.verbosity``, ``reasoning.context`` and marks of the prompt cache, which only advise, and the other words of
``include``, which ask for what tools of those servers found.
"""

REFUSED: Mapping[str, str] = {
    "previous_response_id": "send the earlier items in `input` instead",
    "conversation": "send the earlier items in `input` instead",
    "prompt": "send the prompt's text in `instructions` and `input` instead",
    "background": "wait for the answer, or stream it, instead",
    "moderation": "leave it out: the gateway's policies check what is said",
    "context_management": "leave it out, and shorten `input` yourself",
}
"""Parameters that would change the answer and that only OpenAI's servers know, and what to do instead."""

_EFFORTS: Mapping[str, str] = {
    **{effort: effort for effort in ("none", "minimal", "low", "medium", "high", "xhigh")},
    "max": "xhigh",  # the most that the neutral form has a word for
}

_LOGPROBS = "message.output_text.logprobs"


def read_request(fields: Mapping[str, Any]) -> Conversation:
    """The conversation that a decoded body asks for. Raises Refused(INVALID_REQUEST), naming the parameter."""
    _refuse_others(fields)
    if fields.get("input") is None:
        raise refused("input", "is missing.")
    instructions = optional(fields, "instructions", text)
    system, turns = read_input(fields["input"])
    choice, tools = read_choice(
        fields.get("tool_choice"),
        optional(fields, "parallel_tool_calls", flag),
        read_tools(fields.get("tools") or []),
    )
    stream = bool(optional(fields, "stream", flag))
    return Conversation(
        model=read_model(fields),
        turns=turns,
        system=system if instructions is None else (Text(instructions), *system),
        tools=tools,
        tool_choice=choice,
        max_tokens=optional(fields, "max_output_tokens", limit),
        temperature=optional(fields, "temperature", number(0, 2)),
        top_p=optional(fields, "top_p", number(0, 1)),
        logprobs=_logprobs(fields, stream),
        response_format=read_format(optional(fields, "text", fields_of)),
        reasoning=_reasoning(optional(fields, "reasoning", fields_of)),
        user=optional(fields, "user", text) or optional(fields, "safety_identifier", text),
        stream=stream,
    )


def _refuse_others(fields: Fields) -> None:
    for name, value in fields.items():
        # False, "" and [] ask for nothing, as null does.
        if value and name in REFUSED:
            raise refused(name, f"works only with OpenAI's own servers, not with this model: {REFUSED[name]}.")
        if value is not None and name not in READ and name not in LEFT_OUT and name not in REFUSED:
            raise refused(name, "is not a parameter that this model's provider could be told. Leave it out.")


def _logprobs(fields: Fields, stream: bool) -> int | None:
    """How many alternatives to tell for each token. A translated stream has no place for any."""
    most = optional(fields, "top_logprobs", whole(0, 20))
    asked_in = "include" if _LOGPROBS in (optional(fields, "include", items_of) or ()) else "top_logprobs"
    if not most and asked_in != "include":
        return None
    if stream:
        raise refused(asked_in, "can't ask for logprobs together with `stream` for this model.")
    return most or 0


def _reasoning(settings: Fields | None) -> Reasoning | None:
    if not settings:
        return None
    if settings.get("mode") not in (None, "standard"):
        raise refused("reasoning.mode", "must be `standard` for this model.")
    effort = settings.get("effort")
    shown = settings.get("summary") or settings.get("generate_summary")
    if effort is None and not shown:
        return None
    word = None if effort is None else _EFFORTS[one_of(effort, "reasoning.effort", _EFFORTS)]
    return Reasoning(effort=word, shown=True if shown else None)
