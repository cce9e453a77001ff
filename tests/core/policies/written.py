"""Policies and calls for the tests, and every way in which JSON can write a text."""

import json
from collections.abc import Mapping
from typing import Any

from hypothesis import strategies as st
from msgspec import Struct

SHORT_ESCAPES = {"\n": "\\n", "\t": "\\t", "\r": "\\r", "\f": "\\f", "\b": "\\b", '"': '\\"', "\\": "\\\\", "/": "\\/"}


class Written(Struct, frozen=True):
    """A policy as a rulebook holds it."""

    action: str = "flag"
    config: Mapping[str, Any] = {}
    name: str = "filter"
    type: str = "content_filter"
    phase: str = "input"
    shadow: bool = False


def call_body(text: str) -> bytes:
    """A chat request that says ``text``, as a client library writes it."""
    return json.dumps({"model": "m", "messages": [{"role": "user", "content": text}]}, ensure_ascii=False).encode()


def texts_of(body: bytes) -> list[str]:
    """What the gateway hands the judge: the decoded contents."""
    return [message["content"] for message in json.loads(body)["messages"]]


@st.composite
def json_spellings(draw: st.DrawFn, text: str) -> bytes:
    """A request body whose content is ``text``, each character escaped in any of the ways that JSON allows."""
    written = []
    for character in text:
        ways = [f"\\u{unit:04x}" for unit in [ord(character)] if unit < 0x10000]
        ways += [ways[0].upper().replace("\\U", "\\u")] if ways else []
        if character in SHORT_ESCAPES:
            ways.append(SHORT_ESCAPES[character])
        if character not in '"\\' and ord(character) >= 0x20:
            ways += [character, character]
        written.append(draw(st.sampled_from(ways)))
    body = '{"model":"m","messages":[{"role":"user","content":"' + "".join(written) + '"}]}'
    assert texts_of(body.encode()) == [text]
    return body.encode()
