"""Which trace a call belongs to: the one that its client names in ``traceparent`` (W3C Trace Context), or one of its own."""

import random
import re
from collections.abc import Mapping

_TRACEPARENT = re.compile(rb"[0-9a-f]{2}-([0-9a-f]{32})-([0-9a-f]{16})-([0-9a-f]{2})(?:-.*)?")
_SAMPLED = 1


class TraceContext:
    """A call's place in its trace. ``line`` is the header line that tells it to a provider, empty when none is to know."""

    __slots__ = ("line", "parent_id", "sampled", "span_id", "trace_id")

    def __init__(self, trace_id: int, parent_id: int | None, span_id: int, sampled: bool, propagate: bool) -> None:
        self.trace_id = trace_id
        self.parent_id = parent_id
        self.span_id = span_id
        self.sampled = sampled
        self.line = b"traceparent: 00-%032x-%016x-%02x\r\n" % (trace_id, span_id, sampled) if propagate else b""


class Tracing:
    """Gives calls their contexts. Of those whose client does not say, the share ``sample_ratio`` is traced."""

    def __init__(self, sample_ratio: float, propagate: bool) -> None:
        self._sample_ratio = sample_ratio
        self._propagate = propagate
        # Ids must differ, not be hard to guess.
        self._random = random.Random()  # noqa: S311

    def begin(self, headers: Mapping[bytes, bytes]) -> TraceContext:
        """The context of a call with these headers; a ``traceparent`` that is none counts as absent."""
        draw = self._random.getrandbits
        given = headers.get(b"traceparent")
        told = None if given is None else _TRACEPARENT.fullmatch(given)
        if told is not None and not given.startswith(b"ff"):  # type: ignore[union-attr]
            trace_id, parent_id = int(told[1], 16), int(told[2], 16)
            if trace_id and parent_id:
                sampled = bool(int(told[3], 16) & _SAMPLED)
                return TraceContext(trace_id, parent_id, draw(64) or 1, sampled, self._propagate)
        sampled = self._random.random() < self._sample_ratio
        return TraceContext(draw(128) or 1, None, draw(64) or 1, sampled, self._propagate)
