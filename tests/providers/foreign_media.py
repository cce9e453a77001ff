"""OpenAI's routes for pictures, sound and moderation as the vendor speaks them, with its own price list; forms are read by
Python's own parser of mail.
"""

import email.parser
import email.policy
import json
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from tests.providers.foreign_ask import Malformed, need
from tests.providers.foreign_bill import Billed

TEXT, PICTURE_IN, PICTURE_OUT = 5_000_003, 10_000_001, 40_000_009
"""Pico-USD per token of gpt-image-1; odd on purpose."""

DALL_E_NANOS = {"standard": 40_000_000, "hd": 80_000_000}
SPEECH_NANOS_1K = 15_000_001
MINUTE_NANOS = 6_000_001
PICTURE_TOKENS = 1_056
BYTES_PER_S = 1_000
PRICES: tuple[dict[str, Any], ...] = (
    {
        "model": "gpt-image-1",
        "input_cost_per_1k_tokens": "0.005000003",
        "output_cost_per_1k_tokens": "0.040000009",
        "image_input_cost_per_1k_tokens": "0.010000001",
    },
    {"model": "dall-e-3", "image_costs": [{"quality": "hd", "cost": "0.08"}, {"cost": "0.04"}]},
    {"model": "tts-1", "cost_per_1k_characters": "0.015000001"},
    {"model": "whisper-1", "cost_per_audio_minute": "0.006000001"},
    {"model": "omni-moderation-latest"},
)
"""As ``POST /v1/model-pricing`` takes them; what is left out is 0."""


@dataclass(slots=True)
class Asked:
    """A request: its fields as text, and its files."""

    fields: dict[str, Any]
    files: dict[str, list[bytes]] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Told:
    """An answer, and what it is billed at: tokens in and out, or so many nano-USD."""

    body: bytes
    content_type: str
    input: int = 0
    output: int = 0
    nanos: int = 0
    chunks: int = 1


def hear(headers: dict[str, str], body: bytes) -> Asked:
    """Reads JSON or a form."""
    kind = headers.get("content-type", "")
    if not kind.startswith("multipart/form-data"):
        return Asked(json.loads(body))
    head = f"content-type: {kind}\r\n\r\n".encode()
    form = email.parser.BytesParser(policy=email.policy.HTTP).parsebytes(head + body)
    asked = Asked({})
    for part in form.iter_parts():
        name = str(part.get_param("name", header="content-disposition"))
        content = part.get_payload(decode=True)
        assert isinstance(content, bytes)
        if part.get_filename() is not None:
            asked.files.setdefault(name, []).append(content)
        else:
            need(name not in asked.fields, f"{name} is given twice")
            asked.fields[name] = content.decode()
    return asked


def _pictures(asked: Asked) -> Told:
    model, prompt, n = asked.fields["model"], asked.fields.get("prompt", ""), int(asked.fields.get("n", 1))
    data = [{"b64_json": "AAAA"} for _ in range(n)]
    if model == "dall-e-3":
        nanos = n * DALL_E_NANOS[asked.fields.get("quality", "standard")]
        return _json({"created": 1, "data": data}, nanos=nanos)
    words, seen = len(prompt.split()), 100 * sum(map(len, asked.files.values()))
    usage = {
        "input_tokens": words + seen,
        "input_tokens_details": {"text_tokens": words, "image_tokens": seen},
        "output_tokens": PICTURE_TOKENS * n,
        "total_tokens": words + seen + PICTURE_TOKENS * n,
    }
    picos = words * TEXT + seen * PICTURE_IN + PICTURE_TOKENS * n * PICTURE_OUT
    if asked.fields.get("stream") in (True, "true"):
        events = [{"type": "image_generation.partial_image", "b64_json": "AA"}]
        events.append({"type": "image_generation.completed", "b64_json": "AAAA", "usage": usage})
        body = b"".join(f"event: {e['type']}\ndata: {json.dumps(e)}\n\n".encode() for e in events)
        return Told(body, "text/event-stream", words + seen, PICTURE_TOKENS * n, -(-picos // 1_000), 3)
    told = {"created": 1, "data": data, "usage": usage}
    return _json(told, words + seen, PICTURE_TOKENS * n, -(-picos // 1_000))


def _speech(asked: Asked) -> Told:
    text = asked.fields["input"]
    need(asked.fields["voice"], "voice is needed")
    return Told(b"ID3" + bytes(9 * len(text)), "audio/mpeg", nanos=-(-len(text) * SPEECH_NANOS_1K // 1_000), chunks=5)


def _transcript(asked: Asked) -> Told:
    [sound] = asked.files["file"]
    seconds = -(-len(sound) // BYTES_PER_S)
    told = {"text": "Hallo Welt", "usage": {"type": "duration", "seconds": seconds}}
    return _json(told, nanos=-(-seconds * MINUTE_NANOS // 60))


def _moderation(asked: Asked) -> Told:
    need(asked.fields["input"], "input is needed")
    return _json({"id": "modr-1", "model": asked.fields["model"], "results": [{"flagged": False, "categories": {}}]})


def _json(told: dict[str, Any], input_tokens: int = 0, output_tokens: int = 0, nanos: int = 0) -> Told:
    return Told(json.dumps(told).encode(), "application/json", input_tokens, output_tokens, nanos)


ROUTES: dict[str, Callable[[Asked], Told]] = {
    "/v1/images/generations": _pictures,
    "/v1/images/edits": _pictures,
    "/v1/images/variations": _pictures,
    "/v1/audio/speech": _speech,
    "/v1/audio/transcriptions": _transcript,
    "/v1/audio/translations": _transcript,
    "/v1/moderations": _moderation,
}


def answer(path: str, headers: dict[str, str], body: bytes) -> tuple[Told, Billed]:
    """The answer and its bill. Raises Malformed."""
    asked = hear(headers, body)
    try:
        told = ROUTES[path](asked)
    except (KeyError, ValueError) as error:
        raise Malformed(f"{type(error).__name__}: {error}") from None
    bill = Billed(
        request_id=headers.get("x-request-id", ""),
        provider="openai",
        route=path.removeprefix("/v1/"),
        model=asked.fields["model"],
        stream=False,
        plain=told.input,
        read=0,
        write=0,
        hour=0,
        output=told.output,
        thinking=0,
        headers=tuple(sorted(headers)),
        nanos=told.nanos,
    )
    return told, bill
