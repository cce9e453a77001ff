"""What a gateway tells of calls beside its ledger rows: the access log and the trace collector, where the rules want them."""

import asyncio
from collections.abc import Callable, Mapping
from urllib.parse import unquote

from keeptrusts.core.rulebook.rulebook import OtlpRules, TelemetryRules
from keeptrusts.gateway.access_log import AccessLog
from keeptrusts.gateway.afterwards import Afterwards, Line, Sink
from keeptrusts.gateway.node import Node, StartRefused
from keeptrusts.gateway.trace_context import Tracing


class Telemetry:
    """Made before the node, started before its first call, stopped after the last one. Where the rules want none, no call
    knows of it."""

    def __init__(self, rules: TelemetryRules, environment: Mapping[str, str]) -> None:
        """Raises StartRefused when the rules want what can't be had."""
        self._rules = rules
        self._new_otlp = None if rules.otlp is None else _otlp(rules.otlp, environment)
        self._afterwards: Afterwards | None = None

    def start(self, node: Node) -> None:
        """Tells of the node's calls from now on."""
        observed, otlp = node.observed, self._rules.otlp
        lines: list[Line] = []
        if self._rules.access_log:
            lines.append(Line(AccessLog(), "access log"))
        if otlp is not None and self._new_otlp is not None:
            lines.append(Line(self._new_otlp(node.node_id), "trace collector"))
            observed.tracing = Tracing(otlp.sample_ratio, otlp.propagate)
        if lines:
            self._afterwards = Afterwards(observed.counts.ended, lines)
            observed.ended = self._afterwards.ended
            observed.dropped = self._afterwards.dropped
            self._afterwards.start()

    async def stop(self) -> None:
        """Delivers what is left, within a few seconds."""
        if self._afterwards is not None:
            await asyncio.get_running_loop().run_in_executor(None, self._afterwards.stop)


def _otlp(rules: OtlpRules, environment: Mapping[str, str]) -> Callable[[str], Sink]:
    headers: dict[str, str] = {}
    if rules.headers_env is not None:
        said = environment.get(rules.headers_env)
        if not said:
            raise StartRefused(f"{rules.headers_env} is not set: telemetry.otlp.headers_env names it")
        headers = otlp_headers(said, rules.headers_env)
    try:
        from keeptrusts.gateway.otlp import Otlp
    except ImportError:
        raise StartRefused(
            "telemetry.otlp needs OpenTelemetry: install Keeptrusts with its extra, as in pip install '.[otel]' in its checkout"
        ) from None
    return lambda node_id: Otlp(rules.endpoint, headers, rules.service_name, node_id)


def otlp_headers(text: str, variable: str) -> dict[str, str]:
    """``name=value,name=value`` as OpenTelemetry writes it (values percent-encoded). Raises StartRefused, showing no value."""
    headers: dict[str, str] = {}
    for number, part in enumerate(text.split(","), start=1):
        name, equals, value = part.strip().partition("=")
        if not equals or not name.strip() or not value.strip():
            raise StartRefused(f"{variable} holds NAME=VALUE,NAME=VALUE: its part {number} is none")
        headers[name.strip().lower()] = unquote(value.strip())
    return headers
