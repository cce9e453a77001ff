"""Who may call the foreign provider: each vendor's own way to sign in, checked as the vendor does.

Signature Version 4 is worked out anew from "Create a signed AWS API request" (AWS IAM user guide).
"""

import hashlib
import hmac
import re
from collections.abc import Mapping
from urllib.parse import quote

SECRETS = {
    "OPENAI_API_KEY": "sk-proj-openai-0123456789-secret",
    "AZURE_OPENAI_API_KEY": "azure0123456789secretofthedeployment",
    "COMPATIBLE_API_KEY": "gsk_compatible0123456789secret",
    "ANTHROPIC_API_KEY": "sk-ant-api03-0123456789-secret",
    "GEMINI_API_KEY": "AIzaSyGemini0123456789secretsecret00000",
    "AWS_ACCESS_KEY_ID": "AKIAFOREIGN012345678",
    "AWS_SECRET_ACCESS_KEY": "aws/secret+0123456789abcdefghijklmnopqrs",
    "AWS_SESSION_TOKEN": "FwoGZXIvYXdzEForeignSessionToken/0123456789==",
    "BEDROCK_API_KEY": "ABSKQmVkcm9ja0FQSUtleS1mb3JlaWdu0123456789",
}
"""By the environment variable of the gateway that holds it."""

REGION = "eu-central-1"
ANTHROPIC_VERSION = "2023-06-01"

_AUTHORIZATION = re.compile(
    r"AWS4-HMAC-SHA256 Credential=([^/, ]+)/(\d{8})/([a-z0-9-]+)/bedrock/aws4_request, ?"
    r"SignedHeaders=([a-z0-9;-]+), ?Signature=([0-9a-f]{64})"
)


def may_call(provider: str, method: str, target: str, headers: Mapping[str, str], body: bytes) -> str | None:
    """None when the request is signed as the vendor wants it, else what is wrong."""
    if provider == "bedrock":
        return _aws(method, target, headers, body)
    name, value = _KEYS[provider]
    if headers.get(name) != value:
        return f"the header {name} does not hold the key"
    others = {header for header, _ in _KEYS.values()} - {name}
    if given := sorted(others & headers.keys()):
        return f"a key for somebody else came in {given[0]}"
    if provider == "anthropic" and headers.get("anthropic-version") != ANTHROPIC_VERSION:
        return "anthropic-version: header is required"
    return None


_KEYS = {
    "openai": ("authorization", f"Bearer {SECRETS['OPENAI_API_KEY']}"),
    "openai-compatible": ("authorization", f"Bearer {SECRETS['COMPATIBLE_API_KEY']}"),
    "azure": ("api-key", SECRETS["AZURE_OPENAI_API_KEY"]),
    "anthropic": ("x-api-key", SECRETS["ANTHROPIC_API_KEY"]),
    "gemini": ("x-goog-api-key", SECRETS["GEMINI_API_KEY"]),
}


def _aws(method: str, target: str, headers: Mapping[str, str], body: bytes) -> str | None:
    if headers.get("authorization") == f"Bearer {SECRETS['BEDROCK_API_KEY']}":
        return None
    match = _AUTHORIZATION.fullmatch(headers.get("authorization", ""))
    if match is None:
        return "The request signature is not well-formed"
    key_id, day, region, signed, signature = match.groups()
    stamp = headers.get("x-amz-date", "")
    if key_id != SECRETS["AWS_ACCESS_KEY_ID"] or region != REGION or stamp[:8] != day:
        return "Credential should be scoped to a valid region and key"
    if not {"host", "x-amz-date", "x-amz-security-token"} <= set(signed.split(";")):
        return "'Host', 'X-Amz-Date' and 'X-Amz-Security-Token' must be signed"
    if headers.get("x-amz-security-token") != SECRETS["AWS_SESSION_TOKEN"]:
        return "The security token included in the request is invalid"
    path, _, query = target.partition("?")
    lines = [f"{name}:{' '.join(headers.get(name, '').split())}" for name in signed.split(";")]
    digest = hashlib.sha256(body).hexdigest()
    canonical = "\n".join((method, quote(path, safe="/~"), query, *lines, "", signed, digest))
    scope = f"{day}/{region}/bedrock/aws4_request"
    text = "\n".join(("AWS4-HMAC-SHA256", stamp, scope, hashlib.sha256(canonical.encode()).hexdigest()))
    secret = ("AWS4" + SECRETS["AWS_SECRET_ACCESS_KEY"]).encode()
    for part in (day, region, "bedrock", "aws4_request"):
        secret = hmac.digest(secret, part.encode(), "sha256")
    if not hmac.compare_digest(hmac.digest(secret, text.encode(), "sha256").hex(), signature):
        return f"The request signature we calculated does not match. The Canonical String was '{canonical}'"
    return None
