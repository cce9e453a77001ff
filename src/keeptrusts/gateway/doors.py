"""The doors through which applications ask models for something: each with its parser and its way of saying no."""

from collections.abc import Callable, Mapping

import msgspec
from msgspec import Struct

from keeptrusts.core.calls import media
from keeptrusts.core.calls.chat import parse_chat
from keeptrusts.core.calls.completions import parse_completion, parse_embedding
from keeptrusts.core.calls.messages import parse_messages
from keeptrusts.core.calls.request import TextRequest
from keeptrusts.core.calls.responses import parse_responses
from keeptrusts.core.dialects.anthropic_errors import write_error
from keeptrusts.core.refusal import Refused
from keeptrusts.gateway.refusals import REFUSALS, error_body

_encode = msgspec.json.Encoder(decimal_format="number").encode

Render = Callable[[Refused], bytes]


class Door(Struct, frozen=True, eq=False):
    """A route that costs money. ``refusal`` is the body of an error, ``broken`` the event of a stream that breaks off.

    ``passed``: header lines of the client's that go on to a provider of the same dialect. ``takes_files``: its bodies are
    forms, which may be as large as a file. ``seals_ids``: the provider remembers its answers, under ids that we seal.
    """

    name: str
    parse: Callable[[bytes], TextRequest]
    refusal: Render
    broken: Render
    passed: tuple[bytes, ...] = ()
    takes_files: bool = False
    seals_ids: bool = False


def _data_event(refused: Refused) -> bytes:
    return b"data: " + error_body(refused) + b"\n\n"


def anthropic_body(refused: Refused) -> bytes:
    """The error as Anthropic's SDKs read it."""
    status, kind = REFUSALS[refused.reason]
    return write_error(status, kind, refused.message, refused.reason.value, dict(refused.details))


def _anthropic_event(refused: Refused) -> bytes:
    return b"event: error\ndata: " + anthropic_body(refused) + b"\n\n"


def _responses_event(refused: Refused) -> bytes:
    # What OpenAI's reference documents, and the object that its SDKs look for to raise an exception.
    told = {"code": refused.reason.value, "message": refused.message, "param": None}
    error = {**told, "type": REFUSALS[refused.reason][1]}
    return b"event: error\ndata: " + _encode({"type": "error", **told, "sequence_number": 0, "error": error}) + b"\n\n"


CHAT = Door("chat", parse_chat, error_body, _data_event)
COMPLETIONS = Door("completions", parse_completion, error_body, _data_event)
RESPONSES = Door("responses", parse_responses, error_body, _responses_event, seals_ids=True)
EMBEDDINGS = Door("embeddings", parse_embedding, error_body, _data_event)
MESSAGES = Door("messages", parse_messages, anthropic_body, _anthropic_event, (b"anthropic-beta",))

_MEDIA: Mapping[str, tuple[Callable[[bytes], TextRequest], bool]] = {
    "images/generations": (media.parse_generation, False),
    "images/edits": (media.parse_edit, True),
    "images/variations": (media.parse_variation, True),
    "audio/speech": (media.parse_speech, False),
    "audio/transcriptions": (media.parse_transcription, True),
    "audio/translations": (media.parse_translation, True),
    "moderations": (media.parse_moderation, False),
}
"""By the last part of their paths: who reads them, and whether they are forms."""

DOORS: Mapping[str, Door] = {
    "/v1/chat/completions": CHAT,
    "/v1/completions": COMPLETIONS,
    "/v1/responses": RESPONSES,
    "/v1/embeddings": EMBEDDINGS,
    "/v1/messages": MESSAGES,
    **{
        f"/v1/{name}": Door(name, parse, error_body, _data_event, takes_files=takes_files)
        for name, (parse, takes_files) in _MEDIA.items()
    },
}
"""By their paths."""
