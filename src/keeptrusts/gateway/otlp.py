"""Calls as OpenTelemetry spans and metrics, by the GenAI semantic conventions, over OTLP/HTTP. Never a prompt or an answer.

Spans are made of calls that have ended, in the thread of ``afterwards.py``: a call itself pays for an entry in a queue.
https://opentelemetry.io/docs/specs/semconv/gen-ai/
"""

import logging
import random
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from opentelemetry.exporter.otlp.proto.http.metric_exporter import OTLPMetricExporter
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import PeriodicExportingMetricReader
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.sdk.trace.export import SpanExportResult
from opentelemetry.sdk.util.instrumentation import InstrumentationScope
from opentelemetry.trace import SpanContext, SpanKind, Status, StatusCode, TraceFlags

from keeptrusts import __version__
from keeptrusts.core.ledger.records import Attempt
from keeptrusts.core.money import NANOS_PER_USD
from keeptrusts.gateway.afterwards import Ended
from keeptrusts.gateway.call import Call

TIMEOUT_S = 5.0
METRICS_EVERY_MS = 15_000
CLOSE_MS = 2_000
NS_PER_S = 1_000_000_000

OPERATIONS = {
    "chat": "chat",
    "responses": "chat",
    "messages": "chat",
    "completions": "text_completion",
    "embeddings": "embeddings",
    "moderations": "moderation",
}
"""``gen_ai.operation.name`` by door; pictures and sound are content that is generated."""

PROVIDERS = {
    "azure": "azure.ai.openai",
    "bedrock": "aws.bedrock",
    "gemini": "gcp.gemini",
    "openai-compatible": "openai",
}
"""``gen_ai.provider.name`` where it is not our own name for the provider."""

TOKEN_BUCKETS = (1, 4, 16, 64, 256, 1024, 4096, 16384, 65536, 262144, 1048576, 4194304, 16777216, 67108864)
DURATION_BUCKETS = (0.01, 0.02, 0.04, 0.08, 0.16, 0.32, 0.64, 1.28, 2.56, 5.12, 10.24, 20.48, 40.96, 81.92)
"""Those that the conventions advise."""

GOOD = frozenset({"ok", "cached"})
SCOPE = InstrumentationScope("keeptrusts.gateway", __version__)


class Otlp:
    """A sink that sends spans and metrics to the collector at ``endpoint`` (its base address)."""

    def __init__(self, endpoint: str, headers: Mapping[str, str], service: str, node_id: str) -> None:
        logging.getLogger("opentelemetry").setLevel(logging.CRITICAL)
        self._resource = Resource(
            {"service.name": service, "service.version": __version__, "service.instance.id": node_id}
        )
        self._random = random.Random()  # noqa: S311 - ids must differ, not be hard to guess
        self._spans = OTLPSpanExporter(f"{endpoint}/v1/traces", headers=dict(headers), timeout=TIMEOUT_S)
        exporter = OTLPMetricExporter(f"{endpoint}/v1/metrics", headers=dict(headers), timeout=TIMEOUT_S)
        reader = PeriodicExportingMetricReader(exporter, METRICS_EVERY_MS, TIMEOUT_S * 1000)
        self._provider = MeterProvider([reader], self._resource, shutdown_on_exit=False)
        meter = self._provider.get_meter("keeptrusts.gateway", __version__)
        self._tokens = meter.create_histogram(
            "gen_ai.client.token.usage", "{token}", explicit_bucket_boundaries_advisory=TOKEN_BUCKETS
        )
        self._durations = meter.create_histogram(
            "gen_ai.client.operation.duration", "s", explicit_bucket_boundaries_advisory=DURATION_BUCKETS
        )

    def take(self, batch: Sequence[Ended]) -> int:
        """See Sink."""
        spans: list[ReadableSpan] = []
        traced = 0
        for ended in batch:
            self._measure(ended)
            if ended.call.trace is not None and ended.call.trace.sampled:
                traced += 1
                spans += self._spans_of(ended)
        if not spans:
            return 0
        return 0 if self._spans.export(spans) is SpanExportResult.SUCCESS else traced

    def close(self) -> None:
        """See Sink."""
        self._provider.shutdown(CLOSE_MS)
        self._spans.shutdown()  # type: ignore[no-untyped-call]

    def _measure(self, ended: Ended) -> None:
        call = ended.call
        if not call.attempts:
            return
        attributes = _gen_ai(ended, call.provider, call.model)
        if call.served_model is not None:
            attributes["gen_ai.response.model"] = call.served_model
        if call.status not in GOOD:
            attributes["error.type"] = call.reason or call.status
        self._durations.record(max(0, ended.at_ns - call.at_ns) / NS_PER_S, attributes)
        usage = call.usage
        if usage.total_tokens:
            self._tokens.record(usage.prompt_tokens, {**attributes, "gen_ai.token.type": "input"})
            self._tokens.record(usage.output, {**attributes, "gen_ai.token.type": "output"})

    def _spans_of(self, ended: Ended) -> Iterator[ReadableSpan]:
        call, trace = ended.call, ended.call.trace
        assert trace is not None
        flags = TraceFlags(TraceFlags.SAMPLED)
        own = SpanContext(trace.trace_id, trace.span_id, is_remote=False, trace_flags=flags)
        parent = None
        if trace.parent_id is not None:
            parent = SpanContext(trace.trace_id, trace.parent_id, is_remote=True, trace_flags=flags)
        good = call.status in GOOD
        yield self._span(
            f"{_operation(ended)} {call.model}".strip(),
            own,
            parent,
            _whole(ended),
            SpanKind.SERVER,
            None if good else call.reason or call.status,
            (call.at_ns, max(call.at_ns, ended.at_ns)),
        )
        for attempt, times in zip(call.attempts, _times(ended), strict=True):
            yield self._span(
                f"{_operation(ended)} {attempt.model}",
                SpanContext(trace.trace_id, self._random.getrandbits(64) or 1, is_remote=False, trace_flags=flags),
                own,
                _one_attempt(ended, attempt),
                SpanKind.CLIENT,
                None if attempt.outcome == "settled" else attempt.reason or attempt.outcome,
                times,
            )

    def _span(
        self,
        name: str,
        context: SpanContext,
        parent: SpanContext | None,
        attributes: dict[str, Any],
        kind: SpanKind,
        fault: str | None,
        times: tuple[int, int],
    ) -> ReadableSpan:
        if fault is not None:
            attributes["error.type"] = fault
        return ReadableSpan(
            name,
            context,
            parent,
            self._resource,
            attributes,
            kind=kind,
            status=Status(StatusCode.UNSET) if fault is None else Status(StatusCode.ERROR, fault),
            start_time=times[0],
            end_time=times[1],
            instrumentation_scope=SCOPE,
        )


def _operation(ended: Ended) -> str:
    return OPERATIONS.get(ended.door, "generate_content")


def _gen_ai(ended: Ended, provider: str | None, model: str) -> dict[str, Any]:
    """``model`` is empty for a call that reached none: what its client sent instead may be anything."""
    attributes: dict[str, Any] = {"gen_ai.operation.name": _operation(ended)}
    if model:
        attributes["gen_ai.request.model"] = model
    if provider is not None:
        named = PROVIDERS.get(provider, provider)
        attributes["gen_ai.provider.name"] = attributes["gen_ai.system"] = named
    return attributes


def _usage(call_or_attempt: Call | Attempt) -> dict[str, Any]:
    usage = call_or_attempt.usage
    said = {"gen_ai.usage.input_tokens": usage.prompt_tokens, "gen_ai.usage.output_tokens": usage.output}
    if usage.cache_read:
        said["gen_ai.usage.cache_read.input_tokens"] = usage.cache_read
    if usage.cache_write or usage.cache_write_1h:
        said["gen_ai.usage.cache_creation.input_tokens"] = usage.cache_write + usage.cache_write_1h
    return said


def _whole(ended: Ended) -> dict[str, Any]:
    """The attributes of the call's own span."""
    call, caller = ended.call, ended.call.caller
    attributes = _gen_ai(ended, call.provider, call.model)
    attributes |= _usage(call)
    told = {
        "gen_ai.response.model": call.served_model,
        "http.response.status_code": call.http_status,
        "keeptrusts.call.id": call.call_id,
        "keeptrusts.request.id": call.request_id,
        "keeptrusts.status": call.status,
        "keeptrusts.reason": call.reason,
        "keeptrusts.team": caller.attribution.team,
        "keeptrusts.consumer_group": caller.group,
        "keeptrusts.cost_usd": None if call.cost_nanos is None else call.cost_nanos / NANOS_PER_USD,
        "keeptrusts.cache_hit": call.cache_hit,
        "keeptrusts.policy_actions": call.policy_actions or None,
    }
    return attributes | {name: value for name, value in told.items() if value is not None}


def _one_attempt(ended: Ended, attempt: Attempt) -> dict[str, Any]:
    attributes = _gen_ai(ended, attempt.provider, attempt.model)
    attributes |= _usage(attempt)
    told = {
        "gen_ai.response.model": ended.call.served_model if attempt is ended.call.attempts[-1] else None,
        "http.response.status_code": attempt.status,
        "keeptrusts.target": attempt.target,
        "keeptrusts.attempt": attempt.number,
        "keeptrusts.cost_usd": attempt.cost_nanos / NANOS_PER_USD,
    }
    return attributes | {name: value for name, value in told.items() if value is not None}


def _times(ended: Ended) -> list[tuple[int, int]]:
    """When each attempt waited for its provider. The last one's answer came just before the call's end."""
    call = ended.call
    times = [(end_ns - waited_ns, end_ns) for end_ns, waited_ns in call.earlier_waits]
    last_ns = call.upstream_ns - sum(waited_ns for _, waited_ns in call.earlier_waits)
    end_ns = max(call.at_ns, ended.at_ns)
    times.append((max(call.at_ns, end_ns - last_ns), end_ns))
    # An attempt that gave way to none (a refusal between two) has no time of its own.
    return ([(call.at_ns, call.at_ns)] * len(call.attempts) + times)[-len(call.attempts) :] if call.attempts else []
