"""``gateway.admin`` and ``telemetry``: how operators watch a gateway."""

import re
from decimal import Decimal
from typing import Annotated, Any

from pydantic import AfterValidator, BeforeValidator, Field

from keeptrusts.core.rulebook.policy_file.entry import Entry
from keeptrusts.core.rulebook.policy_file.values import EnvironmentName, Name, WebAddress, wrong

SOCKET_PATH_BYTES_MAX = 100
"""A socket's address holds no longer path."""

ADMIN_EXAMPLE = "127.0.0.1:41003"


def admin_address(text: str) -> str:
    """The address as it is. Raises PydanticCustomError unless it is HOST:PORT or an absolute path."""
    if text.startswith("/"):
        if len(text.encode()) > SOCKET_PATH_BYTES_MAX or not text.isprintable() or text.endswith("/"):
            raise wrong("bad_address", f"expected a socket's path of at most {SOCKET_PATH_BYTES_MAX} bytes")
        return text
    host, _, port = text.rpartition(":")
    host = host.removeprefix("[").removesuffix("]")
    if (
        not re.fullmatch(r"[0-9A-Za-z.:_-]+", host)
        or not re.fullmatch(r"[0-9]{1,5}", port)
        or not 0 < int(port) < 65_536
    ):
        raise wrong(
            "bad_address", "expected HOST:PORT, or the absolute path of a Unix socket", f"for example {ADMIN_EXAMPLE}"
        )
    return text


def _ratio(value: Any) -> Any:
    return float(value) if isinstance(value, int | Decimal) and not isinstance(value, bool) else value


Ratio = Annotated[float, BeforeValidator(_ratio, json_schema_input_type=float), Field(ge=0, le=1)]
Listen = Annotated[str, AfterValidator(admin_address)]


class Admin(Entry):
    """Where operators ask the gateway about itself, beside its own port. An address takes the API token; a socket is its
    owner's alone."""

    listen: Listen | None = Field(
        default=None, description="HOST:PORT, or the path of a Unix socket.", examples=[ADMIN_EXAMPLE]
    )
    token_env: EnvironmentName | None = Field(
        default=None,
        description="The variable that holds the token; `api.token_env` when not set.",
        examples=["KEEPTRUSTS_API_TOKEN"],
    )


class Otlp(Entry):
    """An OpenTelemetry collector that takes OTLP over HTTP. It gets figures of calls, and never what they said."""

    endpoint: WebAddress = Field(
        description="Its base address; `/v1/traces` and `/v1/metrics` are added.", examples=["http://localhost:4318"]
    )
    headers_env: EnvironmentName | None = Field(
        default=None,
        description="The variable that holds further headers: NAME=VALUE,NAME=VALUE.",
        examples=["OTEL_EXPORTER_OTLP_HEADERS"],
    )
    sample_ratio: Ratio = Field(
        default=1.0,
        description="The share of calls that is traced, of those whose client does not say so itself (`traceparent`).",
        examples=[0.1],
    )
    propagate: bool = Field(default=False, description="Whether providers are told the trace (`traceparent`) too.")
    service_name: Name = Field(default="keeptrusts-gateway", examples=["keeptrusts-gateway"])


class Telemetry(Entry):
    """What the gateway tells of calls beside their ledger rows. Read when it starts."""

    access_log: bool = Field(default=False, description="A log line for each call.")
    otlp: Otlp | None = Field(default=None, examples=["{endpoint: 'http://localhost:4318'}"])
