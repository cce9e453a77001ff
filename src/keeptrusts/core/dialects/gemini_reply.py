"""What Gemini answers: a whole ``GenerateContentResponse``, its usage, or an error.

Source: ``GenerateContentResponse``, ``Candidate``, ``FinishReason`` and ``UsageMetadata`` of the v1beta API.
"""

import re
from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Annotated, Any

import msgspec
from msgspec import Meta, Raw, Struct

from keeptrusts.core.calls.conversation import Choice, Reply, StopReason, Text, Thinking, ToolUse
from keeptrusts.core.calls.other_usage import Other, some
from keeptrusts.core.calls.usage import MOST_TOKENS, Usage
from keeptrusts.core.dialects.gemini_thinking import marked

UNREADABLE = (msgspec.DecodeError, UnicodeDecodeError, RecursionError)


class FunctionCall(Struct, frozen=True):
    """A call of a tool; ``args`` is a JSON object as it came, empty when left out. Older models give no ``id``."""

    name: str
    args: Raw = Raw(b"{}")
    id: str | None = None


class WirePart(Struct, frozen=True, rename="camel"):
    """A piece of what the model says. Pieces that nobody asked for (code it ran, pictures) have none of these."""

    text: str | None = None
    thought: bool | None = None
    thought_signature: str | None = None
    function_call: FunctionCall | None = None


class _Content(Struct, frozen=True):
    parts: list[WirePart] | None = None


class Candidate(Struct, frozen=True, rename="camel"):
    """One answer, or more of one. ``finish_reason`` None: it goes on."""

    content: _Content | None = None
    finish_reason: str | None = None
    index: Annotated[int, Meta(ge=0, lt=128)] = 0
    logprobs_result: Any = None

    @property
    def parts(self) -> Sequence[WirePart]:
        """What it says."""
        return (self.content.parts or ()) if self.content is not None else ()


class _PromptFeedback(Struct, frozen=True, rename="camel"):
    block_reason: str | None = None


class _Modality(Struct, frozen=True, rename="camel"):
    modality: str = ""
    token_count: int = 0


class _Usage(Struct, frozen=True, rename="camel"):
    prompt_token_count: int | None = None
    cached_content_token_count: int | None = None
    tool_use_prompt_token_count: int | None = None
    candidates_token_count: int | None = None
    thoughts_token_count: int | None = None
    total_token_count: int | None = None
    prompt_tokens_details: list[_Modality] | None = None
    cache_tokens_details: list[_Modality] | None = None
    candidates_tokens_details: list[_Modality] | None = None


class _Error(Struct, frozen=True):
    message: str | None = None
    status: str | None = None


class Answer(Struct, frozen=True, rename="camel"):
    """A ``GenerateContentResponse``, or an error in its place."""

    candidates: list[Candidate] | None = None
    prompt_feedback: _PromptFeedback | None = None
    usage_metadata: Raw = Raw(b"null")
    model_version: str | None = None
    response_id: str | None = None
    error: _Error | None = None

    @property
    def blocked(self) -> bool:
        """Whether the prompt itself was refused: then there are no candidates."""
        return not self.candidates and self.prompt_feedback is not None and bool(self.prompt_feedback.block_reason)


_decode_answer = msgspec.json.Decoder(Answer).decode
_decode_usage = msgspec.json.Decoder(_Usage | None).decode
_decode_error = msgspec.json.Decoder(Answer | list[Answer]).decode


def decode_answer(body: bytes) -> Answer:
    """Raises one of UNREADABLE. The arguments of calls are not decoded, so their characters are checked here."""
    if not body.isascii():
        body.decode()
    return _decode_answer(body)


_STOPS: Mapping[str, StopReason] = MappingProxyType(
    {"STOP": "stop", "FINISH_REASON_UNSPECIFIED": "stop", "MAX_TOKENS": "length", "CONTINUATION": "length"}
)
"""Every other reason means that something was withheld: filters (SAFETY, RECITATION, SPII...), a call that can't be
parsed (MALFORMED_FUNCTION_CALL, UNEXPECTED_TOOL_CALL...). The neutral word for that is ``content_filter``."""


def stop_reason(reason: str | None, called: bool) -> StopReason:
    """Why a candidate stopped. Gemini says STOP too when it waits for the tools that it ``called``."""
    stop = _STOPS.get(reason or "STOP", "content_filter")
    return "tool_use" if stop == "stop" and called else stop


def call_id(call: FunctionCall, response_id: str, choice: int, number: int) -> str:
    """The call's id; where Gemini gives none, one made from where it stands, so that the same answer has the same ids."""
    return call.id or "_".join(filter(None, ("call", response_id, str(choice), str(number))))


def arguments_of(call: FunctionCall) -> str:
    """The call's arguments as compact JSON text."""
    return msgspec.json.format(call.args, indent=-1).decode() if call.args != b"null" else "{}"


def read_reply(body: bytes) -> Reply:
    """A whole answer. A prompt that was blocked is an answer of one empty choice. Raises ValueError for anything else."""
    try:
        answer = decode_answer(body)
    except UNREADABLE as error:
        raise ValueError(f"not an answer of Gemini's: {error}") from None
    if answer.blocked:
        choices: tuple[Choice, ...] = (Choice((), "content_filter"),)
    elif answer.candidates:
        ordered = sorted(answer.candidates, key=lambda candidate: candidate.index)
        choices = tuple(_choice(candidate, answer.response_id or "") for candidate in ordered)
    else:
        raise ValueError("not an answer of Gemini's: it holds no candidates")
    return Reply(answer.response_id or "", answer.model_version, choices, read_usage(answer.usage_metadata))


def _choice(candidate: Candidate, response_id: str) -> Choice:
    parts: list[Text | ToolUse | Thinking] = []
    calls = 0
    for part in candidate.parts:
        if part.thought:
            _think(parts, part.text or "", part.thought_signature)
            continue
        if part.thought_signature is not None:
            _think(parts, "", part.thought_signature)
        if part.function_call is not None:
            call = part.function_call
            parts.append(ToolUse(call_id(call, response_id, candidate.index, calls), call.name, arguments_of(call)))
            calls += 1
        elif part.text:
            _speak(parts, part.text)
    stop = stop_reason(candidate.finish_reason, calls > 0)
    return Choice(tuple(parts), stop, logprobs=_logprobs(candidate.logprobs_result))


def _think(parts: list[Text | ToolUse | Thinking], text: str, signature: str | None) -> None:
    """A signature ends the thinking before it, wherever Gemini put it."""
    last = parts[-1] if parts else None
    if isinstance(last, Thinking) and last.signature is None:
        parts.pop()
        text = last.text + text
    parts.append(Thinking(text, marked(signature) if signature is not None else None))


def _speak(parts: list[Text | ToolUse | Thinking], text: str) -> None:
    last = parts[-1] if parts else None
    if isinstance(last, Text):
        parts[-1] = Text(last.text + text)
    else:
        parts.append(Text(text))


class _Likely(Struct, frozen=True, rename="camel"):
    token: str = ""
    log_probability: float = 0.0


class _Likelies(Struct, frozen=True):
    candidates: list[_Likely] = []


class _LogprobsResult(Struct, frozen=True, rename="camel"):
    chosen_candidates: list[_Likely] = []
    top_candidates: list[_Likelies] = []


def _logprobs(result: Any) -> Any:
    """OpenAI's shape of them (``ChatCompletionTokenLogprob``); None where there are none."""
    if result is None:
        return None
    try:
        told = msgspec.convert(result, _LogprobsResult)
    except msgspec.ValidationError:
        return None
    tops = [step.candidates for step in told.top_candidates]
    tops += [[]] * (len(told.chosen_candidates) - len(tops))
    steps = zip(told.chosen_candidates, tops, strict=False)
    return {
        "content": [_logprob(chosen) | {"top_logprobs": [_logprob(other) for other in top]} for chosen, top in steps],
        "refusal": None,
    }


def _logprob(likely: _Likely) -> dict[str, Any]:
    return {"token": likely.token, "logprob": likely.log_probability, "bytes": list(likely.token.encode())}


def read_usage(metadata: Raw) -> Usage | None:
    """Disjoint buckets of a ``UsageMetadata``; None when there is none, or its figures contradict each other.

    ``promptTokenCount`` includes ``cachedContentTokenCount``; ``toolUsePromptTokenCount`` is input beside it. By the
    schema ``candidatesTokenCount`` leaves the thoughts out; where the total proves that they are in it, they are not
    counted twice.
    """
    try:
        told = _decode_usage(metadata)
    except UNREADABLE:
        return None
    if told is None or told.prompt_token_count is None:
        return None
    prompt, cached = told.prompt_token_count, told.cached_content_token_count or 0
    tools, shown = told.tool_use_prompt_token_count or 0, told.candidates_token_count or 0
    thoughts = told.thoughts_token_count or 0
    included = thoughts > 0 and told.total_token_count == prompt + tools + shown
    output = shown if included else shown + thoughts
    least, most = min(prompt, cached, tools, shown, thoughts), max(prompt + tools, output)
    if least < 0 or most > MOST_TOKENS or cached > prompt or thoughts > output:
        return None
    fresh, other = prompt - cached + tools, _beside_words(told)
    if other is None:
        return Usage(input=fresh, cache_read=cached, output=output, reasoning=thoughts)
    words = fresh - other.input_tokens
    read, said = cached - other.audio_read, output - other.output_tokens
    if min(words, read, said - thoughts, *other.figures) < 0:
        return None
    return Usage(input=words, cache_read=read, output=said, reasoning=thoughts, other=other)


def _beside_words(told: _Usage) -> Other | None:
    """Tokens of sound and pictures, which have prices of their own at some models. What was read from the cache is in the
    prompt's figures too."""
    heard, kept = _of(told.prompt_tokens_details, "AUDIO"), _of(told.cache_tokens_details, "AUDIO")
    seen = _of(told.prompt_tokens_details, "IMAGE") - _of(told.cache_tokens_details, "IMAGE")
    spoken, drawn = _of(told.candidates_tokens_details, "AUDIO"), _of(told.candidates_tokens_details, "IMAGE")
    return some(
        Other(audio_input=heard - kept, audio_read=kept, image_input=seen, audio_output=spoken, image_output=drawn)
    )


def _of(details: list[_Modality] | None, modality: str) -> int:
    return sum(each.token_count for each in details or () if each.modality == modality)


_KEYS = re.compile(r"(?<=api_key:)[^\s'\"]+|AIza[\w-]{20,}")
"""Google names the key that it rejects."""


def read_error(body: bytes) -> tuple[str | None, str | None]:
    """The status (``INVALID_ARGUMENT``...) and message of an error; a stream's comes in an array. Keys are cut out."""
    try:
        answer = _decode_error(body)
    except UNREADABLE:
        return None, None
    if isinstance(answer, list):
        answer = answer[0] if answer else Answer()
    return error_of(answer)


def error_of(answer: Answer) -> tuple[str | None, str | None]:
    """The status and message of an answer that is an error; (None, None) when it is none."""
    if answer.error is None:
        return None, None
    message = answer.error.message
    return answer.error.status, _KEYS.sub("[key]", message) if message is not None else None
