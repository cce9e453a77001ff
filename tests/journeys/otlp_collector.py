"""A collector of OTLP over HTTP that reads what it gets with OpenTelemetry's own message types, or says that it is unwell."""

import gzip
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest


class Collector:
    """Use as a context manager. ``spans`` and ``points`` are what arrived; ``raw`` all bytes of it."""

    def __init__(self) -> None:
        self.spans: list[Any] = []
        self.points: dict[str, list[Any]] = {}
        self.headers: list[dict[str, str]] = []
        self.raw = b""
        self.unwell = False
        collector = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["content-length"]))
                if self.headers.get("content-encoding") == "gzip":
                    body = gzip.decompress(body)
                if not collector.unwell:
                    collector.take(self.path, body, dict(self.headers.items()))
                self.send_response(400 if collector.unwell else 200)
                self.send_header("content-length", "0")
                self.end_headers()

            def log_message(self, *_: object) -> None:
                return

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self._server.server_address[1]}"
        self._thread = threading.Thread(target=self._server.serve_forever, daemon=True)

    def take(self, path: str, body: bytes, headers: dict[str, str]) -> None:
        self.raw += body
        self.headers.append({name.lower(): value for name, value in headers.items()})
        if path == "/v1/traces":
            for resource in ExportTraceServiceRequest.FromString(body).resource_spans:
                self.spans += [span for scope in resource.scope_spans for span in scope.spans]
        elif path == "/v1/metrics":
            for resource in ExportMetricsServiceRequest.FromString(body).resource_metrics:
                for metric in (metric for scope in resource.scope_metrics for metric in scope.metrics):
                    self.points[metric.name] = list(metric.histogram.data_points)

    def __enter__(self) -> "Collector":
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()


def attributes(of: Any) -> dict[str, Any]:
    """The attributes of a span or a point."""
    return {a.key: getattr(a.value, a.value.WhichOneof("value")) for a in of.attributes}
