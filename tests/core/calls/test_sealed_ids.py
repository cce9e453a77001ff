"""An id that the provider remembers an answer by opens for its own team, and for nobody else."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from keeptrusts.core.calls.responses import parse_responses
from keeptrusts.core.calls.sealed_ids import Seals
from keeptrusts.core.providers.wires import WIRES
from keeptrusts.core.refusal import Refused

OURS, THEIRS = Seals(b"k" * 32, "team:ours"), Seals(b"k" * 32, "team:theirs")
TOLD = "resp_68d0a1b2c3"
EVENTS = [
    b'event: response.created\ndata: {"type":"response.created","response":{"id": "%b","previous_response_id":null}}\n\n',
    b'event: response.output_text.delta\ndata: {"type":"response.output_text.delta","delta":"say \\"id\\":\\"%b\\""}\n\n',
    (
        b'event: response.completed\ndata: {"type":"response.completed","response":{"id":"%b","model":"m","usage":'
        b'{"input_tokens":1,"output_tokens":1}}}\n\n'
    ),
]


@given(st.from_regex(r"resp_[A-Za-z0-9]{1,60}", fullmatch=True))
def test_what_was_sealed_opens_for_its_owner_alone(told: str) -> None:
    sealed = OURS.seal(told)
    assert OURS.opened(sealed, "f") == told
    with pytest.raises(Refused):
        THEIRS.opened(sealed, "f")
    with pytest.raises(Refused):
        Seals(b"x" * 32, "team:ours").opened(sealed, "f")


@pytest.mark.parametrize(
    "given_id", ["", "resp_", TOLD, "resp_kt", OURS.seal(TOLD) + "x", OURS.seal(TOLD)[:-1], "x" * 300, "é"]
)
def test_what_was_never_told_does_not_open(given_id: str) -> None:
    with pytest.raises(Refused):
        OURS.opened(given_id, "previous_response_id")


def test_a_call_goes_on_from_an_answer_of_its_own_team() -> None:
    body = json.dumps({"model": "m", "input": "Hi", "previous_response_id": OURS.seal(TOLD)}).encode()
    request = parse_responses(body)
    request.sealed_by(OURS)
    sent = json.loads(WIRES["responses"]["openai"].body(request, "m", None, None))
    assert sent["previous_response_id"] == TOLD
    with pytest.raises(Refused, match="previous_response_id"):
        parse_responses(body).sealed_by(THEIRS)
    parse_responses(b'{"model":"m","input":"Hi","previous_response_id":null}').sealed_by(THEIRS)


def test_a_whole_answer_and_a_stream_tell_sealed_ids_and_leave_words_alone() -> None:
    request = parse_responses(b'{"model":"m","input":"Hi","stream":true}')
    request.sealed_by(OURS)
    wire, raw, sealed = WIRES["responses"]["openai"], TOLD.encode(), OURS.seal(TOLD).encode()
    whole = b'{"id":"%b","output":[],"usage":{"input_tokens":1,"output_tokens":1}}'
    assert wire.whole(request, whole % raw, 0).body == whole % sealed
    stream = wire.stream(request, 0)
    told = b"".join(event % raw for event in EVENTS)
    passed = b"".join(stream.feed(told[at : at + 7]) for at in range(0, len(told), 7)) + stream.finish() + stream.end()
    assert passed == EVENTS[0] % sealed + EVENTS[1] % raw + EVENTS[2] % sealed
    assert stream.usage is not None
