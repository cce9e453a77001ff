"""A call's trace: its client's, if what it sends is one; else its own, for the share of calls that the rules ask for."""

import pytest

from keeptrusts.gateway.trace_context import Tracing

TRACE, PARENT = "4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7"


def test_a_clients_trace_goes_on_with_a_span_of_ours() -> None:
    context = Tracing(0.0, propagate=True).begin({b"traceparent": f"00-{TRACE}-{PARENT}-01".encode()})
    assert (f"{context.trace_id:032x}", context.parent_id) == (TRACE, int(PARENT, 16))
    assert context.sampled
    assert context.span_id != context.parent_id
    assert context.line == f"traceparent: 00-{TRACE}-{context.span_id:016x}-01\r\n".encode()


def test_a_client_that_does_not_sample_is_not_traced_whatever_the_share() -> None:
    assert not Tracing(1.0, propagate=False).begin({b"traceparent": f"00-{TRACE}-{PARENT}-00".encode()}).sampled


@pytest.mark.parametrize(
    "given",
    [
        b"", b"nonsense", b"00-" + b"0" * 32 + b"-" + PARENT.encode() + b"-01",
        f"00-{TRACE}-{'0' * 16}-01".encode(), f"ff-{TRACE}-{PARENT}-01".encode(), f"00-{TRACE.upper()}-{PARENT}-01".encode(),
        f"00-{TRACE}-{PARENT}-01\x00".encode(), f"00-{TRACE}-{PARENT}".encode(),
    ],
)  # fmt: skip
def test_what_is_no_trace_is_passed_over(given: bytes) -> None:
    context = Tracing(1.0, propagate=False).begin({b"traceparent": given})
    assert context.parent_id is None
    assert f"{context.trace_id:032x}" != TRACE
    assert context.line == b""


@pytest.mark.parametrize(("ratio", "low", "high"), [(0.0, 0, 0), (0.5, 350, 650), (1.0, 1000, 1000)])
def test_the_share_of_calls_that_is_traced_is_the_one_asked_for(ratio: float, low: int, high: int) -> None:
    tracing = Tracing(ratio, propagate=False)
    assert low <= sum(tracing.begin({}).sampled for _ in range(1000)) <= high
