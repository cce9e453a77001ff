"""What `kt doctor` asks the API: whether it answers, takes the token, and has the same time as this machine."""

import http.client
import time
from collections.abc import Iterator, Mapping
from email.utils import parsedate_to_datetime
from urllib.parse import urlsplit

from keeptrusts import __version__
from keeptrusts.cli.check import Check, fail, ok, warn
from keeptrusts.cli.connection import Connection

PROBE_S = 5.0
SKEW_S_WARN = 5.0
SKEW_S_FAIL = 300.0
NODES_ASKED = 200


def check_api(to: Connection) -> Iterator[Check]:
    """All of it, each only where the one before makes sense."""
    try:
        status, headers, _ = _get(to, "/readyz", {})
    except (OSError, http.client.HTTPException) as trouble:
        why = getattr(trouble, "strerror", None) or type(trouble).__name__
        yield fail(
            "API", f"{to.url} cannot be reached: {why}", "start it (`kt up`, `kt api run`), or set KEEPTRUSTS_API_URL"
        )
        return
    if status != 200:
        yield fail("API", f"{to.url} answers {status} to /readyz", "its log says what its store lacks")
    else:
        yield ok("API", f"{to.url} is ready")
    yield from _clock(headers)
    yield from _token(to)


def _clock(headers: Mapping[str, str]) -> Iterator[Check]:
    try:
        theirs = parsedate_to_datetime(headers.get("date", "")).timestamp()
    except ValueError:
        return
    skew_s = abs(time.time() - theirs)
    found = f"{skew_s:.0f} s off the API's"
    if skew_s > SKEW_S_FAIL:
        yield fail("clock", found, "set the clock: periods and expiry go by it (NTP)")
    elif skew_s > SKEW_S_WARN:
        yield warn("clock", found, "set the clock (NTP)")
    else:
        yield ok("clock", "as the API's, to a few seconds")


def _token(to: Connection) -> Iterator[Check]:
    from json import loads

    try:
        status, _, body = _get(to, f"/v1/gateways?limit={NODES_ASKED}", {"Authorization": f"Bearer {to.token}"})
        answer = loads(body) if status == 200 else {}
    except (OSError, http.client.HTTPException, ValueError) as trouble:
        yield warn("token", f"could not be tried: {type(trouble).__name__}", "run `kt doctor` again")
        return
    if status in (401, 403):
        yield fail(
            "token",
            f"the API refuses the token from {to.token_source} ({status})",
            "export KEEPTRUSTS_API_TOKEN with one that it knows",
        )
        return
    if status != 200:
        yield warn("token", f"the API answered {status}", "its log says why")
        return
    yield ok("token", f"the API takes the token from {to.token_source}")
    rows = answer.get("data") or []
    versions = {str(row.get("version")) for row in rows if row.get("alive")}
    others = sorted(versions - {__version__, "None"})
    if others:
        yield warn(
            "gateways", f"some run version {', '.join(others)}, and this is {__version__}", "bring them to one version"
        )


def _get(to: Connection, path: str, headers: Mapping[str, str]) -> tuple[int, Mapping[str, str], bytes]:
    parts = urlsplit(to.url)
    kind = http.client.HTTPSConnection if parts.scheme == "https" else http.client.HTTPConnection
    line = kind(parts.hostname or "", parts.port, timeout=PROBE_S)
    try:
        line.request("GET", to.prefix + path, headers=dict(headers))
        answer = line.getresponse()
        return answer.status, {name.lower(): value for name, value in answer.getheaders()}, answer.read(1024**2)
    finally:
        line.close()
