"""The neutral form of a text call: what every client's dialect is read into, and every provider's is written from.

Only what at least two dialects know has a place here; a call that stays within one dialect is not translated at all.
"""

from collections.abc import Mapping
from typing import Any, Literal

from msgspec import Struct

from keeptrusts.core.calls.usage import NO_USAGE, Usage

CacheMark = Literal["5m", "1h"]
"""The prompt up to here shall be kept by the provider, for so long (Anthropic's ``cache_control``)."""

StopReason = Literal["stop", "length", "tool_use", "content_filter", "stop_sequence", "pause"]
"""Why the model stopped. ``stop``: it was done; ``pause``: it wants to be called again with what it said."""

Role = Literal["user", "assistant", "system"]
"""``system`` is an instruction in the middle of the turns; those before the first turn are ``Conversation.system``."""


class Text(Struct, frozen=True, tag="text"):
    """Words. ``refusal``: the model says no with them."""

    text: str
    cache: CacheMark | None = None
    refusal: bool = False


class Image(Struct, frozen=True, tag="image"):
    """A picture: ``url``, or ``data`` in base64 with its ``media_type``. ``detail`` is OpenAI's (low, high, auto)."""

    url: str | None = None
    data: str | None = None
    media_type: str | None = None
    detail: str | None = None
    cache: CacheMark | None = None


class Audio(Struct, frozen=True, tag="audio"):
    """Sound in base64; ``format`` is ``wav``, ``mp3``..."""

    data: str
    format: str


class Document(Struct, frozen=True, tag="document"):
    """A file to read: ``data`` in base64 with its ``media_type``, plain ``text``, a ``url``, or the provider's ``file_id``."""

    data: str | None = None
    text: str | None = None
    url: str | None = None
    file_id: str | None = None
    media_type: str | None = None
    name: str | None = None
    cache: CacheMark | None = None


class ToolUse(Struct, frozen=True, tag="tool_use"):
    """The model calls a tool. ``arguments`` is JSON text, as the model wrote it."""

    id: str
    name: str
    arguments: str
    cache: CacheMark | None = None


class ToolResult(Struct, frozen=True, tag="tool_result"):
    """What the tool answered, in a user's turn. ``name`` is the tool's, where it is known."""

    tool_use_id: str
    parts: "tuple[Text | Image | Document, ...]"
    is_error: bool = False
    name: str | None = None
    cache: CacheMark | None = None


class Thinking(Struct, frozen=True, tag="thinking"):
    """What the model thought. ``signature`` proves it to its own provider; ``redacted`` is thinking that only that provider
    can read."""

    text: str = ""
    signature: str | None = None
    redacted: str | None = None


Part = Text | Image | Audio | Document | ToolUse | ToolResult | Thinking


class Turn(Struct, frozen=True):
    """One turn of the conversation. Results of tools are parts of a user's turn, one turn for all that belong together."""

    role: Role
    parts: tuple[Part, ...]


class Tool(Struct, frozen=True):
    """A function that the model may call. ``parameters`` is a JSON schema, decoded; ``strict``: it must be kept to."""

    name: str
    description: str | None = None
    parameters: Mapping[str, Any] | None = None
    strict: bool | None = None
    cache: CacheMark | None = None


class ToolChoice(Struct, frozen=True):
    """``named`` goes with the tool's ``name``. ``parallel`` False: one call at a time."""

    mode: Literal["auto", "none", "required", "named"] = "auto"
    name: str | None = None
    parallel: bool | None = None


class Format(Struct, frozen=True):
    """How the answer must look: any JSON, or JSON of this schema."""

    kind: Literal["json", "schema"]
    name: str = "answer"
    schema: Mapping[str, Any] | None = None
    strict: bool | None = None
    description: str | None = None


class Reasoning(Struct, frozen=True):
    """How much the model shall think: ``effort`` in words (none, minimal, low, medium, high, xhigh) or a ``budget`` of
    tokens; ``shown``: whether what it thinks is to be told."""

    effort: str | None = None
    budget_tokens: int | None = None
    shown: bool | None = None


class Conversation(Struct, frozen=True, kw_only=True):
    """One request. None and () mean: the client did not say.

    ``max_tokens`` bounds each choice. ``user`` is the client's word for who asks; ``include_usage``: a stream's client wants
    to be told the usage (other dialects than OpenAI's always tell it).
    """

    model: str
    turns: tuple[Turn, ...]
    system: tuple[Text, ...] = ()
    tools: tuple[Tool, ...] = ()
    tool_choice: ToolChoice | None = None
    max_tokens: int | None = None
    temperature: float | None = None
    top_p: float | None = None
    top_k: int | None = None
    stop: tuple[str, ...] = ()
    seed: int | None = None
    n: int = 1
    presence_penalty: float | None = None
    frequency_penalty: float | None = None
    logprobs: int | None = None
    response_format: Format | None = None
    reasoning: Reasoning | None = None
    user: str | None = None
    stream: bool = False
    include_usage: bool = True


class Choice(Struct, frozen=True):
    """One answer. ``stop_sequence`` is the one that was met. ``logprobs`` are in OpenAI's shape, decoded."""

    parts: tuple[Text | ToolUse | Thinking, ...]
    stop: StopReason = "stop"
    stop_sequence: str | None = None
    logprobs: Any = None


class Reply(Struct, frozen=True):
    """A whole answer. ``usage`` None: the provider does not say, or what it says can't be. ``created_s`` is Unix time."""

    id: str
    model: str | None
    choices: tuple[Choice, ...]
    usage: Usage | None = NO_USAGE
    created_s: int | None = None


class Begin(Struct, frozen=True, tag="begin"):
    """A stream's first event."""

    id: str
    model: str | None = None
    usage: Usage | None = None


class TextDelta(Struct, frozen=True, tag="text_delta"):
    """More words of a choice."""

    text: str
    choice: int = 0
    refusal: bool = False


class ThinkingDelta(Struct, frozen=True, tag="thinking_delta"):
    """More thinking of a choice, or the signature that ends it, or a block that only its provider can read."""

    text: str = ""
    choice: int = 0
    signature: str | None = None
    redacted: str | None = None


class ToolBegin(Struct, frozen=True, tag="tool_begin"):
    """The model begins to call a tool; ``tool`` numbers the calls of a choice from 0."""

    id: str
    name: str
    tool: int = 0
    choice: int = 0


class ToolDelta(Struct, frozen=True, tag="tool_delta"):
    """More of that call's arguments, a piece of JSON text."""

    arguments: str
    tool: int = 0
    choice: int = 0


class Stopped(Struct, frozen=True, tag="stopped"):
    """A choice is complete."""

    stop: StopReason
    choice: int = 0
    stop_sequence: str | None = None


class UsageNews(Struct, frozen=True, tag="usage"):
    """What the whole answer used, as known now: a later one replaces an earlier one."""

    usage: Usage


class Ended(Struct, frozen=True, tag="ended"):
    """The answer is complete: nothing follows."""


class Broken(Struct, frozen=True, tag="broken"):
    """The provider reports an error in the middle of the stream. ``kind`` is its own word for what is wrong."""

    message: str
    kind: str | None = None


StreamEvent = Begin | TextDelta | ThinkingDelta | ToolBegin | ToolDelta | Stopped | UsageNews | Ended | Broken
