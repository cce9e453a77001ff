"""AWS Signature Version 4: how a request to Amazon proves who sends it. The time is an argument, as the core has no clock.

Source: "Create a signed AWS API request" in the AWS IAM user guide; the path is encoded once more than it is sent, as for
every service but S3.
"""

import hashlib
import hmac
from collections.abc import Mapping
from datetime import UTC, datetime
from urllib.parse import quote

from msgspec import Struct

_ALGORITHM = "AWS4-HMAC-SHA256"


class Credentials(Struct, frozen=True):
    """An access key. ``session_token`` comes with temporary ones."""

    access_key: str
    secret_key: str
    session_token: str | None = None

    def __repr__(self) -> str:
        return f"Credentials({self.access_key!r})"


class Request(Struct, frozen=True):
    """What is signed. ``path`` and ``query`` are percent-encoded as they are sent, ``query`` without its question mark.

    ``headers`` are those to be signed: ``host`` must be among them; none that a proxy may change should be.
    """

    method: str
    path: str
    headers: Mapping[str, str]
    body: bytes = b""
    query: str = ""


def sign(request: Request, credentials: Credentials, region: str, service: str, at: datetime) -> dict[str, str]:
    """The headers to add to the request, ``Authorization`` among them. ``at`` is when it is sent, with its time zone."""
    stamp = at.astimezone(UTC).strftime("%Y%m%dT%H%M%SZ")
    added = {"X-Amz-Date": stamp}
    if credentials.session_token is not None:
        added["X-Amz-Security-Token"] = credentials.session_token
    names, canonical = _canonical_request(request, {**request.headers, **added})
    scope = f"{stamp[:8]}/{region}/{service}/aws4_request"
    to_sign = "\n".join((_ALGORITHM, stamp, scope, hashlib.sha256(canonical.encode()).hexdigest()))
    key = _signing_key(credentials.secret_key, scope)
    signature = hmac.new(key, to_sign.encode(), hashlib.sha256).hexdigest()
    credential = f"{credentials.access_key}/{scope}"
    authorization = f"{_ALGORITHM} Credential={credential}, SignedHeaders={names}, Signature={signature}"
    return {**added, "Authorization": authorization}


def _signing_key(secret_key: str, scope: str) -> bytes:
    key = f"AWS4{secret_key}".encode()
    for part in scope.split("/"):
        key = hmac.new(key, part.encode(), hashlib.sha256).digest()
    return key


def _canonical_request(request: Request, headers: Mapping[str, str]) -> tuple[str, str]:
    """The names of the headers that are signed, and the text whose digest is signed."""
    lines = sorted((name.lower().strip(), " ".join(value.split())) for name, value in headers.items())
    names = ";".join(name for name, _ in lines)
    text = "\n".join(
        (
            request.method.upper(),
            _canonical_path(request.path),
            "&".join(sorted(_pairs(request.query))),
            *(f"{name}:{value}" for name, value in lines),
            "",
            names,
            hashlib.sha256(request.body).hexdigest(),
        )
    )
    return names, text


def _pairs(query: str) -> list[str]:
    return [pair if "=" in pair else pair + "=" for pair in query.split("&") if pair]


def _canonical_path(path: str) -> str:
    """Without dot segments and empty ones (RFC 3986, 5.2.4), encoded again."""
    kept: list[str] = []
    for segment in path.split("/"):
        if segment == "..":
            del kept[-1:]
        elif segment not in ("", "."):
            kept.append(quote(segment, safe="~"))
    end = "/" if kept and path.endswith("/") else ""
    return "/" + "/".join(kept) + end
