"""The policy of a managed gateway: the configuration that operators put at the API, below files of its own, if it has any."""

import http.client
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from keeptrusts.core.rulebook.layers import Layer
from keeptrusts.core.rulebook.managed import own_api
from keeptrusts.gateway.policy_files import PolicyAway, PolicyFiles, PolicyTexts, PolicyUnreadable, Stamp

TIMEOUT_S = 3.0
MAX_ANSWER_BYTES = 8 * 1024 * 1024
MANAGED = "gateway-config version "


class ManagedPolicy(PolicyFiles):
    """``token`` is the operator's. Where the API is away, nothing has changed; whoever reads then hears of it."""

    def __init__(self, paths: Sequence[Path], url: str, token: str) -> None:
        super().__init__(paths)
        self._url = url.rstrip("/")
        self._token = token
        self._version = 0

    @property
    def names(self) -> tuple[str, ...]:
        """See PolicyFiles."""
        return (f"gateway-config at {self._url}", *super().names)

    def __str__(self) -> str:
        return ", ".join(["the managed configuration", *map(str, self.paths)])

    def stamp(self) -> Stamp:
        """See PolicyFiles."""
        try:
            page = self._ask("/v1/gateway-config/versions?limit=1")["data"]
            self._version = int(page[0]["version"]) if page else 0
        except (PolicyUnreadable, KeyError, TypeError, ValueError):
            pass  # it is as it was, for all that anybody knows
        return (*super().stamp(), (self._version, 0, 0, 0))

    def read(self) -> PolicyTexts:
        """See PolicyFiles."""
        answer = self._ask("/v1/gateway-config")
        try:
            managed = Layer(f"{MANAGED}{int(answer['version'])}", str(answer["text"]))
        except (KeyError, TypeError, ValueError):
            raise PolicyUnreadable(f"what answers at {self._url} is not the Keeptrusts API") from None
        # Where a gateway finds its API is its own affair: whatever the configuration says of that is laid under this.
        return (managed, *super().read(), own_api(self._url))

    def _ask(self, path: str) -> Any:
        parts = urlsplit(self._url)
        kind = http.client.HTTPSConnection if parts.scheme == "https" else http.client.HTTPConnection
        line = kind(parts.hostname or "", parts.port, timeout=TIMEOUT_S)
        try:
            line.request("GET", parts.path + path, headers={"Authorization": f"Bearer {self._token}"})
            response = line.getresponse()
            status, body = response.status, response.read(MAX_ANSWER_BYTES)
        except (OSError, http.client.HTTPException) as trouble:
            why = getattr(trouble, "strerror", None) or type(trouble).__name__
            raise PolicyAway(f"cannot ask {self._url} for the managed configuration: {why}") from None
        finally:
            line.close()
        if status == 404:
            raise PolicyUnreadable(f"{self._url} has no managed configuration: `kt policy push` puts one")
        if status != 200:
            raise PolicyAway(f"{self._url} answers {status} to the question for the managed configuration")
        try:
            return json.loads(body)
        except ValueError:
            raise PolicyUnreadable(f"what answers at {self._url} is not the Keeptrusts API") from None


def config_version(texts: PolicyTexts) -> int | None:
    """The version of the managed configuration among these texts."""
    for layer in texts:
        if layer.name.startswith(MANAGED):
            return int(layer.name.removeprefix(MANAGED))
    return None
