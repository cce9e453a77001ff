"""The requests that are sent to every gateway: the same question, in each gateway's path, headers and model name."""

import json
from dataclasses import dataclass

from bench.answers import PACE_MARK

_QUESTION = "Write a short haiku about cloud computing."
_LONG_PROMPT_BYTES = 51_000
_FILLER = "The quick brown fox jumps over the lazy dog and comes back by the same way. "
# What OpenAI's Python SDK sends along with every request.
SDK_HEADERS = (
    ("accept", "application/json"),
    ("accept-encoding", "gzip, deflate"),
    ("user-agent", "OpenAI/Python 2.8.0"),
    ("x-stainless-lang", "python"),
    ("x-stainless-package-version", "2.8.0"),
    ("x-stainless-os", "Linux"),
    ("x-stainless-arch", "x64"),
    ("x-stainless-runtime", "CPython"),
    ("x-stainless-runtime-version", "3.11.2"),
    ("x-stainless-async", "false"),
    ("x-stainless-retry-count", "0"),
    ("x-stainless-read-timeout", "600"),
)


@dataclass(frozen=True, slots=True)
class Address:
    """Where a gateway takes chat completions: port on 127.0.0.1, path, its own headers, its name for the model."""

    port: int
    path: str
    headers: tuple[tuple[str, str], ...]
    model: str


@dataclass(frozen=True, slots=True)
class Ask:
    """What is asked."""

    stream: bool = False
    paced: bool = False
    long_prompt: bool = False
    sdk_headers: bool = False


def request_bytes(address: Address, ask: Ask) -> bytes:
    """The HTTP request, ready for the socket."""
    body = json.dumps(_body(address.model, ask), separators=(",", ":")).encode()
    headers = [("host", f"127.0.0.1:{address.port}"), *(SDK_HEADERS if ask.sdk_headers else ())]
    headers += [*address.headers, ("content-type", "application/json"), ("content-length", str(len(body)))]
    lines = "".join(f"{name}: {value}\r\n" for name, value in headers)
    return f"POST {address.path} HTTP/1.1\r\n{lines}\r\n".encode() + body


def _body(model: str, ask: Ask) -> dict[str, object]:
    prompt = _QUESTION
    if ask.paced:
        prompt += " " + PACE_MARK.decode()
    if ask.long_prompt:
        prompt += " " + (_FILLER * (_LONG_PROMPT_BYTES // len(_FILLER) + 1))[: _LONG_PROMPT_BYTES - len(prompt)]
    messages = [{"role": "user", "content": prompt}]
    if not ask.stream:
        return {"model": model, "messages": messages}
    return {"model": model, "messages": messages, "stream": True, "stream_options": {"include_usage": True}}
