"""How a target's provider knows that it may answer: its base URL, and the header lines that say who asks."""

import time
from collections.abc import Callable, Mapping
from datetime import UTC, datetime

from msgspec import Struct

from keeptrusts.core.dialects import bedrock, gemini
from keeptrusts.core.dialects.sigv4 import Credentials, Request, sign
from keeptrusts.core.providers.azure import PathOf, deployment_address
from keeptrusts.core.providers.vendors import VENDORS
from keeptrusts.core.routing.target import Target

OPENAI_BASE_URL = "OPENAI_BASE_URL"
BASE_URLS: Mapping[str, str] = {
    "openai": "https://api.openai.com/v1",
    "anthropic": "https://api.anthropic.com",
    "gemini": gemini.VENDOR_BASE_URL,
    **{name: vendor.base_url for name, vendor in VENDORS.items() if vendor.base_url is not None},
}
"""Where the vendors themselves answer. Bedrock's place depends on the region, Azure's and others' on the customer."""

KEY_HEADERS: Mapping[str, str] = {
    "anthropic": "x-api-key: {}",
    "azure": "api-key: {}",
    "gemini": "x-goog-api-key: {}",
}
"""Providers that want their key in a header of their own; all others take a bearer token."""

FURTHER_LINES: Mapping[str, tuple[str, ...]] = {"anthropic": ("anthropic-version: 2023-06-01",)}

AWS_SECRETS = ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY")
AWS_TOKEN = "AWS_SESSION_TOKEN"


Sign = Callable[[str, str, bytes], bytes]
"""From a request's host, path and body to header lines, each ended by CRLF."""


class SignIn(Struct, frozen=True):
    """Header lines of a target's requests: ``fixed`` ones, without CRLF, and those that only the request decides. ``key`` is
    what must not come back in an answer."""

    fixed: tuple[str, ...]
    sign: Sign | None = None
    key: str = ""


def with_key(provider: str, secret: str | None) -> SignIn:
    """A key, or nothing."""
    key = () if secret is None else (KEY_HEADERS.get(provider, "authorization: Bearer {}").format(secret),)
    return SignIn((*key, *FURTHER_LINES.get(provider, ())), key=secret or "")


def with_aws_keys(credentials: Credentials, region: str) -> SignIn:
    """Each request is signed."""

    def signed(host: str, path: str, body: bytes) -> bytes:
        request = Request("POST", path, {"host": host, "content-type": "application/json"}, body)
        headers = sign(request, credentials, region, bedrock.SERVICE, datetime.fromtimestamp(time.time(), UTC))
        return b"".join(b"%b: %b\r\n" % (name.encode(), value.encode()) for name, value in headers.items())

    return SignIn((), signed)


def base_url_of(target: Target, environment: Mapping[str, str]) -> str:
    """Where the target answers: its own base URL, the environment's for OpenAI, else the vendor's."""
    if target.provider == "bedrock":
        return (target.base_url or bedrock.base_url_of(target.region or "")).rstrip("/")
    named = environment.get(OPENAI_BASE_URL) if target.provider in ("openai", "openai-compatible") else None
    return (target.base_url or named or BASE_URLS.get(target.provider, BASE_URLS["openai"])).rstrip("/")


def missing_secret(target: Target, environment: Mapping[str, str]) -> str | None:
    """The first variable that the target needs to sign in and that the environment lacks; None: it has all."""
    needed: tuple[str, ...] = () if target.secret_env is None else (target.secret_env,)
    if target.provider == "bedrock" and target.secret_env is None:
        needed = AWS_SECRETS
    return next((name for name in needed if not environment.get(name)), None)


def path_of(target: Target, base_url: str) -> tuple[str, PathOf | None]:
    """The address to connect to, and how paths are written there; None: as they are."""
    if target.api_version is None:
        return base_url, None
    return deployment_address(base_url, target.model, target.api_version)


def has_secret(target: Target, environment: Mapping[str, str]) -> bool:
    """Whether what the target signs in with, if it needs anything, is in the environment."""
    return missing_secret(target, environment) is None


def sign_in_of(target: Target, environment: Mapping[str, str]) -> SignIn:
    """How requests to the target are signed: Bedrock's with AWS keys unless it names an API key of its own."""
    if target.provider == "bedrock" and target.secret_env is None:
        key_id, secret = (environment[name] for name in AWS_SECRETS)
        return with_aws_keys(Credentials(key_id, secret, environment.get(AWS_TOKEN)), target.region or "")
    return with_key(target.provider, environment.get(target.secret_env) if target.secret_env else None)
