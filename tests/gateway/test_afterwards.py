"""What is told of calls beside them: a sink that fails, or hangs, costs what it would have got, and nothing else."""

import threading
import time
from collections.abc import Sequence

import pytest

from keeptrusts.core.identity.attribution import Attribution
from keeptrusts.gateway.afterwards import QUEUE_MAX, Afterwards, Ended, Line
from keeptrusts.gateway.call import Call
from keeptrusts.gateway.caller import Caller
from keeptrusts.gateway.node import StartRefused
from keeptrusts.gateway.telemetry import otlp_headers


class Remembering:
    def __init__(self, fault: Exception | None = None, gate: threading.Event | None = None) -> None:
        self.got: list[str] = []
        self.closed = False
        self._fault = fault
        self._gate = gate

    def take(self, batch: Sequence[Ended]) -> int:
        if self._gate is not None:
            self._gate.wait(30)
        if self._fault is not None:
            raise self._fault
        self.got += [ended.call.call_id for ended in batch]
        return 0

    def close(self) -> None:
        self.closed = True


def call(call_id: str) -> Call:
    return Call(call_id, time.time_ns(), 0.0, Caller(None, "g", Attribution(), "g", (), ()), "req_1")


def test_what_is_queued_is_delivered_before_the_end() -> None:
    sink = Remembering()
    counted: list[str] = []
    afterwards = Afterwards(lambda ended, door: counted.append(door), [Line(sink, "sink")])
    afterwards.start()
    for number in range(500):
        afterwards.ended(call(str(number)), "chat")
    afterwards.stop()
    assert sink.got == [str(number) for number in range(500)]
    assert sink.closed
    assert counted == ["chat"] * 500
    assert afterwards.dropped() == 0


def test_a_sink_that_hangs_loses_what_does_not_fit_and_keeps_no_other_waiting() -> None:
    gate = threading.Event()
    stuck, well = Remembering(gate=gate), Remembering()
    lines = [Line(stuck, "stuck"), Line(well, "well")]
    afterwards = Afterwards(lambda ended, door: None, lines)
    lines[1].start()
    one = call("1")
    for _ in range(QUEUE_MAX + 10):
        lines[0].note(Ended(one, "chat", 1))
    afterwards.ended(one, "chat")
    assert lines[0].dropped == 11
    lines[1].stop(5.0)
    assert well.got == ["1"]
    gate.set()


def test_a_sink_that_fails_is_counted_and_complained_of_once(caplog: pytest.LogCaptureFixture) -> None:
    line = Line(Remembering(fault=ValueError("no")), "sink")
    line.start()
    for number in range(300):
        line.note(Ended(call(str(number)), "chat", 1))
    line.stop(5.0)
    assert line.dropped == 300
    assert [r.getMessage() for r in caplog.records if "failed" in r.getMessage()] == ["The sink failed: ValueError: no"]


def test_headers_are_read_as_opentelemetry_writes_them() -> None:
    assert otlp_headers("Authorization=Bearer%20abc=, x-team = a", "H") == {
        "authorization": "Bearer abc=",
        "x-team": "a",
    }


@pytest.mark.parametrize("text", ["s3cret", "a=b,,", "=s3cret", "name="])
def test_headers_that_are_none_are_refused_without_being_shown(text: str) -> None:
    with pytest.raises(StartRefused, match=r"^H holds NAME=VALUE") as refused:
        otlp_headers(text, "H")
    assert "s3cret" not in str(refused.value)
