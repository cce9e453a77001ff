"""Between the two forms of an answer in OpenAI's Responses: a whole response as a stream of events, and back. A stream's
last event has the response whole.

Source: the ``ResponseStreamEvent`` schemas of OpenAI's API description.
"""

from collections.abc import Callable, Iterator, Mapping
from typing import Any

import msgspec

from keeptrusts.core.calls.replay import NONSENSE

_encode = msgspec.json.Encoder().encode
_decode = msgspec.json.decode

_Event = dict[str, Any]


def as_stream(response: bytes, include_usage: bool) -> bytes | None:
    """A whole response as the events in which it would have come, the usage among them always; None when it does not make
    sense."""
    del include_usage
    try:
        events = _events(_decode(response, type=dict[str, Any]))
        return b"".join(
            b"event: %b\ndata: %b\n\n" % (event["type"].encode(), _encode({**event, "sequence_number": number}))
            for number, event in enumerate(events)
        )
    except NONSENSE:
        return None


def _events(response: dict[str, Any]) -> Iterator[_Event]:
    begun = {**response, "status": "in_progress", "output": [], "usage": None}
    begun.pop("completed_at", None)
    yield {"type": "response.created", "response": begun}
    yield {"type": "response.in_progress", "response": begun}
    for index, item in enumerate(response["output"]):
        place = {"output_index": index, "item_id": item.get("id") or f"item_{index}"}
        grow = _GROWTH.get(item["type"])
        empty, growth = (item, iter(())) if grow is None else grow(item, place)
        yield {"type": "response.output_item.added", "output_index": index, "item": empty}
        yield from growth
        yield {"type": "response.output_item.done", "output_index": index, "item": item}
    last = "response.completed" if response["status"] == "completed" else "response.incomplete"
    yield {"type": last, "response": response}


def _message(item: dict[str, Any], place: dict[str, Any]) -> tuple[_Event, Iterator[_Event]]:
    def parts() -> Iterator[_Event]:
        for index, part in enumerate(item["content"]):
            at = {**place, "content_index": index}
            field, kind = ("refusal", "refusal") if part["type"] == "refusal" else ("text", "output_text")
            more = {"logprobs": part.get("logprobs") or []} if field == "text" else {}
            lists: dict[str, Any] = {name: [] for name in ("annotations", "logprobs") if name in part}
            yield {"type": "response.content_part.added", **at, "part": {**part, **lists, field: ""}}
            if part[field]:
                yield {"type": f"response.{kind}.delta", **at, "delta": part[field], **more}
            for number, annotation in enumerate(part.get("annotations") or ()):
                told = {"annotation_index": number, "annotation": annotation}
                yield {"type": "response.output_text.annotation.added", **at, **told}
            yield {"type": f"response.{kind}.done", **at, field: part[field], **more}
            yield {"type": "response.content_part.done", **at, "part": part}

    return {**item, "status": "in_progress", "content": []}, parts()


def _call(item: dict[str, Any], place: dict[str, Any]) -> tuple[_Event, Iterator[_Event]]:
    arguments = item["arguments"]
    told = "response.function_call_arguments"
    growth: list[_Event] = [
        {"type": f"{told}.delta", **place, "delta": arguments},
        {"type": f"{told}.done", **place, "name": item["name"], "arguments": arguments},
    ]
    return {**item, "status": "in_progress", "arguments": ""}, iter(growth if arguments else growth[1:])


def _thought(item: dict[str, Any], place: dict[str, Any]) -> tuple[_Event, Iterator[_Event]]:
    def summaries() -> Iterator[_Event]:
        for index, part in enumerate(item.get("summary") or ()):
            at = {**place, "summary_index": index}
            yield {"type": "response.reasoning_summary_part.added", **at, "part": {**part, "text": ""}}
            yield {"type": "response.reasoning_summary_text.delta", **at, "delta": part["text"]}
            yield {"type": "response.reasoning_summary_text.done", **at, "text": part["text"]}
            yield {"type": "response.reasoning_summary_part.done", **at, "part": part}

    return {**item, "summary": []}, summaries()


_GROWTH: Mapping[str, Callable[[dict[str, Any], dict[str, Any]], tuple[_Event, Iterator[_Event]]]] = {
    "message": _message,
    "function_call": _call,
    "reasoning": _thought,
}
"""Items that are told piece by piece. The others are told whole."""


def assemble(stream: bytes, usage: dict[str, Any]) -> bytes | None:
    """The whole response that a stream ends with; None when there is none. It has its own usage."""
    del usage
    try:
        for line in reversed(stream.split(b"\n")):
            if line.startswith(b"data:"):
                response = _decode(line[5:].strip(), type=dict[str, Any])["response"]
                return _encode(response) if isinstance(response["output"], list) else None
    except NONSENSE:
        return None
    return None
