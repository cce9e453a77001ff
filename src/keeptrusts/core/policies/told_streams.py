"""A stream that is there whole: the texts that it tells, and the same stream with other texts."""

from typing import Any

import msgspec

from keeptrusts.core.calls.words import reworded
from keeptrusts.core.dialects.sse import event_payload, sse_event, whole_events
from keeptrusts.core.policies.judge import finished
from keeptrusts.core.policies.speech import LISTEN, Channel, Heard

_encode = msgspec.json.Encoder(decimal_format="number").encode
_decode = msgspec.json.Decoder(dict[str, Any]).decode


def stream_texts(door: str, stream: bytes) -> list[str]:
    """Every text of the stream, in the order in which they begin."""
    texts: dict[Channel, list[str]] = {}
    for _, heard in _heard(door, whole_events(stream)[0]):
        for said in heard.said if heard is not None else ():
            texts.setdefault(said.channel, []).append(said.text)
    return ["".join(pieces) for pieces in texts.values()]


def retold(door: str, stream: bytes, texts: list[str]) -> bytes:
    """The stream with these texts in the place of its own: each told at once, where its first piece was."""
    others = dict(zip(stream_texts(door, stream), texts, strict=True))
    events, rest = whole_events(stream)
    waiting: dict[Channel, str] = {}
    left = iter(texts)
    out: list[bytes] = []
    for (told, heard), came in zip(_heard(door, events), events, strict=True):
        if told is None or heard is None or not (heard.said or heard.recap):
            out.append(came)
            continue
        for said in heard.said:
            if said.channel not in waiting:
                waiting[said.channel] = next(left)
            if said.text:
                # Some dialects open a text with an event of its own, in which nobody looks for words.
                said.within[said.key], waiting[said.channel] = waiting[said.channel], ""
        for within, key in heard.recap:
            within[key] = finished(reworded(within[key], others))
        names = [line[6:].strip() for line in came.splitlines() if line.startswith(b"event:")]
        out.append(sse_event(_encode(told), names[-1].decode(errors="replace") if names else ""))
    return b"".join(out) + rest


def _heard(door: str, events: list[bytes]) -> list[tuple[dict[str, Any] | None, Heard | None]]:
    found: list[tuple[dict[str, Any] | None, Heard | None]] = []
    for came in events:
        try:
            told = _decode(event_payload(came))
            found.append((told, LISTEN[door](told)))
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError, TypeError, AttributeError):
            found.append((None, None))
    return found
