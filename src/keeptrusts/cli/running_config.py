"""What a running gateway goes by, compared with rules that it might go by. It shows no keys, so those are not compared."""

import http.client
import json
import os
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import msgspec

from keeptrusts.cli.connection import find_connection
from keeptrusts.cli.failure import CANNOT_ASK, Failure
from keeptrusts.core.rulebook.compare import Change, plain_changes
from keeptrusts.core.rulebook.plain_rules import plain_rules
from keeptrusts.core.rulebook.rulebook import Rulebook
from keeptrusts.settings import default_data_dir

TIMEOUT_S = 10.0
PATH = "/keeptrusts/config"
MAX_ANSWER_BYTES = 16 * 1024 * 1024


def changes_from_running(url: str, rulebook: Rulebook) -> list[Change]:
    """What would be different with ``rulebook`` at the gateway that answers at ``url``. Raises Failure."""
    wanted = json.loads(msgspec.json.encode(plain_rules(rulebook)))
    return list(plain_changes(_running(url), wanted))


def _running(url: str) -> dict[str, Any]:
    to = find_connection({**os.environ, "KEEPTRUSTS_API_URL": url}, default_data_dir(Path.home()))
    parts = urlsplit(to.url)
    kind = http.client.HTTPSConnection if parts.scheme == "https" else http.client.HTTPConnection
    line = kind(parts.hostname or "", parts.port, timeout=TIMEOUT_S)
    try:
        line.request("GET", to.prefix + PATH, headers={"Authorization": f"Bearer {to.token}"})
        response = line.getresponse()
        status, body = response.status, response.read(MAX_ANSWER_BYTES)
    except (OSError, http.client.HTTPException) as trouble:
        why = getattr(trouble, "strerror", None) or type(trouble).__name__
        raise Failure(f"cannot ask the gateway at {to.url}: {why}", CANNOT_ASK) from None
    finally:
        line.close()
    if status != 200:
        raise Failure(f"the gateway at {to.url} answers {status}: it takes the API token from {to.token_source}")
    try:
        answer = json.loads(body)
        parts_of_all = [part for part in answer.get("workers", {"": answer}).values() if part is not None]
        running: dict[str, Any] = parts_of_all[0]["config"]
    except (ValueError, KeyError, IndexError, TypeError, AttributeError):
        raise Failure(f"what answers at {to.url} is not a Keeptrusts gateway of this version") from None
    return running
