"""Calls whose client and provider speak the same dialect: passed on as they are, and read only for what they cost."""

import re
from collections.abc import Callable
from typing import ClassVar

import msgspec
from msgspec import Raw, Struct

from keeptrusts.core.calls.chat import body_for
from keeptrusts.core.calls.request import TextRequest, encode, strings
from keeptrusts.core.calls.responses import ResponsesRequest
from keeptrusts.core.calls.sealed_ids import Seals
from keeptrusts.core.calls.usage import MOST_TOKENS, Usage
from keeptrusts.core.dialects.anthropic_usage import Figures, read_figures, usage_of
from keeptrusts.core.dialects.openai_responses_usage import LAST_EVENTS, NOTHING, buckets, with_tools
from keeptrusts.core.providers.openai import StreamReader, read_reply, spoken_texts
from keeptrusts.core.providers.passing import News, PassingStream, SealedStream
from keeptrusts.core.providers.wire import KEY_STATUSES, Bill, NoAnswer, Stream, Whole

UNREADABLE = (msgspec.DecodeError, UnicodeDecodeError, RecursionError)


class Straight:
    """See wire.Wire."""

    passed: tuple[bytes, ...] = ()
    route: ClassVar[str]
    limit: ClassVar[str] = "max_tokens"
    """The field that limits an answer's length."""

    def path(self, model: str, stream: bool) -> str:
        """See Wire."""
        del model, stream
        return self.route

    def body(self, request: TextRequest, model: str, sent_limit: int | None, longest: int | None) -> bytes:
        """See Wire."""
        del longest
        fields = request.fields
        if model != request.model:
            fields = {**fields, "model": Raw(encode(model))}
        if sent_limit is not None:
            fields = {**fields, self.limit: Raw(encode(sent_limit))}
        return encode(fields)

    def of_bytes(self, request: TextRequest) -> Bill:
        """See Wire: answers are binary on other routes only."""
        raise AssertionError("no answer in words is binary")

    def rejects_key(self, status: int, content: bytes) -> bool:
        """See Wire."""
        del content
        return status in KEY_STATUSES

    def error(self, request: TextRequest, status: int, content: bytes) -> bytes:
        """See Wire."""
        del request, status
        return content


class Chat(Straight):
    """OpenAI's chat completions."""

    route = "/chat/completions"

    def body(self, request: TextRequest, model: str, sent_limit: int | None, longest: int | None) -> bytes:
        """See Wire."""
        del longest
        return body_for(request, model, sent_limit)

    def whole(self, request: TextRequest, content: bytes, now_s: int) -> Whole:
        """See Wire."""
        del request, now_s
        bill = read_reply(content)
        if bill.usage is None and not content.lstrip()[:1] == b"{":
            raise NoAnswer("its answer is not JSON")
        return Whole(bill, content)

    def spoken(self, content: bytes) -> list[str]:
        """See Wire."""
        return spoken_texts(content)

    def stream(self, request: TextRequest, now_s: int) -> Stream:
        """See Wire."""
        del now_s
        return StreamReader(show_usage=request.include_usage)


class Completions(Chat):
    """OpenAI's older completions: as chat, but for the route and where the words stand."""

    route = "/completions"


class _EmbeddingUsage(Struct, frozen=True):
    prompt_tokens: int


class _Embeddings(Struct, frozen=True):
    data: Raw
    model: str | None = None
    usage: _EmbeddingUsage | None = None


_decode_embeddings = msgspec.json.Decoder(_Embeddings).decode


class Embeddings(Straight):
    """OpenAI's embeddings. They do not stream."""

    route = "/embeddings"

    def whole(self, request: TextRequest, content: bytes, now_s: int) -> Whole:
        """See Wire."""
        del request, now_s
        try:
            answer = _decode_embeddings(content)
        except UNREADABLE:
            raise NoAnswer("its answer has no embeddings") from None
        told = answer.usage.prompt_tokens if answer.usage is not None else -1
        usage = Usage(input=told) if 0 <= told <= MOST_TOKENS else None
        return Whole(Bill(usage, answer.model), content)

    def spoken(self, content: bytes) -> list[str]:
        """See Wire: a vector says nothing."""
        del content
        return []

    def stream(self, request: TextRequest, now_s: int) -> Stream:
        """See Wire."""
        raise AssertionError("no embedding is asked for as a stream")


class _Billed(Struct, frozen=True):
    """What of an answer says what it costs."""

    model: str | None = None
    usage: Raw = NOTHING
    service_tier: str | None = None
    output: Raw = NOTHING


class _ResponseEvent(Struct, frozen=True):
    type: str
    response: _Billed | None = None
    delta: str | None = None


_decode_billed = msgspec.json.Decoder(_Billed).decode
_decode_response_event = msgspec.json.Decoder(_ResponseEvent).decode
_LAST_RESPONSE = re.compile(rb'"response\.(?:completed|incomplete|failed)"')


class Responses(Straight):
    """OpenAI's Responses."""

    route = "/responses"
    limit = "max_output_tokens"

    def whole(self, request: TextRequest, content: bytes, now_s: int) -> Whole:
        """See Wire."""
        del now_s
        seals = _seals(request)
        return Whole(_bill(content, _response_usage), content if seals is None else seals.in_answer(content))

    def spoken(self, content: bytes) -> list[str]:
        """See Wire."""
        try:
            return list(strings(msgspec.json.decode(content)["output"]))
        except (*UNREADABLE, LookupError, TypeError):
            return []

    def stream(self, request: TextRequest, now_s: int) -> Stream:
        """See Wire."""
        del now_s
        seals = _seals(request)
        if seals is None:
            return PassingStream(_response_news, _response_texts)
        return SealedStream(_response_news, _response_texts, seals)


def _seals(request: TextRequest) -> Seals | None:
    return request.seals if isinstance(request, ResponsesRequest) else None


def _response_news(payload: bytes) -> News | None:
    if _LAST_RESPONSE.search(payload) is None:
        return None
    try:
        event = _decode_response_event(payload)
    except UNREADABLE:
        return None
    if event.type not in LAST_EVENTS or event.response is None:
        return None
    return News(_response_usage(event.response), event.response.model, is_last=True)


def _response_usage(told: _Billed) -> Usage | None:
    return with_tools(buckets(told.usage), told.output, told.service_tier)


def _response_texts(payload: bytes) -> list[str]:
    try:
        event = _decode_response_event(payload)
    except UNREADABLE:
        return []
    return [event.delta] if event.delta else []


class _MessageDelta(Struct, frozen=True):
    text: str | None = None
    thinking: str | None = None
    partial_json: str | None = None


class _MessageEvent(Struct, frozen=True):
    type: str
    message: _Billed | None = None
    usage: Raw = NOTHING
    delta: _MessageDelta | None = None


_decode_message_event = msgspec.json.Decoder(_MessageEvent).decode


class Messages(Straight):
    """Anthropic's Messages."""

    route = "/v1/messages"
    limit = "max_tokens"
    passed: tuple[bytes, ...] = (b"anthropic-beta",)

    def whole(self, request: TextRequest, content: bytes, now_s: int) -> Whole:
        """See Wire."""
        del request, now_s
        return Whole(_bill(content, _message_usage), content)

    def spoken(self, content: bytes) -> list[str]:
        """See Wire."""
        try:
            return list(strings(msgspec.json.decode(content)["content"]))
        except (*UNREADABLE, LookupError, TypeError):
            return []

    def stream(self, request: TextRequest, now_s: int) -> Stream:
        """See Wire."""
        del request, now_s
        return PassingStream(_MessageNews().read, _message_texts)


class _MessageNews:
    """A stream's figures come in two parts: the input with its beginning, the output with its end."""

    def __init__(self) -> None:
        self._figures = Figures()

    def read(self, payload: bytes) -> News | None:
        """See passing.ReadNews."""
        if b'"message_' not in payload:
            return None
        try:
            event = _decode_message_event(payload)
        except UNREADABLE:
            return None
        if event.type == "message_stop":
            return News(is_last=True)
        told = event.message.usage if event.message is not None else event.usage
        self._figures = self._figures.then(read_figures(told) or Figures())
        # What the beginning says of the output is not what it will be.
        usage = usage_of(self._figures) if event.type == "message_delta" else None
        return News(usage, None if event.message is None else event.message.model)


def _message_usage(told: _Billed) -> Usage | None:
    figures = read_figures(told.usage)
    return None if figures is None else usage_of(figures)


def _message_texts(payload: bytes) -> list[str]:
    try:
        delta = _decode_message_event(payload).delta
    except UNREADABLE:
        return []
    return [text for text in (delta.text, delta.thinking, delta.partial_json) if text] if delta is not None else []


def _bill(content: bytes, read_usage: Callable[[_Billed], Usage | None]) -> Bill:
    try:
        answer = _decode_billed(content)
    except UNREADABLE:
        raise NoAnswer("its answer is not JSON") from None
    return Bill(read_usage(answer), answer.model)
